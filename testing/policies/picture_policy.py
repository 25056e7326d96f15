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
"""Small but real policy files with pictures: bytes, and a convolution in the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser

from dfp_ros.spec import ActionField, METADATA_KEY, ObservationField, PolicySpec
from dfp_ros.spec_images import ImageField
from testing.policies.small_policy import policy_model

#: The pictures of the robot of testing/data/camera_arm.yaml.
IMAGES = (
    ImageField('wrist', 12, 12, 'rgb'), ImageField('depth', 6, 8, 'depth', 0.2, 1.2))
_FILTERS = 4


def camera_spec(**changes: Any) -> PolicySpec:
    """
    Describe a policy for the robot of testing/data/camera_arm.yaml.

    :param changes: Fields of the spec to replace.
    """
    return replace(PolicySpec(
        name='seeing', environment='camera_arm', period=0.05, horizon=4,
        observation=(ObservationField('joints', 2, 'rad', (-3.0,) * 2, (3.0,) * 2),),
        action=(ActionField(
            'speed', 2, 'rad/s', (-1.0,) * 2, (1.0,) * 2, (-1.0,) * 2, (1.0,) * 2),),
        candidates=2, images=IMAGES), **changes)


def picture_model(spec: PolicySpec, seed: int = 0, gain: float = 0.5) -> onnx.ModelProto:
    """
    Build a policy that sees: ``tanh(observation @ a + sum(encoding @ e) + noise @ b)``.

    An encoding is a 3 x 3 convolution with stride 2 of the picture in [0, 1], and the mean of its
    positive answers. It is computed once, for all candidates.

    :param spec: Specification of the policy.
    :param seed: Seed of the weights.
    :param gain: Size of the weights.
    """
    model = policy_model(replace(spec, images=()), seed)
    random = np.random.default_rng(seed + 1)
    nodes, last = [], 'seen'
    for i, image in enumerate(spec.images):
        count = image.shape[2]
        part = parser.parse_graph(f"""
            part (uint8[1, {image.height}, {image.width}, {count}] {image.name}) => (float[1, n] r)
            {{
                numbers_{i} = Cast <to = 1> ({image.name})
                light_{i} = Mul (numbers_{i}, per_number)
                planes_{i} = Transpose <perm = [0, 3, 1, 2]> (light_{i})
                answers_{i} = Conv <kernel_shape = [3, 3], strides = [2, 2]> (
                    planes_{i}, filters_{i})
                positive_{i} = Relu (answers_{i})
                means_{i} = GlobalAveragePool (positive_{i})
                encoding_{i} = Flatten (means_{i})
                from_picture_{i} = MatMul (encoding_{i}, e_{i})
                seen_{i} = Add ({last}, from_picture_{i})
            }}
        """)
        nodes += part.node
        model.graph.input.append(part.input[0])
        last = f'seen_{i}'
        for name, shape in (
                (f'filters_{i}', (_FILTERS, count, 3, 3)),
                (f'e_{i}', (_FILTERS, spec.noise_size))):
            model.graph.initializer.append(numpy_helper.from_array(
                gain * random.standard_normal(shape, dtype=np.float32), name))
    model.graph.initializer.append(
        numpy_helper.from_array(np.array(1 / 255, np.float32), 'per_number'))
    before = list(model.graph.node)
    total = next(node for node in before if node.output[0] == 'total')
    total.input[0] = last
    del model.graph.node[:]
    at = before.index(total)
    model.graph.node.extend([*before[:at], *nodes, *before[at:]])
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    return model


def write_picture_policy(
        path: Path, spec: PolicySpec | None = None, seed: int = 0, gain: float = 0.5) -> Path:
    """
    Write a policy file.

    :param path: The file.
    :param spec: Its specification; :func:`camera_spec` by default.
    :param seed: Seed of the weights.
    :param gain: Size of the weights.
    :return: The path.
    """
    onnx.save(picture_model(spec or camera_spec(), seed, gain), path)
    return path
