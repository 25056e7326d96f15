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
"""State of the observation between ticks: derivatives and histories."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.turns import turns_left_out


class Derivative:
    """
    Time derivative of the measurements of a source.

    :param size: Count of the numbers.
    :param turns: Size of a full turn in each of them, which a reading may leave out; infinite for
        a number that is no angle.
    :param fill: Whether it starts at 0; else it is unknown until there are two measurements.
    """

    def __init__(self, size: int, turns: Sequence[float], fill: bool) -> None:
        """Start without a measurement."""
        self._turns = turns if any(map(math.isfinite, turns)) else ()
        self._first = np.zeros(size) if fill else None
        self.reset()

    def reset(self) -> None:
        """Discard the measurements."""
        self._time: int | tuple[int, ...] | None = None
        self._value: NDArray[np.float64] = np.zeros(0)
        self._rate = self._first
        # For numbers with separate times: the rates, and which of them are known.
        self._each: NDArray[np.float64] = np.zeros(0)
        self._is_known: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def rate(
            self, time: int | tuple[int, ...], numbers: Any) -> NDArray[np.float64] | None:
        """
        Compute the rate of change since the last measurement.

        A repeated measurement leaves the rate as it is; an earlier one restarts the derivative, as
        its source was restarted.

        :param time: Time of measurement in ns; one for each number if they differ.
        :param numbers: The measurement.
        :return: The rate, or None if it is not known yet.
        """
        if time == self._time:
            return self._rate
        value = np.array(numbers, np.float64, ndmin=1)
        if isinstance(time, tuple) or isinstance(self._time, tuple):
            return self._rate_each(time, value)
        if self._time is None or time < self._time:
            self._rate = self._first
        else:
            with np.errstate(over='ignore', invalid='ignore'):
                self._rate = self._change(value) / ((time - self._time) * 1e-9)
        self._time, self._value = time, value
        return self._rate

    def _rate_each(
            self, time: int | tuple[int, ...], value: NDArray[np.float64],
    ) -> NDArray[np.float64] | None:
        """Compute the rate of change of numbers with separate times."""
        size = len(value)
        first = np.full(size, np.nan) if self._first is None else self._first
        if self._time is None:
            self._each, self._is_known = first, np.full(size, self._first is not None)
        elif not isinstance(self._time, tuple):
            # Until now they had a common time.
            self._each = first if self._rate is None else self._rate
            self._is_known = np.full(size, self._rate is not None)
        if self._time is not None:
            passed = np.subtract(
                np.broadcast_to(time, size), np.broadcast_to(self._time, size), dtype=np.int64)
            with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
                rate = self._change(value) / (passed * 1e-9)
            # An earlier measurement restarts the derivative.
            self._each = np.where(
                passed > 0, rate, np.where(passed < 0, first, self._each))
            self._is_known = np.where(
                passed == 0, self._is_known, (passed > 0) | (self._first is not None))
        self._rate = self._each if self._is_known.all() else None
        self._time, self._value = time, value
        return self._rate

    def _change(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the difference to the last measurement, with the turns that were left out."""
        change: NDArray[np.float64] = value - self._value
        for i, turn in enumerate(self._turns):
            count = turns_left_out(float(self._value[i]), float(value[i]), turn)
            if count:
                change[i] += count * turn
        return change


class History:
    """
    Values of the last ticks.

    :param ticks: Length of the history.
    :param fill: Whether the first value is repeated for the missing ticks before it.
    """

    def __init__(self, ticks: int, fill: bool) -> None:
        """Start empty."""
        self._ticks: deque[NDArray[Any]] = deque(maxlen=ticks)
        self._length = ticks
        self._fill = fill

    def reset(self) -> None:
        """Clear the history."""
        self._ticks.clear()

    def add(self, numbers: NDArray[Any]) -> NDArray[Any] | None:
        """
        Add the value of this tick.

        :param numbers: Shape (width,).
        :return: Shape (ticks * width,), the oldest first, or None if ticks are missing.
        """
        missing = self._length - len(self._ticks)
        self._ticks.extend([numbers] * (missing if self._fill and missing else 1))
        return np.concatenate(self._ticks) if len(self._ticks) == self._length else None
