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
"""Policies as other tools export them: a feed-forward network, and a recurrent one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

#: Width of the recurrent layer.
HIDDEN = 8


def write_network(
        path: Path, size: int, actions: int, metadata: Mapping[str, str] | None = None,
        names: tuple[str, str] = ('obs', 'actions'), kind: int = TensorProto.FLOAT,
        seed: int = 0) -> Path:
    """
    Write a feed-forward network with one hidden layer.

    :param path: The file.
    :param size: Count of observations.
    :param actions: Count of actions.
    :param metadata: Metadata of the file.
    :param names: Names of input and output.
    :param kind: Type of its numbers.
    :param seed: Seed of the weights.
    :return: The path.
    """
    given, answer = names
    model = _model(
        [helper.make_node('Gemm', [given, 'w1', 'b1'], ['hidden']),
         helper.make_node('Elu', ['hidden'], ['active']),
         helper.make_node('Gemm', ['active', 'w2', 'b2'], [answer])],
        {given: ['batch', size]}, {answer: ['batch', actions]},
        {'w1': (size, 16), 'b1': (16,), 'w2': (16, actions), 'b2': (actions,)}, kind, seed)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, path)
    return path


def write_recurrent(path: Path, size: int, actions: int, seed: int = 0) -> Path:
    """
    Write a network with an LSTM, whose states have the names of rsl_rl's export.

    :param path: The file.
    :param size: Count of observations.
    :param actions: Count of actions.
    :param seed: Seed of the weights.
    :return: The path.
    """
    state = [1, 1, HIDDEN]
    model = _model(
        [helper.make_node('Unsqueeze', ['obs', 'first'], ['sequence']),
         helper.make_node(
             'LSTM', ['sequence', 'w', 'r', 'b', '', 'h_in', 'c_in'],
             ['all', 'h_out', 'c_out'], hidden_size=HIDDEN),
         helper.make_node('Reshape', ['h_out', 'row'], ['flat']),
         helper.make_node('Gemm', ['flat', 'w2', 'b2'], ['actions'])],
        {'obs': [1, size], 'h_in': state, 'c_in': state},
        {'actions': [1, actions], 'h_out': state, 'c_out': state},
        {'w': (1, 4 * HIDDEN, size), 'r': (1, 4 * HIDDEN, HIDDEN), 'b': (1, 8 * HIDDEN),
         'w2': (HIDDEN, actions), 'b2': (actions,)}, TensorProto.FLOAT, seed)
    for name, values in (('first', [0]), ('row', [1, HIDDEN])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    onnx.save(model, path)
    return path


def _model(
        nodes: list[onnx.NodeProto], inputs: Mapping[str, list[int | str]],
        outputs: Mapping[str, list[int | str]], weights: Mapping[str, tuple[int, ...]],
        kind: int, seed: int) -> onnx.ModelProto:
    """Make a model with random weights."""
    generator = np.random.default_rng(seed)
    numbers = helper.tensor_dtype_to_np_dtype(kind)
    graph = helper.make_graph(
        nodes, 'policy',
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(
            (generator.standard_normal(shape) * 0.5).astype(numbers), name)
         for name, shape in weights.items()])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9, producer_name='test')
