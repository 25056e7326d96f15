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
"""Policy whose graph makes the processor fault at some observations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dfp_ros.spec import PolicySpec
from testing.policies.small_policy import policy_model


def write_faulting_policy(path: Path, spec: PolicySpec, place: int) -> Path:
    """
    Write a policy that divides the smallest integer by -1, which x86 processors cannot.

    :param path: The file.
    :param spec: Its specification.
    :param place: Index of the observation that makes it do so, above 0.5.
    :return: The path.
    """
    model = policy_model(spec)
    for name, array in (
            ('place', np.array([place])), ('half', np.array([0.5], np.float32)),
            ('huge', np.array([-1e30], np.float32)), ('one', np.array([-1.0], np.float32)),
            ('none', np.array([0.0], np.float32))):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    added = [
        helper.make_node('Gather', ['observation', 'place'], ['picked'], axis=1),
        helper.make_node('Sub', ['picked', 'half'], ['above']),
        helper.make_node('Relu', ['above'], ['switch']),
        helper.make_node('Mul', ['switch', 'huge'], ['large']),
        helper.make_node('Cast', ['large'], ['smallest'], to=onnx.TensorProto.INT64),
        helper.make_node('Cast', ['one'], ['divisor'], to=onnx.TensorProto.INT64),
        helper.make_node('Div', ['smallest', 'divisor'], ['quotient']),
        helper.make_node('Cast', ['quotient'], ['number'], to=onnx.TensorProto.FLOAT),
        helper.make_node('Mul', ['number', 'none'], ['nothing']),
        helper.make_node('Add', ['sum', 'nothing'], ['total'])]
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.output[0] == 'total')
    nodes[at].output[0] = 'sum'
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at + 1], *added, *nodes[at + 1:]])
    onnx.save(model, path)
    return path
