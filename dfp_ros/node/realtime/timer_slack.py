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
"""Timer slack: the delay with which Linux may wake a thread, to group wake-ups."""

from __future__ import annotations

import ctypes
import os

from dfp_ros.node.realtime.privileges import load_libc, RefusedError

# From sys/prctl.h.
_SET, _GET = 29, 30


def set_timer_slack(microseconds: int) -> None:
    """
    Set the timer slack of the calling thread, and of those that it starts from then on.

    Under SCHED_FIFO it has no effect.

    :param microseconds: At least 1.
    :raises RefusedError: If the system refuses.
    """
    if load_libc().prctl(_SET, microseconds * 1000, 0, 0, 0):
        raise RefusedError(
            f'a timer slack of {microseconds} us was refused: {os.strerror(ctypes.get_errno())}')


def read_timer_slack() -> float:
    """Read the timer slack of the calling thread, in microseconds."""
    return float(load_libc().prctl(_GET, 0, 0, 0, 0)) / 1000
