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
"""A disk that is full, or cannot be written to: what was needed, what is free, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import os
from pathlib import Path
import re
import shutil
from tempfile import TemporaryFile

# What the system says of a disk rather than of a program.
DISK = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENXIO, errno.ESTALE)
# Libraries that write themselves tell the system's error in their text alone.
IN_WORDS = re.compile(r'errno = (\d+)')


class WriteError(OSError):
    """A file cannot be written; the text is whole, with path and remedy."""

    def __str__(self) -> str:
        """Give the text alone."""
        return str(self.strerror)


def write_error(path: Path, error: BaseException, needed: int | None, came: int) -> WriteError:
    """
    Say why a file could not be written.

    :param path: The file.
    :param error: What was raised.
    :param needed: Bytes that it has when it is whole, where that is known.
    :param came: Bytes of it that were written.
    """
    number = number_of(error) or errno.EIO
    if number in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        # The path is wrong, whatever the disk has room for.
        remedy = 'it is a folder; name a file in it' if path.is_dir() else (
            f'{_file_in(path)} is a file, not a folder; name another place')
        return WriteError(number, f'{path}: cannot be written ({remedy})', str(path))
    free = free_bytes(path)
    size = f'{megabytes(needed)} are needed' if needed is not None else (
        f'more than {megabytes(came)} are needed')
    room = '' if free is None else f', {megabytes(free)} are free there'
    kept = '; what was there before is unchanged' if path.is_file() else ''
    remedy = 'make room there or name another place' if number in DISK else (
        'see to its permissions or name another place')
    return WriteError(
        number, f'{path}: cannot be written ({os.strerror(number)}; {size}{room}){kept}; {remedy}',
        str(path))


def _file_in(path: Path) -> Path:
    """Find what of a path is a file where a folder is needed."""
    return next((part for part in path.parents if part.is_file()), path)


def require_room(folder: Path, needed: int, what: str) -> None:
    """
    Make sure that a folder has room for what is to come.

    :param folder: It may not exist yet.
    :param needed: Bytes.
    :param what: Needs them, for the error.
    :raises WriteError: If there is less.
    """
    free = free_bytes(folder)
    if free is not None and free < needed:
        raise WriteError(
            errno.ENOSPC, f'{folder}: found {megabytes(free)} free there, expected '
            f'{megabytes(needed)} for {what}; make room there or name another place', str(folder))


def make_folder(folder: Path) -> None:
    """
    Make a folder where there is none, and make sure that files can be written into it.

    :raises WriteError: If that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise write_error(folder, error, 4096, 0) from error


@contextmanager
def judged(path: Path, partial: Path, needed: int | None = None) -> Iterator[None]:
    """
    Turn what the system says of a file that is being written into a :class:`WriteError`.

    :param path: Its final name.
    :param partial: The name that it is written under.
    :param needed: Bytes that it has when it is whole, where that is known.
    :raises WriteError: If the block failed to write it; other errors pass.
    """
    try:
        yield
    except WriteError:
        raise
    except (OSError, RuntimeError) as error:
        number = number_of(error)
        own = isinstance(error, OSError) and error.filename is not None and (
            os.fspath(error.filename) in (str(path), str(partial), str(path.parent)))
        if number is None or number not in DISK and not own:
            raise
        came = partial.stat().st_size if partial.is_file() else 0
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise write_error(path, error, needed, came) from error


def number_of(error: BaseException) -> int | None:
    """Find the system's number of an error, where there is one."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = IN_WORDS.search(str(error))
    if match:
        return int(match[1])
    # Torch's writer raises an error of its own after that of the system.
    before = error.__cause__ or error.__context__
    return number_of(before) if before is not None else None


def free_bytes(path: Path) -> int | None:
    """Tell what is free where a file or a folder is, or is to be."""
    for place in (path, *path.absolute().parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def megabytes(size: int) -> str:
    """Write a size for people."""
    return f'{size / 1e6:.1f} MB' if size >= 50_000 else f'{size / 1e3:.1f} kB'
