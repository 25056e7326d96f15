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
"""Shared-memory table of numbers, written by one process and read by another."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.files.atomic import atomic_path

#: What every measured process writes of a tick, times in ns of CLOCK_MONOTONIC: when it began,
#: when its command had been handed to DDS, the deadline of the tick after it (NaN where it was not
#: looked up), the stamp of the newest observation, and the seconds of inference. The numbers of
#: the command follow, by which the robot knows it again.
BEGAN, SENT, NEXT_DEADLINE, STAMP, INFERENCE, COMMAND = range(6)
#: Columns of the robot: arrival of a command; the numbers of the command follow.
ARRIVED, ARRIVED_COMMAND = range(2)


class Record:
    """
    Preallocated table in shared memory, in which writing a row takes a microsecond.

    If the writer is killed, its rows remain.

    :param path: The file, in a folder in memory.
    :param columns: Columns of a row; the first of a written row is not zero.
    :param capacity: Largest number of rows; further ones are dropped.
    """

    def __init__(self, path: Path, columns: int, capacity: int) -> None:
        """Make it; it has its name when it is complete."""
        with atomic_path(path) as partial:
            file = np.lib.format.open_memmap(
                partial, mode='w+', dtype=np.float64, shape=(capacity, columns))
            file[:] = 0
        self._rows = np.asarray(file)
        self._count = 0

    def add(self, *values: float) -> None:
        """Write a row; missing columns are zero."""
        if self._count < len(self._rows):
            # The first column is written last: it marks the row as complete.
            self._rows[self._count, 1:len(values)] = values[1:]
            self._rows[self._count, 0] = values[0]
            self._count += 1


def read(path: Path) -> NDArray[np.float64]:
    """Read the rows written so far, shape (rows, columns); none without a file."""
    if not path.exists():
        return np.empty((0, COMMAND))
    rows = np.load(path, mmap_mode='r')
    return np.array(rows[:np.count_nonzero(rows[:, 0])])


def room(rate: float, seconds: float) -> int:
    """Return the capacity needed at a rate for a duration, with a margin."""
    return math.ceil(rate * (seconds + 60))
