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
"""Doubts: nothing is plainly wrong, but the policy may be out of its depth."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.safety.reasons import Finding, finding, Reason
from dfp_ros.core.settings.safety import GUARD, SafetySettings
from dfp_ros.spec import ObservationField, PolicySpec

# A doubt is over when its figure was below this share of the limit so often in a row.
_RELEASE, _CALM = 0.8, 3
# Observations come at every tick, answers at every chunk; seconds without an outlier, then.
_CALM_SECONDS = 0.5
# What never changed in the training data may be off by rounding, as a share of its size.
_ROUNDING = 1e-3


class Monitor:
    """
    Whether a figure is above its limit, without flicker: at once when it is, until some calm.

    :param limit: The limit.
    :param calm: How many figures in a row have to be well below it.

    :ivar is_on: Whether there is a doubt.
    """

    def __init__(self, limit: float, calm: int = _CALM) -> None:
        """Start without a doubt."""
        self._limit = limit
        self._calm = calm
        self.reset()

    def reset(self) -> None:
        """Begin as new."""
        self.is_on = False
        self._below = 0

    def judge(self, figure: float) -> bool:
        """Judge a figure; one that is not a number is above any limit."""
        self._below = self._below + 1 if figure <= _RELEASE * self._limit else 0
        if self.is_on:
            self.is_on = self._below < self._calm
        else:
            self.is_on = not figure <= self._limit
        return self.is_on


class Ranges(NamedTuple):
    """
    The ranges of the training data, a number of the observation each.

    :param low: The smallest value.
    :param high: The largest.
    :param middle: The middle of the two.
    :param per_range: One over their difference; over a little, where the number never changed.
    """

    low: list[float]
    high: list[float]
    middle: list[float]
    per_range: list[float]


def training_ranges(fields: Sequence[ObservationField]) -> Ranges:
    """Put the ranges of all fields in a row."""
    low = [value for field in fields for value in field.low]
    high = [value for field in fields for value in field.high]
    ranges = list(zip(low, high, strict=True))
    return Ranges(
        low, high, [(low + high) / 2 for low, high in ranges],
        [1 / max(high - low, _ROUNDING * max(1, abs(low), abs(high))) for low, high in ranges])


def distances(observation: Sequence[float], ranges: Ranges) -> list[float]:
    """
    Measure how far each number is from the middle of its range, as a fraction of that range.

    What is above 0.5 is outside.

    :param observation: The observation, finite.
    :param ranges: The ranges.
    """
    # In plain Python: between two ticks the processor forgets numpy's code, not this.
    return [
        abs(number - middle) * per_range for number, middle, per_range in zip(
            observation, ranges.middle, ranges.per_range, strict=True)]


class Envelope:
    """
    The range of the training data.

    :param fields: The observation's fields.
    :param margin: How far outside an observation may be, as a fraction of the range.
    :param calm: How many observations in a row have to be inside until all is well again.
    :param far: How far outside is too far to go on, likewise.
    :param long: How many observations in a row may be outside before that is too long.
    :param seconds: How long these take in s.

    :ivar counts: How often each number was outside since the reset, shape (obs_dim,).
    :ivar excess: Why the policy should not go on, for people; empty where it may.
    """

    def __init__(
            self, fields: Sequence[ObservationField], margin: float, calm: int,
            far: float = math.inf, long: float = math.inf, seconds: float = math.inf) -> None:
        """Start inside."""
        self._names = [f'{field.name}[{i}]' for field in fields for i in range(field.size)]
        self._ranges = training_ranges(fields)
        self._margin = margin
        self._doubt = Monitor(margin, calm)
        self._is_far = Monitor(far, calm)
        self._long = long
        self._why_far = f'further outside than {far:g} of its range (safety.envelope_far)'
        self._why_long = f'outside for longer than {seconds:g} s (safety.envelope_long)'
        self._stay = 0
        self.excess = ''
        self.counts = np.zeros(len(self._names), np.int64)

    def reset(self) -> None:
        """Begin as new."""
        self._doubt.reset()
        self._is_far.reset()
        self._stay = 0
        self.excess = ''
        self.counts[:] = 0

    @property
    def outside(self) -> dict[str, int]:
        """Return how often each number was outside, of those that were."""
        return {
            name: count for name, count in zip(self._names, self.counts.tolist(), strict=True)
            if count}

    def judge(self, observation: FloatArray) -> str:
        """
        Judge an observation.

        :param observation: Shape (obs_dim,), finite.
        :return: What is outside, for people; empty where there is no doubt.
        """
        beyond = distances(observation.tolist(), self._ranges)
        largest = max(beyond)
        most = max(0.0, largest - 0.5)
        is_far = self._is_far.judge(most)
        if not self._doubt.judge(most):
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
    All doubts of a controller.

    :param settings: Limits, and what is done about them.
    :param spec: The policy's specification.
    :param tick: Time between two ticks in ns.

    :ivar envelope: The range of the training data.
    """

    def __init__(self, settings: SafetySettings, spec: PolicySpec, tick: int) -> None:
        """Start without a doubt."""
        self._settings = settings
        calm = max(_CALM, round(_CALM_SECONDS * 1e9 / tick))
        self.envelope = Envelope(
            spec.observation, settings.envelope_margin, calm, settings.envelope_far,
            settings.envelope_long * 1e9 / tick, settings.envelope_long)
        self._spread = Monitor(settings.spread_limit)
        self._deadline = settings.inference_deadline * tick * 1e-9
        self._late = Monitor(self._deadline)

    def reset(self) -> None:
        """Begin as new."""
        self.envelope.reset()
        self._spread.reset()
        self._late.reset()

    def transfer_from(self, other: Monitors) -> None:
        """Go on with the counts of another; of its doubts, what is asked from now on tells."""
        self.envelope.counts[:] = other.envelope.counts

    def about_observation(self, observation: FloatArray) -> list[Finding]:
        """
        Judge what the policy is to see.

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
        Judge an answer of the policy; a chunk is judged once, and the verdict stands.

        :param spread: Standard deviation of the candidates, in action units.
        :param inference: How long the policy took, in s; None if the chunk is not a new one.
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
