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
"""Schedules of a run: settings that depend on the number of updates taken."""

from __future__ import annotations

import math

from training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of the update after ``step`` updates."""
    if config.schedule == 'constant':
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.updates))


def improvement_start(config: TrainConfig) -> int:
    """Count the updates before the top-K drift: the offline ones if an online phase follows."""
    return config.steps if config.online_steps else config.improve_after


def value_weight(config: TrainConfig, step: int) -> float:
    """Weight lambda of the top-K drift in the update after ``step`` updates."""
    if not config.value_ramp:
        return config.value_weight
    share = (step + 1 - improvement_start(config)) / config.value_ramp
    return config.value_weight * min(1.0, max(0.0, share))


def trains_actor(config: TrainConfig, step: int) -> bool:
    """Tell whether the update after ``step`` updates trains the actor too."""
    return step % config.actor_every == 0


def renews_anchor(config: TrainConfig, step: int) -> bool:
    """Tell whether the anchor policy is renewed before the update after ``step`` updates."""
    since = step - improvement_start(config)
    return config.anchor_every > 0 and since > 0 and since % config.anchor_every == 0
