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
"""Disk errors: free space checks, and messages with size, free space and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import os
from pathlib import Path
import re
import shutil
from tempfile import TemporaryFile

# Error numbers that concern the disk rather than the program.
DISK = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENXIO, errno.ESTALE)
# Libraries that write files themselves give the system error only in their message.
IN_WORDS = re.compile(r'errno = (\d+)')


class WriteError(OSError):
    """A file cannot be written; the message is complete, with path and remedy."""

    def __str__(self) -> str:
        """Return the message without the error number."""
        return str(self.strerror)


def write_error(path: Path, error: BaseException, needed: int | None, came: int) -> WriteError:
    """
    Build the error for a file that could not be written.

    :param path: The file.
    :param error: The original exception.
    :param needed: Size of the complete file in bytes, if known.
    :param came: Number of bytes that were written.
    """
    number = number_of(error) or errno.EIO
    if number in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        # The path is wrong, independent of the free space.
        remedy = 'it is a folder; name a file in it' if path.is_dir() else (
            f'{_file_in(path)} is a file, not a folder; name another path')
        return WriteError(number, f'{path}: cannot be written ({remedy})', str(path))
    free = free_bytes(path)
    size = f'{megabytes(needed)} are needed' if needed is not None else (
        f'more than {megabytes(came)} are needed')
    room = '' if free is None else f', {megabytes(free)} are free there'
    kept = '; the existing file is unchanged' if path.is_file() else ''
    remedy = 'free some space there or name another path' if number in DISK else (
        'check its permissions or name another path')
    if number == errno.EROFS:
        remedy = 'have it mounted for writing, or name another path'
    return WriteError(
        number, f'{path}: cannot be written ({os.strerror(number)}; {size}{room}){kept}; {remedy}',
        str(path))


def _file_in(path: Path) -> Path:
    """Find the parent of a path that is a file instead of a folder."""
    return next((part for part in path.parents if part.is_file()), path)


def require_room(folder: Path, needed: int, what: str) -> None:
    """
    Check that a folder has enough free space.

    :param folder: It may not exist yet.
    :param needed: Number of bytes.
    :param what: What needs them, for the error.
    :raises WriteError: If there is less free space.
    """
    free = free_bytes(folder)
    if free is not None and free < needed:
        raise WriteError(
            errno.ENOSPC, f'{folder}: found {megabytes(free)} free there, expected '
            f'{megabytes(needed)} for {what}; free some space or name another path', str(folder))


def make_folder(folder: Path) -> None:
    """
    Create a folder if missing, and check that it is writable.

    :raises WriteError: If it cannot be created or written to.
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
    Turn system errors while writing a file into a :class:`WriteError`.

    :param path: Its final name.
    :param partial: Temporary name while it is written.
    :param needed: Size of the complete file in bytes, if known.
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
        came = sum(
            file.stat().st_size for file in (partial, *partial.rglob('*')) if file.is_file())
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise write_error(path, error, needed, came) from error


def number_of(error: BaseException) -> int | None:
    """Find the system error number of an exception, if there is one."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = IN_WORDS.search(str(error))
    if match:
        return int(match[1])
    # PyTorch's writer raises its own exception after the system error.
    before = error.__cause__ or error.__context__
    return number_of(before) if before is not None else None


def free_bytes(path: Path) -> int | None:
    """Free space in bytes for a file or folder, which need not exist; None if unknown."""
    for place in (path, *path.absolute().parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def megabytes(size: int) -> str:
    """Format a size."""
    return f'{size / 1e6:.1f} MB' if size >= 50_000 else f'{size / 1e3:.1f} kB'
