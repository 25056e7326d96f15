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
"""Policy file whose actions change smoothly within a chunk, as those of a trained policy do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from dfp_ros.spec import PolicySpec
from testing.policies.slow_policy import slow_down
from testing.policies.small_policy import policy_model


def write_smooth_policy(
        path: Path, spec: PolicySpec, place: int, always: float = 0.0, gain: float = 0.03) -> Path:
    """
    Write a policy that draws half a wave for each chunk, and multiplies matrices meanwhile.

    :param path: The file.
    :param spec: Its specification.
    :param place: Index of the observation that sets the number of products, and nothing else.
    :param always: Added to that number.
    :param gain: Size of the weights.
    :return: The path.
    """
    model = policy_model(spec)
    random = np.random.default_rng(0)
    phase = np.pi * np.arange(spec.horizon) / spec.horizon
    waves = np.array([np.cos(phase), np.sin(phase)])
    weights = {}
    for name, size in (('a', spec.observation_size), ('b', spec.noise_size)):
        drawn = gain * random.standard_normal((2, size, spec.action_size))
        weights[name] = np.einsum('wsa,wh->sha', drawn, waves).reshape(size, -1)
    weights['a'][place] = 0.0
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            initializer.CopyFrom(numpy_helper.from_array(
                weights[initializer.name].astype(np.float32), initializer.name))
    slow_down(model, place, always)
    onnx.save(model, path)
    return path
