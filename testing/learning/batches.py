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
"""Random episodes for replay buffers."""

from __future__ import annotations

import numpy as np

from training.data.transitions.transitions import Transitions


def episodes(lengths, seed=0, solved=()):
    """Random transitions; ``solved`` lists episodes whose last step has mask 0."""
    generator = np.random.default_rng(seed)
    size = sum(lengths)
    ends = np.cumsum(lengths) - 1
    terminals, masks = np.zeros(size, np.float32), np.ones(size, np.float32)
    terminals[ends] = 1
    masks[ends[list(solved)]] = 0
    draw = lambda *shape: generator.standard_normal(shape).astype(np.float32)  # noqa: E731
    return Transitions(
        observations=draw(size, 3), actions=draw(size, 2), next_observations=draw(size, 3),
        rewards=draw(size), masks=masks, terminals=terminals, observation_fields=(),
        action_fields=(), period=0.05, source={})
