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
"""Rules for resuming a run: settings that may change, and the learning-rate schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from training.config import TrainConfig
from training.learning.trainer.schedule import learning_rate

# Settings that may change on resuming: they do not affect what is learned.
FREE = (
    'device', 'threads', 'evaluate_every', 'episodes', 'environments', 'log_every',
    'checkpoint_every', 'data', 'corrections')
# Settings that may change within bounds: the length of a run.
LENGTHS = ('steps', 'online_steps')


class ContinuationError(ValueError):
    """A run cannot be resumed with other settings; the message names the first one."""


def differences(before: TrainConfig, now: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Differences in settings that affect what is learned, each with both values."""
    old, new = asdict(before), asdict(now)
    return {
        name: (value, new[name]) for name, value in old.items()
        if name not in FREE and value != new[name]}


def changed_lengths(
        before: TrainConfig, now: TrainConfig, step: int,
        environment_steps: int) -> dict[str, list[int]]:
    """
    Determine how the length of a run changes if it is resumed with other settings.

    :param before: Settings so far.
    :param now: Settings to resume with.
    :param step: Updates taken.
    :param environment_steps: Steps taken in the environment.
    :return: The old and the new value of each of :data:`LENGTHS` that differs.
    :raises ContinuationError: If any other setting differs, or a length cannot change in this way.
    """
    found = differences(before, now)
    for name, (old, new) in found.items():
        if name not in LENGTHS:
            raise ContinuationError(
                f'was trained with {name} {old!r}, now asked for {new!r}; resume with the same '
                "settings, or start another run, which may start from this one's networks "
                '(--init-from)')
    if 'steps' in found and environment_steps:
        raise ContinuationError(
            f'was trained with steps {before.steps}, now asked for {now.steps}, and its online '
            'phase has begun; extend that phase with --online-steps')
    if 'online_steps' in found and not (before.online_steps and now.online_steps):
        raise ContinuationError(
            f'was trained with online_steps {before.online_steps}, now asked for '
            f'{now.online_steps}; an offline phase learns differently if an online phase follows, '
            "so start another run, which may start from this one's networks (--init-from)")
    for name, taken in zip(LENGTHS, (step, environment_steps), strict=True):
        if name in found and getattr(now, name) < taken:
            raise ContinuationError(
                f'has taken {taken} of {name} {getattr(before, name)}, now asked for '
                f'{getattr(now, name)}; ask for {taken} or more')
    return {name: list(values) for name, values in found.items()}


def told(before: TrainConfig, now: TrainConfig, step: int) -> str:
    """
    Describe the effect of another length on the learning rate.

    :param before: Settings so far.
    :param now: Settings to resume with.
    :param step: Updates taken.
    """
    lengths = f'resumes at update {step}, for {now.updates} updates instead of {before.updates}'
    if now.schedule == 'constant':
        return (
            f'{lengths}; the learning rate stays {now.learning_rate:g}, so the result is the '
            f'same as with {now.updates} updates from the start')
    return (
        f'{lengths}; the cosine schedule now reaches zero at the new last update, so the '
        f'learning rate of the next update is {learning_rate(now, step):.3g} instead of '
        f'{learning_rate(before, min(step, before.updates)):.3g}; the result differs from that '
        f'of {now.updates} updates from the start')
