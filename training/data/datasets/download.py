# Copyright 2026 The dfp_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""
Resumable, atomic download with checksum verification.

Partial data are kept in a hidden file beside the final one, and the download resumes from it, in
this run or a later one. The final name appears only after the archive's own checksums, and an
existing ``.sha256`` file, have been verified. Plain http is accepted only from this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import fcntl
from ipaddress import ip_address
import os
from pathlib import Path
import re
from typing import Any, BinaryIO
from urllib.parse import urlsplit
import zipfile
import zlib

import requests
from tenacity import retry_if_exception_type, RetryCallState, Retrying, wait_exponential
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from dfp_ros.core.files.digest import sha256
from dfp_ros.core.text.say import say
from training.common.files import atomic_path

# Limits of consecutive attempts without any data, and of complete but damaged downloads: the first
# one may have resumed from a part of another file.
ATTEMPTS, DAMAGED = 6, 2
# Connect timeout and read timeout, s.
CONNECT, SILENCE = 10.0, 30.0
BACK_OFF = wait_exponential(1, max=30)
BLOCK = 1 << 16
# First bytes of an .npz, which is a zip file.
MAGIC = b'PK'


class DownloadError(RuntimeError):
    """A file cannot be downloaded, or has unexpected contents."""


class _Broken(Exception):
    """An attempt failed, but a retry may succeed."""


