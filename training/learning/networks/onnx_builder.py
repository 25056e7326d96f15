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
"""Builder of an ONNX graph, node by node."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from training.learning.networks.modules import ConditionedMLP

OPSET = 20
IR_VERSION = 10


class Graph:
    """An ONNX graph under construction: nodes in ONNX's text format and named weights."""

    def __init__(self, weights: dict[str, np.ndarray] | None = None) -> None:
        self.weights: dict[str, np.ndarray] = {} if weights is None else weights
        self._lines: list[str] = []

    def line(self, node: str) -> None:
        """Add a node: ``output = Operator <attributes> (inputs)``."""
        self._lines.append(node)

    def weight(self, name: str, value: torch.Tensor) -> str:
        """Add a float32 constant; returns its name."""
        self.weights[name] = value.detach().cpu().numpy().astype(np.float32, order='C')
        return name

    def integers(self, name: str, values: list[int]) -> str:
        """Add an int64 constant; returns its name."""
        self.weights[name] = np.array(values, np.int64)
        return name

    def mlp(
            self, name: str, network: ConditionedMLP, state: str, inputs: str, output: str,
            constants: tuple[float, ...] = ()) -> None:
        """
        Add the nodes of a multilayer perceptron on one state and several inputs.

        The weights are stored once, even if one network is written several times.

        :param name: Prefix of the names of its weights and values.
        :param state: Name of a value, shape (1, obs_dim).
        :param inputs: Name of a value, shape (candidates, input_size less the constants).
        :param output: Name of the result, shape (candidates, output_size).
        :param constants: Trailing inputs that are the same for all candidates; folded into the
            bias.
        """
        layers: list[nn.Linear] = list(network.layers)  # type: ignore[arg-type]
        seen, given, fixed = layers[0].weight.split(
            [network.observation_size, network.input_size - len(constants), len(constants)],
            dim=1)
        self.weight(f'{name}_seen', seen.T)
        self.weight(f'{name}_given', given.T)
        self.weight(f'{output}_bias', layers[0].bias + fixed @ fixed.new_tensor(constants))
        self.line(f'{output}_state = Gemm ({state}, {name}_seen, {output}_bias)')
        self.line(f'{output}_inputs = MatMul ({inputs}, {name}_given)')
        self.line(f'{output}_0 = Add ({output}_inputs, {output}_state)')
        for i, layer in enumerate(layers[1:], start=1):
            self.weight(f'{name}_weight_{i}', layer.weight.T)
            self.weight(f'{name}_bias_{i}', layer.bias)
            self.line(f'{output}_active_{i} = Gelu <approximate = "tanh"> ({output}_{i - 1})')
            last = output if i == len(layers) - 1 else f'{output}_{i}'
            self.line(f'{last} = Gemm ({output}_active_{i}, {name}_weight_{i}, {name}_bias_{i})')

    def clip(self, value: str, output: str) -> None:
        """Add a node that clips a value to [-1, 1]."""
        self.weight('lowest', torch.tensor(-1.0))
        self.weight('highest', torch.tensor(1.0))
        self.line(f'{output} = Clip ({value}, lowest, highest)')

    def text(self) -> str:
        """All nodes so far."""
        return '\n'.join(self._lines)
