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
"""Which settings a run that goes on may have changed, and what that does to its learning rate."""

from __future__ import annotations

from dataclasses import asdict
import math
from typing import Any

from training.config import TrainConfig

# Settings that may change at resume: they do not change what is learned.
FREE = (
    'device', 'threads', 'evaluate_every', 'episodes', 'environments', 'log_every',
    'checkpoint_every', 'data')
# Settings that may change within bounds: how long a run is.
LENGTHS = ('steps', 'online_steps')


class ContinuationError(ValueError):
    """A run cannot go on with other settings; the message names the first."""


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rate of the update after ``step`` updates."""
    if config.schedule == 'constant':
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.updates))


def differences(before: TrainConfig, now: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """List the settings that matter to what is learned, with both values, where they differ."""
    old, new = asdict(before), asdict(now)
    return {
        name: (value, new[name]) for name, value in old.items()
        if name not in FREE and value != new[name]}


def changed_lengths(
        before: TrainConfig, now: TrainConfig, step: int,
        environment_steps: int) -> dict[str, list[int]]:
    """
    Tell how the length of a run changes where it goes on with other settings.

    :param before: Its settings so far.
    :param now: Those that it is to go on with.
    :param step: Updates taken.
    :param environment_steps: Steps taken in the environment.
    :return: The old and the new value of each of :data:`LENGTHS` that differs.
    :raises ContinuationError: If any other setting differs, or a length cannot change so.
    """
    found = differences(before, now)
    for name, (old, new) in found.items():
        if name not in LENGTHS:
            raise ContinuationError(
                f'was trained with {name} {old!r}, now asked for {new!r}; resume with the same '
                "settings, or start another run, which may begin with this one's networks "
                '(--init-from)')
    if 'steps' in found and environment_steps:
        raise ContinuationError(
            f'was trained with steps {before.steps}, now asked for {now.steps}, and its online '
            'phase has begun; make that longer with --online-steps')
    if 'online_steps' in found and not (before.online_steps and now.online_steps):
        raise ContinuationError(
            f'was trained with online_steps {before.online_steps}, now asked for '
            f'{now.online_steps}; an offline phase learns otherwise where an online one follows, '
            "so start another run, which may begin with this one's networks (--init-from)")
    for name, taken in zip(LENGTHS, (step, environment_steps), strict=True):
        if name in found and getattr(now, name) < taken:
            raise ContinuationError(
                f'has taken {taken} of {name} {getattr(before, name)}, now asked for '
                f'{getattr(now, name)}; ask for {taken} or more')
    return {name: list(values) for name, values in found.items()}


def told(before: TrainConfig, now: TrainConfig, step: int) -> str:
    """
    Say what another length does to the learning rate.

    :param before: The run's settings so far.
    :param now: Those that it goes on with.
    :param step: Updates taken.
    """
    lengths = f'goes on at update {step} to {now.updates} updates in place of {before.updates}'
    if now.schedule == 'constant':
        return (
            f'{lengths}; the learning rate stays {now.learning_rate:g}, so the run is the one '
            f'that it would have been with {now.updates} from the start')
    return (
        f'{lengths}; the learning rate falls along its cosine to zero at the last update, so it '
        f'is {learning_rate(now, step):.3g} for the next one, where the run so far would have '
        f'had {learning_rate(before, min(step, before.updates)):.3g}; this is not the run that '
        f'{now.updates} updates from the start would have been')
