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
"""Checks before an atomic write: the file to be replaced, and whether a rename can succeed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
import stat

_KINDS = (
    (stat.S_ISFIFO, 'is a FIFO'), (stat.S_ISSOCK, 'is a socket'),
    (stat.S_ISCHR, 'is a device'), (stat.S_ISBLK, 'is a device'))
_DEVICES = Path('/dev')


def require_replaceable(path: Path) -> None:
    """
    Require that a rename to a path replaces nothing but a regular file.

    Otherwise ``--out /dev/null``, run by root, would replace the device by a regular file.

    :param path: Path of the new file; a folder there is left to the rename, which refuses it.
    :raises OSError: If the path is a FIFO, a socket or a device, or in the folder of devices;
        ``strerror`` has the explanation.
    """
    expected = 'expected a regular file or a new name'
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = 0
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise OSError(errno.EINVAL, f'{name}, {expected}', str(path))
    if path.absolute().parent.resolve() == _DEVICES:
        raise OSError(errno.EINVAL, f'is in the folder of devices, {expected}', str(path))


def require_writable(path: Path) -> None:
    """
    Require that a file can be created or replaced, before the work whose result it gets.

    :param path: Path of the new file; its folder may not exist yet. Nothing is created.
    :raises OSError: If it cannot; ``strerror`` has the explanation and the remedy.
    """
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, 'it is a folder; name a file in it', str(path))
    place = next(part for part in path.absolute().parents if part.exists())
    if not place.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, f'{place} is a file, not a folder; name another path', str(path))
    try:
        require_replaceable(path)
    except OSError as error:
        raise OSError(error.errno, f'{error.strerror}; name another path', str(path)) from error
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(
            errno.EACCES, f'the folder {place} is not writable; check its permissions or name '
            'another path', str(path))
