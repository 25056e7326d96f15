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
"""Policy file whose inference time an element of the observation determines."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.spec import PolicySpec
from testing.policies.small_policy import policy_model

_SIZE = 96
#: Parameter that permits such a policy, for :class:`testing.faults.cell.FaultCell`.
LOOP: dict[str, Any] = {'execution__unbounded_operators': 'Loop'}


def write_slow_policy(
        path: Path, spec: PolicySpec, place: int, always: float = 0.0, gain: float = 0.1) -> Path:
    """
    Write a policy that multiplies matrices, without effect on its answer.

    :param path: The file.
    :param spec: Its specification.
    :param place: Index of the observation that sets the number of products; up to 1 is none.
    :param always: Added to that number.
    :param gain: Size of the weights.
    :return: The path.
    """
    model = policy_model(spec, gain=gain)
    slow_down(model, place, always)
    onnx.save(model, path)
    return path


def slow_down(model: onnx.ModelProto, place: int, always: float = 0.0) -> None:
    """
    Have a policy multiply matrices first, as :func:`write_slow_policy`.

    :param model: The policy, whose first node reads the observation.
    :param place: As there.
    :param always: As there.
    """
    graph = model.graph
    matrix = [_SIZE, _SIZE]
    body = helper.make_graph(
        [helper.make_node('Identity', ['keep'], ['again']),
         helper.make_node('MatMul', ['before', 'work'], ['after'])], 'multiply',
        [helper.make_tensor_value_info('i', TensorProto.INT64, []),
         helper.make_tensor_value_info('keep', TensorProto.BOOL, []),
         helper.make_tensor_value_info('before', TensorProto.FLOAT, matrix)],
        [helper.make_tensor_value_info('again', TensorProto.BOOL, []),
         helper.make_tensor_value_info('after', TensorProto.FLOAT, matrix)])
    first = graph.node[0]
    answer, first.output[0] = first.output[0], 'unhurried'
    nodes = [
        helper.make_node('Gather', ['observation', 'place'], ['number'], axis=1),
        helper.make_node('Add', ['number', 'always'], ['sum']),
        helper.make_node('Cast', ['sum'], ['truncated'], to=TensorProto.INT64),
        helper.make_node('Reshape', ['truncated', 'scalar'], ['times']),
        helper.make_node('Loop', ['times', 'true', 'start'], ['end'], body=body),
        helper.make_node('ReduceSum', ['end'], ['zero'], keepdims=0),
        helper.make_node('Add', ['unhurried', 'zero'], [answer])]
    rest = [first, *nodes, *graph.node[1:]]
    del graph.node[:]
    graph.node.extend(rest)
    for name, array in (
            ('place', np.array([place])), ('always', np.array([[always - 1]], np.float32)),
            ('scalar', np.array([], np.int64)), ('true', np.array(True)),
            ('work', np.ones(matrix, np.float32)), ('start', np.zeros(matrix, np.float32))):
        graph.initializer.append(numpy_helper.from_array(array, name))


def rounds_in(policy: Path, place: int, seconds: float) -> float:
    """
    Return the value of the observation for a given inference time on this machine.

    Processor time is measured, so other load on the machine does not matter.
    """
    loaded = OnnxPolicy(policy, ExecutionSettings(unbounded_operators='Loop'))
    observation = np.zeros(loaded.spec.observation_size, np.float32)
    noise = np.zeros((1, loaded.spec.noise_size), np.float32)
    rounds = 64
    while True:
        observation[place] = rounds
        taken = []
        for _ in range(8):
            begin = time.thread_time()
            loaded.act(observation, noise)
            taken.append(time.thread_time() - begin)
        if min(taken) >= seconds / 4:
            return rounds * seconds / min(taken)
        rounds *= 2
