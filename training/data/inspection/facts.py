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
"""Summary statistics of a data file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data.inspection.cameras import CameraFacts, measure_camera
from training.data.transitions.statistics import measure
from training.data.transitions.transitions import Transitions

# Actions within this distance of the ends of their range count as saturated.
SATURATED = 1e-3
# Share of saturated steps from which a remark is made.
OFTEN = 0.1
# Rewards with more distinct values are summarised by their range.
VALUES = 6
Row = tuple[str, str]


@dataclass(frozen=True)
class Dimension:
    """
    Statistics of one dimension of the observation or the action.

    :param name: Name of its field, with its index if the field has several dimensions.
    :param unit: Unit of an observation; 1 for actions.
    :param low: Minimum.
    :param mean: Mean.
    :param high: Maximum.
    :param deviation: Standard deviation.
    :param constant: Whether it is constant by the criterion of
        :mod:`training.data.transitions.statistics`.
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
        """Remark on anything unusual."""
        if self.constant:
            return 'constant'
        often = self.saturated >= OFTEN
        return f'saturated in {percent(self.saturated)} of steps' if often else ''


@dataclass(frozen=True)
class Facts:
    """
    Contents of a data file.

    :param steps: Number of transitions.
    :param period: Control period in s.
    :param lengths: Shape (episodes,), length of each episode in steps.
    :param returns: Shape (episodes,), undiscounted return of each episode.
    :param rewards: Count of each reward, by value.
    :param solved_at: Shape (solved steps,), index of each in its episode.
    :param solved_episodes: Number of episodes with a solved step.
    :param repeated_steps: Number of steps that are bit-identical to an earlier one.
    :param repeated_episodes: Number of episodes that are bit-identical to an earlier one.
    :param breaks: Number of steps within an episode whose successor is not the observation of the
        next step: a gap without an episode end.
    :param observation: Dimensions of the observation, in order.
    :param action: Dimensions of the action, in order.
    :param cameras: Pictures of each camera, in order.
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
    cameras: tuple[CameraFacts, ...] = ()


def gather(data: Transitions) -> Facts:
    """Compute the statistics."""
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
        action=_dimensions(data.action_fields, data.actions, acting=True),
        cameras=tuple(measure_camera(frames, data) for frames in data.images))


def summary(facts: Facts, rewarded: bool) -> list[Row]:
    """
    Summarise the statistics as labels and texts.

    :param facts: Statistics of a file.
    :param rewarded: Whether its rewards are known.
    """
    lengths = facts.lengths
    rows = [
        ('steps', f'{facts.steps:,} in {_count(len(lengths), "episode")} of '
                  f'{_span(lengths, "{:,}")} steps, {facts.steps * facts.period:,.0f} s at '
                  f'{1 / facts.period:g} Hz'),
        ('observation', f'{len(facts.observation)} numbers{_constants(facts.observation)}'),
        ('action', f'{len(facts.action)} numbers{_constants(facts.action)}'),
        *((f'camera {camera.name}', camera.words) for camera in facts.cameras)]
    if rewarded:
        solved = len(facts.solved_at)
        rows += [
            ('rewards', f'{_rewards(facts)}; {_span(facts.returns, "{:g}")} an episode'),
            ('solved', f'{_count(solved, "step")} ({percent(solved / facts.steps, 1)}), in '
                       f'{facts.solved_episodes} of {_count(len(lengths), "episode")}')]
    return [*rows, ('repeated', f'{_count(facts.repeated_steps, "step")}, '
                                f'{_count(facts.repeated_episodes, "episode")}'),
            ('gaps', (
                f'{_count(facts.breaks, "step")} whose successor is not the next step of the '
                'episode') if facts.breaks else 'none within an episode')]


def percent(share: float, digits: int = 0) -> str:
    """Format a share as a percentage."""
    return f'{100 * share:.{digits}f} %'


def _fingerprints(data: Transitions) -> np.ndarray:
    """Hash each step; different steps have different hashes with near certainty."""
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
