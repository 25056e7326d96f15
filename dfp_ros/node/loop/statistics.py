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
"""Timing statistics of the control loop: period, inference time, observation age."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Histogram of the whole run: bins from _SMALLEST on, each 1 % wider than the one before, over
# twelve decades. The cost of a report does not depend on the length of the run.
_SMALLEST, _BINS = 1e-6, 2778
_STEP = math.log(1.01)


class Series:
    """
    Statistics of one quantity, since the last report and since the beginning.

    Percentiles of the whole run have a resolution of 1 % for numbers from 1e-6 to 1e6; smaller and
    negative numbers count as 0. Memory is constant. All other values are exact.
    """

    def __init__(self) -> None:
        """Start empty."""
        # Most of the work is done in reports, which do not delay ticks.
        self._window: list[float] = []
        self._counted = 0
        self._peak = -math.inf
        self._histogram = np.zeros(_BINS, np.int64)
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0
        self._max = -math.inf

    def add(self, value: float) -> None:
        """Add a number."""
        self._window.append(value)
        if value > self._peak:
            self._peak = value

    def peak(self) -> float | None:
        """Return the largest number since the last call, None if there was none."""
        peak, self._peak = self._peak, -math.inf
        return peak if peak > -math.inf else None

    def window(self) -> dict[str, float]:
        """Summarise the numbers since the last call."""
        self._count_in()
        values, self._window, self._counted = np.array(self._window), [], 0
        if not len(values):
            return _summary(*[math.nan] * 5)
        values.sort()
        return _summary(
            values.mean(), values.std(), _percentile(values, 50), _percentile(values, 99),
            values[-1])

    def run(self) -> dict[str, float]:
        """Summarise all numbers."""
        self._count_in()
        if not self._count:
            return _summary(*[math.nan] * 5)
        up_to = np.cumsum(self._histogram)
        return _summary(
            self._mean, math.sqrt(self._squares / self._count), self._percentile(50, up_to),
            self._percentile(99, up_to), self._max)

    def _count_in(self) -> None:
        """Add new numbers to the statistics of the whole run."""
        values = np.array(self._window[self._counted:])
        self._counted = len(self._window)
        if not len(values):
            return
        large = values[values >= _SMALLEST]
        bins = 1 + (np.log(large / _SMALLEST) / _STEP).astype(np.int64)
        self._histogram += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)
        self._histogram[0] += len(values) - len(large)
        # Parallel algorithm for mean and variance, stable for runs of any length (Chan, Golub and
        # LeVeque, 1979).
        before, count, mean = self._count, len(values), float(values.mean())
        self._count += count
        difference = mean - self._mean
        self._mean += difference * count / self._count
        self._squares += (
            float(np.square(values - mean).sum()) + difference ** 2 * before * count / self._count)
        self._max = max(self._max, float(values.max()))

    def _percentile(self, percent: float, up_to: NDArray[np.int64]) -> float:
        """Interpolate between the two nearest ranks, like NumPy."""
        rank = percent / 100 * (self._count - 1)
        below, above = (
            # The geometric middle of the bin; the first bin, of the smallest numbers, counts as 0.
            _SMALLEST * math.exp((index - 0.5) * _STEP) if index else 0.0
            for index in np.searchsorted(up_to, (math.floor(rank), math.ceil(rank)), side='right'))
        return min(self._max, below + (above - below) * (rank - math.floor(rank)))


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    """Interpolate in sorted numbers, like ``numpy.percentile``, but several times as fast."""
    rank = percent / 100 * (len(values) - 1)
    below = math.floor(rank)
    low, high = values[below], values[min(below + 1, len(values) - 1)]
    return float(low + (high - low) * (rank - below))


def _summary(mean: float, std: float, p50: float, p99: float, largest: float) -> dict[str, float]:
    """Name the values of a summary; NaN without numbers."""
    return {
        'mean': float(mean), 'std': float(std), 'p50': float(p50), 'p99': float(p99),
        'max': float(largest)}


class LoopStatistics:
    """
    Statistics of a control loop.

    :param period: Time between ticks in s, or None for a loop that is triggered by samples.
    """

    _REPORTED = (
        ('period', ('mean', 'std', 'p99', 'max')), ('period_error', ('p99', 'max')),
        ('inference', ('p50', 'p99', 'max')),
        ('observation_age', ('p50', 'max')))

    def __init__(self, period: float | None) -> None:
        """Start before the first tick."""
        self.ticks = 0
        self.missed_ticks = 0
        self._period = period
        self._series = {name: Series() for name, _ in self._REPORTED}
        self._last_time: float | None = None
        self._last_deadline: float | None = None
        self._reported = (0, 0)

    def tick(self, time: float, deadline: float | None = None) -> None:
        """
        Add the start of a tick.

        The deadlines between those of two ticks were missed: these ticks are skipped, and never
        made up for. A tick before the next deadline is late, but not missed. If the clock is set
        back, the deadlines start anew.

        :param time: Time in s.
        :param deadline: Its deadline on the same clock; None without deadlines.
        """
        self.ticks += 1
        if self._last_time is None or time < self._last_time:
            self._last_deadline = None
        else:
            self._series['period'].add((time - self._last_time) * 1e3)
            if self._period is not None:
                self._series['period_error'].add(abs(time - self._last_time - self._period) * 1e3)
                if deadline is not None and self._last_deadline is not None:
                    passed = round((deadline - self._last_deadline) / self._period)
                    self.missed_ticks += max(0, passed - 1)
        self._last_time, self._last_deadline = time, deadline

    def pause(self) -> None:
        """Restart the deadlines at the next tick; none counts as missed until then."""
        self._last_time = None

    def add(self, inference: float | None, observation_age: float | None) -> None:
        """Add the measurements of a tick, both in s; None if there was none."""
        if inference is not None:
            self._series['inference'].add(inference * 1e3)
        if observation_age is not None:
            self._series['observation_age'].add(observation_age * 1e3)

    def peaks(self) -> dict[str, float]:
        """Return the largest value of each quantity since the last call, in ms."""
        peaks = {name: series.peak() for name, series in self._series.items()}
        return {name: peak for name, peak in peaks.items() if peak is not None}

    def report(self) -> dict[str, float]:
        """Summarise the time since the last report and, with prefix ``run_``, the whole run."""
        found: dict[str, float] = {}
        for prefix in ('', 'run_'):
            for name, keys in self._REPORTED:
                series = self._series[name]
                values = series.run() if prefix else series.window()
                found.update({f'{prefix}{name}_{key}_ms': values[key] for key in keys})
        found['ticks'] = self.ticks - self._reported[0]
        found['missed_ticks'] = self.missed_ticks - self._reported[1]
        found['run_ticks'], found['run_missed_ticks'] = self.ticks, self.missed_ticks
        self._reported = self.ticks, self.missed_ticks
        return found
