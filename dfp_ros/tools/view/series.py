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
"""Buffer of numbers over time, which are cheaper to pass on many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

#: Takes the name of a series, times in ns, and numbers of shape (times, series).
Sink = Callable[[tuple[str, ...], NDArray[np.int64], NDArray[np.float64]], None]


class Series:
    """
    Buffer of several series, each with a fixed count of numbers at a time.

    :param sink: Takes what was collected.
    """

    def __init__(self, sink: Sink) -> None:
        """Start empty."""
        self._sink = sink
        self._rows: dict[tuple[str, ...], tuple[list[int], list[NDArray[np.float64]]]] = {}

    def add(
            self, path: tuple[str, ...], time: int,
            values: Sequence[float] | NDArray[np.float64]) -> None:
        """
        Add the numbers of one time; nothing if all of them are missing.

        :param path: Name of the series.
        :param time: The time in ns.
        """
        row = np.array(values, np.float64)
        if np.isnan(row).all():
            return
        times, rows = self._rows.setdefault(path, ([], []))
        if rows and rows[0].shape != row.shape:
            self._pass_on(path)
            times, rows = self._rows.setdefault(path, ([], []))
        times.append(time)
        rows.append(row)

    def flush(self) -> None:
        """Pass on everything."""
        for path in list(self._rows):
            self._pass_on(path)

    def _pass_on(self, path: tuple[str, ...]) -> None:
        times, rows = self._rows.pop(path)
        self._sink(path, np.array(times, np.int64), np.stack(rows))
