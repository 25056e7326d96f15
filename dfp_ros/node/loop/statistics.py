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
"""How well the control loop keeps its promise: period, inference time, observation age."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Bins of the whole run's histogram: from _SMALLEST on, each reaches 1 % further than the one
# before, over twelve decades. A report costs microseconds, however long the run.
_SMALLEST, _BINS = 1e-6, 2778
_STEP = math.log(1.01)


class Series:
    """
    Numbers of one kind, since the last report and since the beginning.

    Percentiles of the whole run are right to 1 %, of numbers from 1e-6 to 1e6; what is smaller, or
    negative, counts as 0. Memory stays flat. Everything else is exact.
    """

    def __init__(self) -> None:
        """Start empty."""
        # Most of the work is left for reports, when ticks do not wait for it.
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
        """Return the largest number since the last call, None where there was none."""
        peak, self._peak = self._peak, -math.inf
        return peak if peak > -math.inf else None

    def window(self) -> dict[str, float]:
        """Report on the numbers since the last call."""
        self._count_in()
        values, self._window, self._counted = np.array(self._window), [], 0
        if not len(values):
            return _figures(*[math.nan] * 5)
        values.sort()
        return _figures(
            values.mean(), values.std(), _percentile(values, 50), _percentile(values, 99),
            values[-1])

    def run(self) -> dict[str, float]:
        """Report on all numbers."""
        self._count_in()
        if not self._count:
            return _figures(*[math.nan] * 5)
        up_to = np.cumsum(self._histogram)
        return _figures(
            self._mean, math.sqrt(self._squares / self._count), self._percentile(50, up_to),
            self._percentile(99, up_to), self._max)

    def _count_in(self) -> None:
        """Add what is new to the figures of the whole run."""
        values = np.array(self._window[self._counted:])
        self._counted = len(self._window)
        if not len(values):
            return
        large = values[values >= _SMALLEST]
        places = 1 + (np.log(large / _SMALLEST) / _STEP).astype(np.int64)
        self._histogram += np.bincount(np.minimum(places, _BINS - 1), minlength=_BINS)
        self._histogram[0] += len(values) - len(large)
        # Two means and two sums of squares make one of each without loss of digits, however long
        # the run (Chan, Golub and LeVeque, 1979).
        before, count, mean = self._count, len(values), float(values.mean())
        self._count += count
        difference = mean - self._mean
        self._mean += difference * count / self._count
        self._squares += (
            float(np.square(values - mean).sum()) + difference ** 2 * before * count / self._count)
        self._max = max(self._max, float(values.max()))

    def _percentile(self, percent: float, up_to: NDArray[np.int64]) -> float:
        """Interpolate between the two nearest ranks, as numpy does."""
        rank = percent / 100 * (self._count - 1)
        below, above = (
            # The middle of the bin, in proportion; the bin of what is too small has none.
            _SMALLEST * math.exp((place - 0.5) * _STEP) if place else 0.0
            for place in np.searchsorted(up_to, (math.floor(rank), math.ceil(rank)), side='right'))
        return min(self._max, below + (above - below) * (rank - math.floor(rank)))


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    """Interpolate in sorted numbers, as ``numpy.percentile`` does in several times the time."""
    rank = percent / 100 * (len(values) - 1)
    below = math.floor(rank)
    low, high = values[below], values[min(below + 1, len(values) - 1)]
    return float(low + (high - low) * (rank - below))


def _figures(mean: float, std: float, p50: float, p99: float, largest: float) -> dict[str, float]:
    """Give figures their names; NaN where there are no numbers."""
    return {
        'mean': float(mean), 'std': float(std), 'p50': float(p50), 'p99': float(p99),
        'max': float(largest)}


class LoopStatistics:
    """
    Statistics of a control loop.

    :param period: Time between ticks in s, or None for a loop that follows its samples.
    """

    _REPORTED = (
        ('period', ('mean', 'std', 'p99', 'max')), ('period_error', ('p99', 'max')),
        ('inference', ('p50', 'p99', 'max')),
        ('observation_age', ('p50', 'max')))

    def __init__(self, period: float | None) -> None:
        """Start with the first tick to come."""
        self.ticks = 0
        self.missed_ticks = 0
        self._period = period
        self._series = {name: Series() for name, _ in self._REPORTED}
        self._last_time: float | None = None
        self._last_deadline: float | None = None
        self._reported = (0, 0)

    def tick(self, time: float, deadline: float | None = None) -> None:
        """
        Note that a tick began.

        The deadlines between those of two ticks were missed: whatever was due then was dropped,
        and is never made up for. A tick that comes before the next deadline is late, and not
        missed. A clock that is set back starts anew.

        :param time: Time in s.
        :param deadline: The last one before that, on the same clock; None where there are none.
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
        """Have the deadlines begin anew with the next tick; none was missed until then."""
        self._last_time = None

    def add(self, inference: float | None, observation_age: float | None) -> None:
        """Note what a tick found, both in s; None where there was none."""
        if inference is not None:
            self._series['inference'].add(inference * 1e3)
        if observation_age is not None:
            self._series['observation_age'].add(observation_age * 1e3)

    def peaks(self) -> dict[str, float]:
        """Largest of each kind since the last call, in ms; those that there are."""
        peaks = {name: series.peak() for name, series in self._series.items()}
        return {name: peak for name, peak in peaks.items() if peak is not None}

    def report(self) -> dict[str, float]:
        """Figures since the last report, and with the prefix ``run_`` since the beginning."""
        found: dict[str, float] = {}
        for prefix in ('', 'run_'):
            for name, figures in self._REPORTED:
                series = self._series[name]
                values = series.run() if prefix else series.window()
                found.update({f'{prefix}{name}_{key}_ms': values[key] for key in figures})
        found['ticks'] = self.ticks - self._reported[0]
        found['missed_ticks'] = self.missed_ticks - self._reported[1]
        found['run_ticks'], found['run_missed_ticks'] = self.ticks, self.missed_ticks
        self._reported = self.ticks, self.missed_ticks
        return found
