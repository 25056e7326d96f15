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
"""Who used the processor: processes that are measured, and all the others."""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
from dataclasses import dataclass
import os
from pathlib import Path
import time

_LIBC = ctypes.CDLL(None)
# Of the numbers in the first line of /proc/stat: idle and waiting; what guests take is in others.
_IDLE, _STOLEN, _COUNTED = (3, 4), 7, 8


@dataclass(frozen=True)
class Use:
    """
    Use of the processor between two moments.

    :param own: Seconds of each process that is watched, all of its threads.
    :param others: Cores that other processes and the system kept busy, on average; to a few
        hundredths.
    :param stolen: Cores that the host of a virtual machine gave to somebody else.
    """

    own: tuple[float, ...]
    others: float
    stolen: float


class Meter:
    """
    Measures from its making on.

    :param processes: Processes that are watched, by number.
    :raises OSError: Where one of them is not there.
    """

    def __init__(self, processes: Sequence[int]) -> None:
        """Look at the clocks."""
        self._clocks = [_clock(process) for process in processes]
        self._before = self._read()
        self._begin = time.monotonic()

    def read(self) -> Use:
        """Tell what was used until now."""
        seconds = time.monotonic() - self._begin
        (own, busy, stolen), (own_before, busy_before, stolen_before) = self._read(), self._before
        taken = tuple(now - before for now, before in zip(own, own_before, strict=True))
        return Use(
            taken, max(0.0, busy - busy_before - sum(taken)) / seconds,
            (stolen - stolen_before) / seconds)

    def _read(self) -> tuple[list[float], float, float]:
        """Read the clocks of the processes, and of the machine in seconds."""
        own = [time.clock_gettime(clock) for clock in self._clocks]
        counts = Path('/proc/stat').read_text().split('\n', 1)[0].split()[1:_COUNTED + 1]
        seconds = [int(count) / os.sysconf('SC_CLK_TCK') for count in counts]
        busy = sum(
            each for place, each in enumerate(seconds) if place not in (*_IDLE, _STOLEN))
        return own, busy, seconds[_STOLEN]


def _clock(process: int) -> int:
    """Find the clock that counts the processor time of a process and all of its threads."""
    clock = ctypes.c_int()
    error = _LIBC.clock_getcpuclockid(process, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value
