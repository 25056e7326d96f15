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
"""Runtime monitors with hysteresis: training range (OOD), candidate spread, inference time."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.safety.reasons import Finding, finding, Reason
from dfp_ros.core.settings.safety import GUARD, SafetySettings
from dfp_ros.spec import ObservationField, PolicySpec

# A warning is cleared after so many values in a row below this fraction of the limit.
_RELEASE, _RELEASE_COUNT = 0.8, 3
# Observations come at every tick, answers at every chunk: of observations, seconds inside.
_RELEASE_SECONDS = 0.5
# Tolerance of numbers that are constant in the training data, as a fraction of their size.
_ROUNDING = 1e-3


class Monitor:
    """
    Threshold with hysteresis.

    The warning is raised at the first value above the limit, and cleared after several consecutive
    values well below it.

    :param limit: The limit.
    :param release_count: Values in a row well below the limit that clear the warning.

    :ivar is_on: Whether the warning is raised.
    """

    def __init__(self, limit: float, release_count: int = _RELEASE_COUNT) -> None:
        """Start without a warning."""
        self._limit = limit
        self._release_count = release_count
        self.reset()

    def reset(self) -> None:
        """Clear the warning."""
        self.is_on = False
        self._below = 0

    def continue_from(self, other: Monitor, ticks: float) -> None:
        """
        Take over another's warning.

        :param other: The monitor so far.
        :param ticks: Time between two of its values, in those of this one.
        """
        self.is_on, self._below = other.is_on, round(other._below * ticks)

    def judge(self, value: float) -> bool:
        """Compare a value with the limit; NaN is above any limit."""
        self._below = self._below + 1 if value <= _RELEASE * self._limit else 0
        if self.is_on:
            self.is_on = self._below < self._release_count
        else:
            self.is_on = not value <= self._limit
        return self.is_on


class Ranges(NamedTuple):
    """
    Ranges of the training data, one for each number of the observation.

    :param low: The smallest value.
    :param high: The largest.
    :param middle: The middle of the two.
    :param per_range: Inverse of their difference; of a tolerance, if the number is constant.
    """

    low: list[float]
    high: list[float]
    middle: list[float]
    per_range: list[float]


def training_ranges(fields: Sequence[ObservationField]) -> Ranges:
    """Concatenate the ranges of all fields."""
    low = [value for field in fields for value in field.low]
    high = [value for field in fields for value in field.high]
    ranges = list(zip(low, high, strict=True))
    return Ranges(
        low, high, [(low + high) / 2 for low, high in ranges],
        [1 / max(high - low, _ROUNDING * max(1, abs(low), abs(high))) for low, high in ranges])


def distances(observation: Sequence[float], ranges: Ranges) -> list[float]:
    """
    Compute the distance of each number from the middle of its range, as a fraction of that range.

    A number with a distance above 0.5 is outside.

    :param observation: The observation, finite.
    :param ranges: The ranges.
    """
    # Plain Python is faster here: NumPy's code leaves the CPU caches between two ticks.
    return [
        abs(number - middle) * per_range for number, middle, per_range in zip(
            observation, ranges.middle, ranges.per_range, strict=True)]


class Envelope:
    """
    Training-range (out-of-distribution) monitor.

    :param fields: The observation's fields.
    :param margin: Distance outside the range that is allowed, as a fraction of the range.
    :param release_count: Observations in a row inside the range that clear the warning.
    :param far: Distance outside at which the policy has to stop, as a fraction of the range.
    :param long: Observations in a row outside after which the policy has to stop.
    :param seconds: Duration of these observations in s.

    :ivar counts: How often each number was outside since the reset, shape (obs_dim,).
    :ivar excess: Why the policy has to stop, as text; empty if it may continue.
    """

    def __init__(
            self, fields: Sequence[ObservationField], margin: float, release_count: int,
            far: float = math.inf, long: float = math.inf, seconds: float = math.inf) -> None:
        """Start inside the range."""
        self._names = [f'{field.name}[{i}]' for field in fields for i in range(field.size)]
        self._ranges = training_ranges(fields)
        self._margin = margin
        self._is_outside = Monitor(margin, release_count)
        self._is_far = Monitor(far, release_count)
        self._long = long
        self._why_far = f'further outside than {far:g} of its range (safety.envelope_far)'
        self._why_long = f'outside for longer than {seconds:g} s (safety.envelope_long)'
        self._stay = 0
        self.excess = ''
        self.counts = np.zeros(len(self._names), np.int64)

    def reset(self) -> None:
        """Clear warnings and counters."""
        self._is_outside.reset()
        self._is_far.reset()
        self._stay = 0
        self.excess = ''
        self.counts[:] = 0

    def continue_from(self, other: Envelope, ticks: float) -> None:
        """
        Take over another's counters, and how long the observation has been outside.

        With the same range, the warnings go on. In another one, they are found again, and an
        observation that is inside at the first check has not been outside.

        :param other: The monitor so far.
        :param ticks: Length of its ticks, in ticks of this one.
        """
        self.counts[:] = other.counts
        self._stay = round(other._stay * ticks)
        if self._ranges == other._ranges:
            self._is_outside.continue_from(other._is_outside, ticks)
            self._is_far.continue_from(other._is_far, ticks)

    @property
    def outside(self) -> dict[str, int]:
        """Numbers that were outside since the reset, by name, and how often."""
        return {
            name: count for name, count in zip(self._names, self.counts.tolist(), strict=True)
            if count}

    def judge(self, observation: FloatArray) -> str:
        """
        Check an observation.

        :param observation: Shape (obs_dim,), finite.
        :return: Description of the numbers outside; empty without a warning.
        """
        beyond = distances(observation.tolist(), self._ranges)
        largest = max(beyond)
        most = max(0.0, largest - 0.5)
        is_far = self._is_far.judge(most)
        if not self._is_outside.judge(most):
            self._stay = 0
            self.excess = ''
            return ''
        self._stay += 1
        self.excess = self._why_far if is_far else self._why_long if (
            self._stay > self._long) else ''
        if most <= self._margin:
            return 'the observation was outside the range of the training data a moment ago'
        worst = beyond.index(largest)
        outside = np.greater(beyond, self._margin + 0.5)
        self.counts += outside
        others = int(outside.sum()) - 1
        return (
            f'{self._names[worst]} is {observation[worst]:.4g}, the training data have '
            f'{self._ranges.low[worst]:.4g} to {self._ranges.high[worst]:.4g}'
            + (f'; {others} more outside' if others else ''))


class Monitors:
    """
    All runtime monitors of a controller.

    :param settings: Limits, and the responses to them.
    :param spec: The policy's specification.
    :param tick: Time between two ticks in ns.

    :ivar envelope: The training-range monitor.
    """

    def __init__(self, settings: SafetySettings, spec: PolicySpec, tick: int) -> None:
        """Start without a warning."""
        self._settings = settings
        self._tick = tick
        release_count = max(_RELEASE_COUNT, round(_RELEASE_SECONDS * 1e9 / tick))
        self.envelope = Envelope(
            spec.observation, settings.envelope_margin, release_count, settings.envelope_far,
            settings.envelope_long * 1e9 / tick, settings.envelope_long)
        self._spread = Monitor(settings.spread_limit)
        self._deadline = settings.inference_deadline * tick * 1e-9
        self._late = Monitor(self._deadline)

    def reset(self) -> None:
        """Clear all warnings and counters."""
        self.envelope.reset()
        self._spread.reset()
        self._late.reset()

    def transfer_from(self, other: Monitors) -> None:
        """Take over another's counters; those of answers are found again by the checks."""
        self.envelope.continue_from(other.envelope, other._tick / self._tick)

    def about_observation(self, observation: FloatArray) -> list[Finding]:
        """
        Check an observation before the policy sees it.

        :param observation: Shape (obs_dim,), finite.
        """
        text = self.envelope.judge(observation)
        if not text:
            return []
        answer = self._settings.envelope
        if answer == GUARD:
            excess = self.envelope.excess
            answer, text = ('hold', f'{text}; {excess}') if excess else ('warn', text)
        return [finding(Reason.OUTSIDE_ENVELOPE, text, answer)]

    def about_answer(self, spread: float, inference: float | None) -> list[Finding]:
        """
        Check an answer of the policy; each chunk is checked once, and the result kept.

        :param spread: Standard deviation of the candidates, in action units.
        :param inference: Inference time in s; None if the chunk is not a new one.
        """
        findings = []
        if inference is not None:
            self._spread.judge(spread)
            if self._deadline:
                self._late.judge(inference)
        if self._spread.is_on:
            findings.append(finding(
                Reason.DISAGREEMENT, f'the candidates disagree by {spread:.3g}, the '
                f'limit is {self._settings.spread_limit:g}', self._settings.spread))
        if self._late.is_on:
            took = '' if inference is None else f' {inference * 1e3:.2f} ms'
            findings.append(finding(
                Reason.LATE_INFERENCE, f'inference took{took or " too long"}, the deadline is '
                f'{self._deadline * 1e3:.2f} ms', self._settings.late_inference))
        return findings
