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
"""Whether a file may be written under a temporary name and renamed to a path."""

from __future__ import annotations

import errno
from pathlib import Path
import stat

_KINDS = (
    (stat.S_ISFIFO, 'is a FIFO'), (stat.S_ISSOCK, 'is a socket'),
    (stat.S_ISCHR, 'is a device'), (stat.S_ISBLK, 'is a device'))
_DEVICES = Path('/dev')


def require_replaceable(path: Path) -> None:
    """
    See that a rename to a path destroys nothing but a file.

    A rename replaces what is there, so that ``--out /dev/null``, by root, would leave the machine
    with a regular file in the place of the device.

    :param path: Where the file is to be; a folder there is left to the rename, which refuses it.
    :raises OSError: Where a FIFO, a socket or a device is there, or in the folder of devices;
        ``strerror`` says so for people.
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
