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
"""Random transitions."""

from __future__ import annotations

import numpy as np

from training.data.transitions.transitions import (
    action_fields,
    observation_fields,
    Transitions,
)


def drawn(lengths: list[int], observation: int = 3, action: int = 2, seed: int = 0) -> Transitions:
    """Episodes of random numbers."""
    generator = np.random.default_rng(seed)
    size = sum(lengths)
    terminals = np.zeros(size, np.float32)
    terminals[np.cumsum(lengths) - 1] = 1

    def rows(*shape: int) -> np.ndarray:
        return generator.uniform(-1, 1, shape).astype(np.float32)

    observations, actions = rows(size, observation), rows(size, action)
    return Transitions(
        observations=observations, actions=actions, next_observations=rows(size, observation),
        rewards=rows(size), masks=(generator.random(size) < 0.9).astype(np.float32),
        terminals=terminals,
        observation_fields=observation_fields([('state', observation, 'm')], observations),
        action_fields=action_fields([('velocity', action, 'm/s', 0.5)], actions),
        period=0.05, source={'robot': 'none'})
