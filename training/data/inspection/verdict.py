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
"""Compatibility of a preset with data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.config import TrainConfig
from training.data.inspection.facts import Facts, percent
from training.data.transitions.transitions import Transitions
from training.evaluation.environment_fit import misfits

# Share of repeated steps, or of chunks across episode ends, above which a warning is given.
MUCH = 0.5


@dataclass(frozen=True)
class Compatibility:
    """
    Whether a preset can train on the data.

    :param preset: Its name.
    :param answer: ``yes``, ``but`` for yes with warnings, or ``no``.
    :param reasons: Reasons of any answer except ``yes``.
    """

    preset: str
    answer: Literal['yes', 'but', 'no']
    reasons: tuple[str, ...]


def judge(
        preset: str, config: TrainConfig, data: Transitions, facts: Facts,
        rewarded: bool) -> Compatibility:
    """
    Check whether a preset can train on the data.

    :param preset: Its name.
    :param config: Its settings.
    :param data: Transitions, with the rewards of the preset's environment if the data fit it.
    :param facts: Statistics of the data.
    :param rewarded: Whether its rewards are known.
    """
    doubts, found = [], list(misfits(config.environment, data))
    values = config.value_weight > 0 or config.best_of > 1
    chunks = int(np.maximum(facts.lengths - config.horizon + 1, 0).sum())
    if facts.steps <= config.horizon or not chunks:
        found.append(
            f'no episode is longer than {facts.lengths.max()} steps, a chunk has {config.horizon}')
    elif chunks < MUCH * facts.steps:
        doubts.append(
            f'{percent(1 - chunks / facts.steps)} of the chunks cross the end of an episode')
    if values and not rewarded:
        found.append('its critic needs rewards, which are unknown')
    elif values and not len(facts.solved_at):
        words = 'no step is solved'
        if len(facts.rewards) > 1:
            doubts.append(f'{words}: the critic learns only from the other rewards')
        elif config.online_steps:
            doubts.append(f'{words}: the critic learns nothing before the online phase')
        else:
            found.append(f'{words} and all rewards are equal: its critic has nothing to learn')
    if facts.repeated_steps > MUCH * facts.steps:
        doubts.append(f'{percent(facts.repeated_steps / facts.steps)} of the steps repeat others')
    if facts.breaks:
        doubts.append(f'{facts.breaks:,} steps have a successor that is not the next step')
    still = [dimension.name for dimension in facts.action if dimension.constant]
    if still:
        doubts.append(f'constant action dimensions: {", ".join(still)}')
    if found:
        return Compatibility(preset, 'no', tuple(found))
    return Compatibility(preset, 'but' if doubts else 'yes', tuple(doubts))
