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
"""Processor usage of the measured processes and of all others."""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
from dataclasses import dataclass
import os
from pathlib import Path
import time

_LIBC = ctypes.CDLL(None)
# Columns in the first line of /proc/stat: idle and iowait; guest time is part of user time.
_IDLE, _STOLEN, _COUNTED = (3, 4), 7, 8


@dataclass(frozen=True)
class Use:
    """
    Processor usage between two times.

    :param own: Processor time of each measured process in s, with all its threads.
    :param others: Average number of cores used by other processes and the system, to a few
        hundredths.
    :param stolen: Number of cores that the hypervisor gave to other guests.
    """

    own: tuple[float, ...]
    others: float
    stolen: float


class Meter:
    """
    Meter of processor usage since its creation.

    :param processes: Process ids.
    :raises OSError: If one of them does not exist.
    """

    def __init__(self, processes: Sequence[int]) -> None:
        """Read the initial values."""
        self._clocks = [_clock(process) for process in processes]
        self._before = self._read()
        self._begin = time.monotonic()

    def read(self) -> Use:
        """Return the usage since creation."""
        seconds = time.monotonic() - self._begin
        (own, busy, stolen), (own_before, busy_before, stolen_before) = self._read(), self._before
        taken = tuple(now - before for now, before in zip(own, own_before, strict=True))
        return Use(
            taken, max(0.0, busy - busy_before - sum(taken)) / seconds,
            (stolen - stolen_before) / seconds)

    def _read(self) -> tuple[list[float], float, float]:
        """Read the processor time of the processes, and of the machine in s."""
        own = [time.clock_gettime(clock) for clock in self._clocks]
        counts = Path('/proc/stat').read_text().split('\n', 1)[0].split()[1:_COUNTED + 1]
        seconds = [int(count) / os.sysconf('SC_CLK_TCK') for count in counts]
        busy = sum(
            each for place, each in enumerate(seconds) if place not in (*_IDLE, _STOLEN))
        return own, busy, seconds[_STOLEN]


def _clock(process: int) -> int:
    """Return the clock of the processor time of a process with all its threads."""
    clock = ctypes.c_int()
    error = _LIBC.clock_getcpuclockid(process, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value
