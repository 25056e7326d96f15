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
"""Locks of folders that one process alone writes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import fcntl
import os
from pathlib import Path

# A file system, such as one of a network, that has no locks.
_NONE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class LockedError(Exception):
    """Another process has a lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """
    Hold a lock during the block, unless the file system has none.

    :param path: File of the lock, which is created and stays; its folder exists.
    :raises LockedError: If another process holds it.
    :raises OSError: If the file cannot be made, or is a link.
    """
    file = _open(path)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(str(path)) from error
        except OSError as error:
            if error.errno not in _NONE:
                raise
        yield
    finally:
        os.close(file)


def _open(path: Path) -> int:
    # A link there must not have another file emptied, or created.
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:
        if not path.exists():
            raise
        # Of another user, whose file locks as well.
        return os.open(path, flags | os.O_RDONLY)
