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
"""Policies that never answer: always, or if an element of the observation requests it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser, TensorProto

from dfp_ros.spec import PolicySpec
from testing.policies.small_policy import policy_model


def endless_model(spec: PolicySpec, place: int | None = None) -> onnx.ModelProto:
    """
    Make a policy with a Loop that never terminates.

    :param spec: Its specification.
    :param place: Number of the observation that, above 0.5, makes it hang; None for always.
    """
    model = policy_model(spec, gain=0.7)
    graph = model.graph
    body = parser.parse_graph(
        'body (int64 i, bool c, float[1] x) => (bool c2, float[1] y) '
        '{ c2 = Identity (c) y = Identity (x) }')
    for node in graph.node:
        for i, output in enumerate(node.output):
            if output == 'spread':
                node.output[i] = 'spread_before'
    condition = 'always'
    graph.initializer.append(helper.make_tensor('always', TensorProto.BOOL, [], [True]))
    if place is not None:
        condition = 'is_over'
        for name, array in (('place', [place]), ('axis', [1])):
            graph.initializer.append(numpy_helper.from_array(
                np.array(array), name))
        graph.initializer.append(helper.make_tensor('half', TensorProto.FLOAT, [1], [0.5]))
        graph.node.extend([
            helper.make_node('Gather', ['observation', 'place'], ['number'], axis=1),
            helper.make_node('Squeeze', ['number', 'axis'], ['flat']),
            helper.make_node('Greater', ['flat', 'half'], ['over']),
            helper.make_node('Squeeze', ['over'], [condition])])
    graph.node.append(helper.make_node(
        'Loop', ['', condition, 'spread_before'], ['spread'], body=body))
    return model


def write_endless_policy(path: Path, spec: PolicySpec, place: int | None = None) -> Path:
    """Write the policy of :func:`endless_model`; return its path."""
    onnx.save(endless_model(spec, place), path)
    return path
