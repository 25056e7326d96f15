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
"""What an observation remembers from one control tick to the next."""

from __future__ import annotations

from collections import deque
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Derivative:
    """
    Change a second, of what a source measures.

    :param size: How many numbers it has.
    :param is_angle: Whether they are angles, of which the shorter way round is meant.
    :param fill: Whether it begins as 0; else it is not known until there are two measurements.
    """

    def __init__(self, size: int, is_angle: bool, fill: bool) -> None:
        """Start without a measurement."""
        self._is_angle = is_angle
        self._first = np.zeros(size) if fill else None
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        self._time: int | None = None
        self._value: NDArray[np.float64] = np.zeros(0)
        self._rate = self._first

    def rate(self, time: int, numbers: Any) -> NDArray[np.float64] | None:
        """
        Compute the change a second since the last measurement.

        A measurement that comes again tells nothing new, and the rate stays; one that is earlier
        begins anew, as its source did.

        :param time: When it was measured, in ns.
        :param numbers: What was measured.
        :return: The rate, or None where it is not known yet.
        """
        if time == self._time:
            return self._rate
        value = np.array(numbers, np.float64, ndmin=1)
        if self._time is None or time < self._time:
            self._rate = self._first
        else:
            with np.errstate(over='ignore', invalid='ignore'):
                change = value - self._value
                if self._is_angle:
                    change -= 2 * math.pi * np.round(change / (2 * math.pi))
                self._rate = change / ((time - self._time) * 1e-9)
        self._time, self._value = time, value
        return self._rate


class History:
    """
    What was there at the last ticks.

    :param ticks: How many of them.
    :param fill: Whether the first one stands for those before it.
    """

    def __init__(self, ticks: int, fill: bool) -> None:
        """Start empty."""
        self._ticks: deque[NDArray[np.float32]] = deque(maxlen=ticks)
        self._length = ticks
        self._fill = fill

    def reset(self) -> None:
        """Forget what was there."""
        self._ticks.clear()

    def add(self, numbers: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """
        Add what is there at this tick.

        :param numbers: Shape (width,).
        :return: Shape (ticks * width,), the oldest first, or None where ticks are missing.
        """
        missing = self._length - len(self._ticks)
        self._ticks.extend([numbers] * (missing if self._fill and missing else 1))
        return np.concatenate(self._ticks) if len(self._ticks) == self._length else None
