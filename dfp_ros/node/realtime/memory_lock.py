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
"""Memory locking: keeps the memory of this process from being swapped out."""

from __future__ import annotations

import ctypes
import os
import resource
import threading

from dfp_ros.node.realtime.privileges import (
    CAP_IPC_LOCK,
    format_limit,
    has_capability,
    load_libc,
    RefusedError,
)

# From sys/mman.h. Pages are locked at their first use (MCL_ONFAULT): otherwise each thread's stack
# and each arena would be in memory as a whole.
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4


class MemoryLock:
    """Locks the memory of this process, counted by its users."""

    def __init__(self) -> None:
        """Start without a lock."""
        self._lock = threading.Lock()
        self._holders = 0

    @property
    def is_locked(self) -> bool:
        """Whether the memory is locked."""
        return bool(self._holders)

    def acquire(self) -> None:
        """
        Lock current and future pages.

        :raises RefusedError: If the system refuses.
        """
        with self._lock:
            if not self._holders:
                _lock()
            self._holders += 1

    def release(self) -> None:
        """Undo one :meth:`acquire`; the last unlocks the memory."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                load_libc().munlockall()


def _lock() -> None:
    """Call mlockall."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    # With a limit, locking may succeed now, and the first allocation above the limit fails later.
    if limit != resource.RLIM_INFINITY and not has_capability(CAP_IPC_LOCK):
        raise RefusedError(
            f'locking memory needs no limit, and the limit is '
            f'{format_limit(resource.RLIMIT_MEMLOCK)} bytes (`ulimit -l`), and the process lacks '
            'CAP_IPC_LOCK; set memlock unlimited in /etc/security/limits.conf, '
            'LimitMEMLOCK=infinity in a systemd unit, or --ulimit memlock=-1 for a container; see '
            'docs/realtime.md')
    if load_libc().mlockall(_CURRENT | _FUTURE | _ON_FAULT):
        raise RefusedError(f'locking memory was refused: {os.strerror(ctypes.get_errno())}')


#: The lock of this process.
MEMORY = MemoryLock()
