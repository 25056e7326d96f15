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
"""Sleep until an absolute time of the monotonic clock."""

from __future__ import annotations

import ctypes
import os

_MONOTONIC, _ABSOLUTE = 1, 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (('seconds', ctypes.c_long), ('nanoseconds', ctypes.c_long))


def sleep_until(deadline: int) -> None:
    """
    Sleep until a time of CLOCK_MONOTONIC in ns, with ``clock_nanosleep``.

    :raises OSError: If that fails.
    """
    until = _Timespec(*divmod(deadline, 1_000_000_000))
    while True:
        error = _LIBC.clock_nanosleep(_MONOTONIC, _ABSOLUTE, ctypes.byref(until), None)
        if not error:
            return
        if error != 4:  # EINTR
            raise OSError(error, os.strerror(error))
