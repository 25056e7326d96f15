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
"""Random data of simulated scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from testing.learning.transitions import drawn
from training.data.formats.ogbench.scenes import ACTION, SCENES
from training.data.transitions.transitions import (
    action_fields,
    observation_fields,
    Transitions,
)


def of_scene(scene: str) -> Transitions:
    """Draw data with the fields of one of OGBench's scenes."""
    data, layout = drawn([3, 4]), SCENES[scene].observation
    size, acts = sum(size for _, size, _ in layout), sum(size for _, size, *_ in ACTION)
    values, actions = np.zeros((7, size), np.float32), np.zeros((7, acts), np.float32)
    return replace(
        data, observations=values, next_observations=values, actions=actions, period=0.05,
        observation_fields=observation_fields(layout, values),
        action_fields=action_fields(ACTION, actions))
