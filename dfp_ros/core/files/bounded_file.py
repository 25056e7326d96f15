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
"""Reading of regular files of bounded size; FIFOs and devices, which could block, are refused."""

from __future__ import annotations

from collections.abc import Callable
import errno
import os
import stat

#: Largest policy file, in bytes.
LARGEST_POLICY = 512 << 20
#: Largest robot description, report or other text, in bytes.
LARGEST_TEXT = 4 << 20

_KINDS = (
    (stat.S_ISDIR, 'Is a directory'), (stat.S_ISFIFO, 'Is a FIFO'),
    (stat.S_ISSOCK, 'Is a socket'), (stat.S_ISCHR, 'Is a device'), (stat.S_ISBLK, 'Is a device'))
_PIECE = 16 << 20


def open_regular(path: str | os.PathLike[str], most: int) -> int:
    """
    Open a file for reading.

    A FIFO or a device is refused before it is opened: opening one may block for ever, or start an
    action of the device. A file system that hangs still blocks; see
    :mod:`dfp_ros.node.files.loader`.

    :param path: The file, or a link to it.
    :param most: Largest size in bytes.
    :return: A file descriptor, to be closed by the caller.
    :raises OSError: If it cannot be opened, is not a regular file or is larger; ``strerror`` has
        the explanation.
    """
    _require_regular(path, os.stat(path), most)
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        # The file may have been replaced since the check.
        _require_regular(path, os.fstat(file), most)
    except OSError:
        os.close(file)
        raise
    return file


def read_regular(
        path: str | os.PathLike[str], most: int,
        check: Callable[[int], object] | None = None) -> bytes:
    """
    Read a whole file, as :func:`open_regular` opens it.

    :param path: The file, or a link to it.
    :param most: Largest size in bytes.
    :param check: Gets the descriptor before anything is read, and may raise.
    :raises OSError: As there, or if it was changed meanwhile.
    """
    file = open_regular(path, most)
    try:
        if check is not None:
            check(file)
        before = os.fstat(file)
        pieces, size = [], 0
        while piece := os.read(file, min(_PIECE, most + 1 - size)):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise _too_large(path, size, most)
        after = os.fstat(file)
    finally:
        os.close(file)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(
            errno.EBUSY, 'it was changed while it was read; write files under another name and '
            'rename them, then set it again', str(path))
    return b''.join(pieces)


def _require_regular(path: str | os.PathLike[str], found: os.stat_result, most: int) -> None:
    """Require a regular file that is not too large."""
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise OSError(errno.EINVAL, f'{name}, expected a regular file', str(path))
    if found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _too_large(path: str | os.PathLike[str], size: int, most: int) -> OSError:
    """Make the error for a file that is too large."""
    unit, name = (1, 'bytes') if most < 1e5 else (1e6, 'MB')
    return OSError(errno.EFBIG, (
        f'found {size / unit:.{unit > 1:d}f} {name} or more, expected at most '
        f'{most / unit:.{unit > 1:d}f} {name}'), str(path))
