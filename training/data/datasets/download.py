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
Download a file whole or not at all, over connections that break.

What has come stays in a hidden file beside the final one, and is gone on from, in this run or a
later one. The final name appears only once the archive's own checksums hold, and the one in the
``.sha256`` beside it where there is one already. Plain http is for servers on this machine alone.
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

from training.files import atomic_path, sha256

# Attempts in a row that may bring nothing, and whole files that may turn out damaged: the first
# may have been built upon the rest of another file.
ATTEMPTS, DAMAGED = 6, 2
# Longest wait for a connection, and longest silence of one, s.
CONNECT, SILENCE = 10.0, 30.0
BACK_OFF = wait_exponential(1, max=30)
BLOCK = 1 << 16
# An .npz begins like any zip file.
MAGIC = b'PK'


class DownloadError(RuntimeError):
    """A file cannot be had, or is not what it should be."""


class _Broken(Exception):
    """An attempt failed in a way that another one may not."""


class Download:
    """
    One ``.npz`` to be downloaded.

    :param url: Where it is.
    :param path: Where it goes; ``.sha256`` is written beside it, as ``sha256sum -c`` reads it. One
        that is there before pins the contents.
    :param wait: Seconds before another attempt, by tenacity's protocol.
    """

    def __init__(
            self, url: str, path: Path,
            wait: Callable[[RetryCallState], float] = BACK_OFF) -> None:
        self._url, self._path, self._wait = url, path, wait
        self._partial = path.with_name(f'.{path.name}.download')
        self._idle = self._damaged = 0

    def run(self) -> None:
        """
        Download the file, or make sure that the one there is whole.

        :raises DownloadError: If it cannot be had; what has come of it stays for a later run.
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
                f'{self._url}: {error}, several times in a row; the same command goes on from '
                f'what came. Where there is no network, copy the file to {self._path} from '
                'another machine, or make data of the same kind with `python -m training.collect`'
            ) from error
        except OSError as error:
            raise DownloadError(
                f'{self._partial}: cannot be written ({error.strerror}); make room, the same '
                'command goes on from what came') from error
        self._keep_checksum()
        print(f'{self._path}: {self._path.stat().st_size} bytes')

    def _attempt(self, file: BinaryIO) -> None:
        """Ask for what is missing, and judge the whole once it is there."""
        before = file.seek(0, os.SEEK_END)
        self._idle += 1
        try:
            self._fetch(file, before)
        except (requests.RequestException, HTTPError) as error:
            raise _Broken(f'found no connection that lasts ({_reason(error)})') from error
        finally:
            file.flush()
            size = file.seek(0, os.SEEK_END)
            if size > before:
                self._idle = 0
        damage = _damage(self._partial)
        if damage:
            file.truncate(0)
            self._damaged += 1
            raise _Broken(f'found {size} bytes that are no whole .npz ({damage})')

    def _fetch(self, file: BinaryIO, begin: int) -> None:
        """Append what the server sends from ``begin`` on; from 0 on where it sends everything."""
        headers = {'Accept-Encoding': 'identity'} | (
            {'Range': f'bytes={begin}-'} if begin else {})
        with requests.get(
                self._url, headers=headers, stream=True, timeout=(CONNECT, SILENCE)) as response:
            _require_secure(response.url)
            if response.status_code == 416:
                return  # Nothing lies beyond what came: it is the whole, or it is not the file.
            if response.status_code >= 500 or response.status_code == 429:
                raise _Broken(f'found status {response.status_code} {response.reason}')
            if not response.ok:
                raise DownloadError(
                    f'{self._url}: found status {response.status_code} {response.reason}; give '
                    'the name of a data set as OGBench has it, for example cube-double-play-v0')
            if begin and _start(response) != begin:
                file.truncate(0)
                begin = 0
                if response.status_code == 206:
                    raise _Broken('found another part of the file than was asked for')
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
                f'{self._path}: found other contents than {checksum.name} says; remove both, and '
                'run the same command again')
        print(f'{self._path}: there already, and whole' + (
            '' if known else "; whether it is the server's could not be seen"))

    def _require_size(self) -> bool:
        """Compare a file that somebody copied with the server's; False where that is silent."""
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
                f'{self._url}: found other contents than {self._checksum_file()} says; the server '
                'has another file, or somebody answered in its place. Remove the checksum if the '
                'file is to be another one')

    def _pinned(self) -> str | None:
        """Read the checksum that the contents are to have, where one is known."""
        try:
            return self._checksum_file().read_text().split()[0].lower()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, IndexError) as error:
            raise DownloadError(
                f'{self._checksum_file()}: found no checksum, expected what sha256sum writes; '
                'remove it, and run the same command again') from error

    def _keep_checksum(self) -> None:
        with atomic_path(self._checksum_file()) as partial:
            partial.write_text(f'{sha256(self._path)}  {self._path.name}\n')

    def _checksum_file(self) -> Path:
        return self._path.with_name(f'{self._path.name}.sha256')


def _require_secure(url: str) -> None:
    """
    Refuse addresses whose answer anybody on the way could have written.

    :raises DownloadError: For all but https, and http of this very machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ''
    with suppress(ValueError):
        host = 'localhost' if ip_address(host).is_loopback else host
    if parts.scheme != 'https' and (parts.scheme, host) != ('http', 'localhost'):
        raise DownloadError(
            f'{url}: found {parts.scheme or "no scheme"}, expected https: what comes over a '
            "connection that is not secured may be anybody's; only a server on this machine may "
            'use http')


def _start(response: requests.Response) -> int | None:
    """Tell where the part begins that a server sends."""
    match = re.match(r'bytes (\d+)-', response.headers.get('Content-Range', ''))
    return int(match[1]) if match and response.status_code == 206 else None


def _damage(path: Path) -> str:
    """Say what is wrong with an archive, by the checksums in it; nothing where it is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()
            return f'{member} is damaged' if member else ''
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        return str(error)


def _reason(error: Any) -> str:
    """Find the innermost reason of a connection's failure."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return str(error) or type(error).__name__