class Download:
    """
    Download of one ``.npz``.

    :param url: URL of the file.
    :param path: Final path; a ``.sha256`` file is written beside it, in the format of ``sha256sum
        -c``. An existing one pins the contents.
    :param wait: Seconds before a retry, as a wait function of tenacity.
    """

    def __init__(
            self, url: str, path: Path,
            wait: Callable[[RetryCallState], float] = BACK_OFF) -> None:
        self._url, self._path, self._wait = url, path, wait
        self._partial = path.with_name(f'.{path.name}.download')
        self._idle = self._damaged = 0

    def run(self) -> None:
        """
        Download the file, or verify the existing one.

        :raises DownloadError: If the download fails; partial data are kept for a later run.
        """
        _require_secure(self._url)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._partial.open('ab') as file:
                self._lock(file)
                if self._path.exists():
                    self._partial.unlink(missing_ok=True)
                    self._check_existing()
                    return
                Retrying(
                    retry=retry_if_exception_type(_Broken), wait=self._wait, reraise=True,
                    stop=lambda _: self._idle >= ATTEMPTS or self._damaged >= DAMAGED,
                )(self._attempt, file)
                os.fsync(file.fileno())
                self._require_pinned(file)
                os.replace(self._partial, self._path)
        except _Broken as error:
            raise DownloadError(
                f'{self._url}: {error}, several times in a row; the same command resumes the '
                f'download. Without a network, copy the file to {self._path} from another '
                'machine, or make data of the same kind with `python -m training.collect`'
            ) from error
        except OSError as error:
            raise DownloadError(
                f'{self._partial}: cannot be written ({error.strerror}); free some space, the '
                'same command resumes the download') from error
        self._keep_checksum()
        say(f'{self._path}: {self._path.stat().st_size} bytes')

    def _attempt(self, file: BinaryIO) -> None:
        """Download the missing rest, and verify the complete file."""
        before = file.seek(0, os.SEEK_END)
        self._idle += 1
        try:
            self._fetch(file, before)
        except (requests.RequestException, HTTPError) as error:
            raise _Broken(f'the connection failed ({_reason(error)})') from error
        finally:
            file.flush()
            size = file.seek(0, os.SEEK_END)
            if size > before:
                self._idle = 0
        damage = _damage(self._partial)
        if damage:
            file.truncate(0)
            self._damaged += 1
            raise _Broken(f'found {size} bytes that are not a complete .npz ({damage})')

    def _fetch(self, file: BinaryIO, begin: int) -> None:
        """Append the data from ``begin`` on; start over if the server ignores the range."""
        headers = {'Accept-Encoding': 'identity'} | (
            {'Range': f'bytes={begin}-'} if begin else {})
        with requests.get(
                self._url, headers=headers, stream=True, timeout=(CONNECT, SILENCE)) as response:
            _require_secure(response.url)
            if response.status_code == 416:
                return  # No data beyond this range: the file is complete, or another one.
            if response.status_code >= 500 or response.status_code == 429:
                raise _Broken(f'found status {response.status_code} {response.reason}')
            if not response.ok:
                raise DownloadError(
                    f'{self._url}: found status {response.status_code} {response.reason}; give '
                    'the name of an OGBench data set, for example cube-double-play-v0')
            if begin and _start(response) != begin:
                file.truncate(0)
                begin = 0
                if response.status_code == 206:
                    raise _Broken('found another range of the file than the requested one')
            self._store(file, response, begin)

    def _store(self, file: BinaryIO, response: requests.Response, begin: int) -> None:
        length = response.headers.get('Content-Length', '')
        with tqdm(
                total=begin + int(length) if length.isdigit() else None, initial=begin,
                desc=self._path.name, unit='B', unit_scale=True, disable=None) as bar:
            first = begin == 0
            for block in response.raw.stream(BLOCK, decode_content=False):
                if first and not block.startswith(MAGIC):
                    raise DownloadError(
                        f'{self._url}: found {response.headers.get("Content-Type", "something")} '
                        f'that begins with {block[:24]!r}, expected .npz; a proxy or a login page '
                        'may have answered instead')
                first = False
                file.write(block)
                bar.update(len(block))

    def _lock(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(
                f'{self._path}: another process is downloading it; wait for that one') from error

    def _check_existing(self) -> None:
        checksum, known = self._checksum_file(), True
        if not checksum.exists():
            card = self._path.with_suffix('.json')
            if card.exists():
                raise DownloadError(
                    f'{self._path}: found a file there that is not the official one but was made '
                    f'by training.collect, as {card.name} says; name another --out, or move both')
            damage = _damage(self._path)
            if damage:
                raise DownloadError(
                    f'{self._path}: found a damaged file there ({damage}); remove it, and run '
                    'the same command again')
            known = self._require_size()
            if known:
                self._keep_checksum()
        elif self._pinned() != sha256(self._path):
            raise DownloadError(
                f'{self._path}: found contents that do not match {checksum.name}; remove both, '
                'and run the same command again')
        say(f'{self._path}: exists already, and is intact' + (
            '' if known else '; its size could not be compared with that on the server'))

    def _require_size(self) -> bool:
        """Compare the size of a copied file with the server's; False if that is unknown."""
        try:
            answer = requests.head(
                self._url, headers={'Accept-Encoding': 'identity'}, allow_redirects=True,
                timeout=(CONNECT, SILENCE))
            _require_secure(answer.url)
        except requests.RequestException:
            return False
        there, size = answer.headers.get('Content-Length', ''), self._path.stat().st_size
        if not answer.ok or not there.isdigit():
            return False
        if int(there) != size:
            raise DownloadError(
                f'{self._path}: found a file of {size} bytes there, expected the official one of '
                f'{there}; name another --out, or move it')
        return True

    def _require_pinned(self, file: BinaryIO) -> None:
        pinned = self._pinned()
        if pinned is not None and pinned != sha256(self._partial):
            file.truncate(0)
            raise DownloadError(
                f'{self._url}: found contents that do not match {self._checksum_file()}; the '
                'server has another file, or the response was forged. Remove the checksum to '
                'accept another file')

    def _pinned(self) -> str | None:
        """Read the expected checksum, if there is one."""
        try:
            return self._checksum_file().read_text().split()[0].lower()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, IndexError) as error:
            raise DownloadError(
                f'{self._checksum_file()}: found no checksum, expected the format of sha256sum; '
                'remove it, and run the same command again') from error

    def _keep_checksum(self) -> None:
        with atomic_path(self._checksum_file()) as partial:
            partial.write_text(f'{sha256(self._path)}  {self._path.name}\n')

    def _checksum_file(self) -> Path:
        return self._path.with_name(f'{self._path.name}.sha256')


def _require_secure(url: str) -> None:
    """
    Refuse insecure URLs, whose response could be forged on the way.

    :raises DownloadError: For all URLs except https, and http on this machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ''
    with suppress(ValueError):
        host = 'localhost' if ip_address(host).is_loopback else host
    if parts.scheme != 'https' and (parts.scheme, host) != ('http', 'localhost'):
        raise DownloadError(
            f'{url}: found {parts.scheme or "no scheme"}, expected https: data from an insecure '
            'connection may be forged; only a server on this machine may use http')


def _start(response: requests.Response) -> int | None:
    """First byte of a partial response, or None."""
    match = re.match(r'bytes (\d+)-', response.headers.get('Content-Range', ''))
    return int(match[1]) if match and response.status_code == 206 else None


def _damage(path: Path) -> str:
    """Describe the damage of an archive, by its checksums; empty if it is intact."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()
            return f'{member} is damaged' if member else ''
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        return str(error)


def _reason(error: Any) -> str:
    """Find the root cause of a connection error."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return str(error) or type(error).__name__
