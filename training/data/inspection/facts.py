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
"""What is in a data file, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data.transitions.statistics import measure
from training.data.transitions.transitions import Transitions

# Actions this near to the ends of their range count as saturated.
SATURATED = 1e-3
# From this share of saturated steps on, it is remarked.
OFTEN = 0.1
# Rewards of more values than that are told by their range alone.
VALUES = 6
Row = tuple[str, str]


@dataclass(frozen=True)
class Dimension:
    """
    One number of the observation or of the action.

    :param name: Its field, and its place there where the field has several numbers.
    :param unit: Of the observation; actions have 1.
    :param low: Smallest value.
    :param mean: Mean value.
    :param high: Largest value.
    :param deviation: Standard deviation.
    :param constant: Whether it does not move, as :mod:`training.data.transitions.statistics` has
        it.
    :param saturated: Share of steps at either end of the action's range; 0 for observations.
    """

    name: str
    unit: str
    low: float
    mean: float
    high: float
    deviation: float
    constant: bool
    saturated: float

    @property
    def remark(self) -> str:
        """Say what is odd about it."""
        if self.constant:
            return 'constant'
        often = self.saturated >= OFTEN
        return f'saturated in {percent(self.saturated)} of steps' if often else ''


@dataclass(frozen=True)
class Facts:
    """
    What is in a data file.

    :param steps: How many transitions.
    :param period: Control period in s.
    :param lengths: Shape (episodes,), steps of each.
    :param returns: Shape (episodes,), the sum of each one's rewards.
    :param rewards: How often each reward comes, by value.
    :param solved_at: Shape (solved steps,), how far each is into its episode, in steps.
    :param solved_episodes: Episodes with a solved step.
    :param repeated_steps: Steps that equal an earlier one to the last bit.
    :param repeated_episodes: Episodes that equal an earlier one to the last bit.
    :param breaks: Steps within an episode whose successor is not the next step's observation: the
        data has a gap there that no episode's end marks.
    :param observation: Its numbers, in order.
    :param action: Its numbers, in order.
    """

    steps: int
    period: float
    lengths: np.ndarray
    returns: np.ndarray
    rewards: dict[float, int]
    solved_at: np.ndarray
    solved_episodes: int
    repeated_steps: int
    repeated_episodes: int
    breaks: int
    observation: tuple[Dimension, ...]
    action: tuple[Dimension, ...]


def gather(data: Transitions) -> Facts:
    """Go through the data once."""
    ends = np.flatnonzero(data.terminals) + 1
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    rewards, counts = np.unique(data.rewards, return_counts=True)
    solved = data.masks == 0
    prints = _fingerprints(data)
    episodes = Counter(
        prints[start:end].tobytes() for start, end in zip(starts, ends, strict=True))
    inner = np.flatnonzero(data.terminals[:-1] == 0)
    return Facts(
        steps=len(data), period=data.period, lengths=lengths,
        returns=np.add.reduceat(data.rewards, starts, dtype=np.float64),
        rewards={float(value): int(count) for value, count in zip(rewards, counts, strict=True)},
        solved_at=(np.arange(len(data)) - np.repeat(starts, lengths))[solved],
        solved_episodes=int(np.logical_or.reduceat(solved, starts).sum()),
        repeated_steps=len(data) - len(np.unique(prints)),
        repeated_episodes=len(starts) - len(episodes),
        breaks=_breaks(data, inner),
        observation=_dimensions(data.observation_fields, data.observations, acting=False),
        action=_dimensions(data.action_fields, data.actions, acting=True))


def summary(facts: Facts, rewarded: bool) -> list[Row]:
    """
    Tell the facts in words.

    :param facts: Of a file.
    :param rewarded: Whether its rewards are known.
    """
    lengths = facts.lengths
    rows = [
        ('steps', f'{facts.steps:,} in {_count(len(lengths), "episode")} of '
                  f'{_span(lengths, "{:,}")} steps, {facts.steps * facts.period:,.0f} s at '
                  f'{1 / facts.period:g} Hz'),
        ('observation', f'{len(facts.observation)} numbers{_constants(facts.observation)}'),
        ('action', f'{len(facts.action)} numbers{_constants(facts.action)}')]
    if rewarded:
        solved = len(facts.solved_at)
        rows += [
            ('rewards', f'{_rewards(facts)}; {_span(facts.returns, "{:g}")} an episode'),
            ('solved', f'{_count(solved, "step")} ({percent(solved / facts.steps, 1)}), in '
                       f'{facts.solved_episodes} of {_count(len(lengths), "episode")}')]
    return [*rows, ('repeated', f'{_count(facts.repeated_steps, "step")}, '
                                f'{_count(facts.repeated_episodes, "episode")}'),
            ('gaps', f'{_count(facts.breaks, "step")} that the next one of the episode does not '
                     'follow' if facts.breaks else 'none within an episode')]


def percent(share: float, digits: int = 0) -> str:
    """Write a share for people."""
    return f'{100 * share:.{digits}f} %'


def _fingerprints(data: Transitions) -> np.ndarray:
    """Give each step a number; equal steps, and next to surely no others, have equal numbers."""
    generator = np.random.default_rng(0)
    prints = np.zeros(len(data), np.uint64)
    for values in (data.observations, data.actions, data.next_observations):
        bits = values.view(np.uint32) if values.flags.c_contiguous else values.copy().view('u4')
        for column in bits.T:
            factor = generator.integers(2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
            prints += column.astype(np.uint64) * factor
    return prints


def _breaks(data: Transitions, inner: np.ndarray) -> int:
    broken = 0
    for part in np.array_split(inner, max(1, len(inner) // 16_384)):
        differ = data.next_observations[part] != data.observations[part + 1]
        broken += int(differ.any(axis=1).sum())
    return broken


def _dimensions(
        fields: Iterable[Any], values: np.ndarray, acting: bool) -> tuple[Dimension, ...]:
    found = measure(values)
    names = [
        (f'{field.name}[{i}]' if field.size > 1 else field.name, '1' if acting else field.unit)
        for field in fields for i in range(field.size)]
    return tuple(
        Dimension(
            name, unit, float(found.low[i]), float(found.mean[i]), float(found.high[i]),
            float(found.deviation[i]), bool(found.constant[i]),
            float((np.abs(values[:, i]) >= 1 - SATURATED).mean()) if acting else 0.0)
        for i, (name, unit) in enumerate(names))


def _count(number: int, noun: str) -> str:
    return f'{number:,} {noun}{"" if number == 1 else "s"}'


def _span(values: np.ndarray, form: str) -> str:
    low, high = form.format(values.min()), form.format(values.max())
    return low if low == high else f'{low} to {high}'


def _constants(dimensions: tuple[Dimension, ...]) -> str:
    constant = sum(dimension.constant for dimension in dimensions)
    return f', {constant} of them constant' if constant else ''


def _rewards(facts: Facts) -> str:
    if len(facts.rewards) > VALUES:
        return f'{min(facts.rewards):g} to {max(facts.rewards):g}'
    return ', '.join(
        f'{value:g} in {percent(count / facts.steps, 1)}'
        for value, count in facts.rewards.items())
