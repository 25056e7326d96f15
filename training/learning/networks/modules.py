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
"""
Neural networks of actors and critics, and Polyak averaging of their parameters.

Each takes one observation with several inputs (noise vectors or action chunks), so that the
observation's part of the first layer is computed once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from training.learning.networks.layers import activated, fuses, gelu, linear, many, normalise


class Normaliser(nn.Module):
    """
    Observation normaliser: shift and scale by statistics that are stored with the weights.

    :param mean: Shape (obs_dim,).
    :param deviation: Shape (obs_dim,), positive.
    """

    mean: torch.Tensor
    inverse: torch.Tensor

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer('mean', mean.clone())
        self.register_buffer('inverse', deviation.reciprocal())

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Normalise, keeping the shape (..., obs_dim)."""
        return (observation - self.mean) * self.inverse


class ConditionedMLP(nn.Module):
    """
    A multilayer perceptron on a state and an input, evaluated for several inputs per state.

    :param observation_size: Length of an observation.
    :param input_size: Length of an input.
    :param output_size: Length of an output.
    :param hidden: Widths of the hidden layers.
    """

    compiled: Callable[..., torch.Tensor] | None = None
    """Compiled version of :meth:`evaluate`, used for many rows."""

    def __init__(
            self, observation_size: int, input_size: int, output_size: int,
            hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [observation_size + input_size, *hidden, output_size]
        self.observation_size = observation_size
        self.input_size = input_size
        layers = [
            nn.Linear(before, after) for before, after in zip(widths, widths[1:], strict=False)]
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def forward(self, state: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """
        Evaluate several inputs per state.

        :param state: Shape (B, obs_dim), normalised observations.
        :param inputs: Shape (B, N, input_size).
        :return: Shape (B, N, output_size).
        """
        if self.compiled and many(inputs):
            return self.compiled(self, state, inputs)
        return self.evaluate(state, inputs)

    def evaluate(self, state: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Evaluate as :meth:`forward` does, without compilation."""
        first, *middle, last = cast(list[nn.Linear], list(self.layers))
        seen, given = first.weight.split([self.observation_size, self.input_size], dim=1)
        hidden = functional.linear(inputs, given)
        hidden += functional.linear(state, seen, first.bias).unsqueeze(1)
        hidden = gelu(hidden)
        for layer in middle:
            hidden = activated(hidden, layer.weight, layer.bias)
        return linear(hidden, last.weight, last.bias)


class CriticEnsemble(nn.Module):
    """
    An ensemble of critics (value networks), evaluated as one batched product per layer.

    :param observation_size: Length of an observation.
    :param chunk_size: Horizon times action size.
    :param hidden: Widths of the hidden layers.
    :param members: Number of critics.
    """

    compiled: Callable[..., torch.Tensor] | None = None
    """Compiled version of :meth:`evaluate`, used for many rows."""

    def __init__(
            self, observation_size: int, chunk_size: int, hidden: Sequence[int],
            members: int) -> None:
        super().__init__()
        widths = [observation_size + chunk_size, *hidden, 1]
        self.observation_size = observation_size
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.norm_scales = nn.ParameterList()
        self.norm_shifts = nn.ParameterList()
        for before, after in zip(widths, widths[1:], strict=False):
            weight = torch.empty(members, before, after)
            for member in weight:
                nn.init.xavier_uniform_(member)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(members, 1, after)))
        for width in hidden:
            self.norm_scales.append(nn.Parameter(torch.ones(members, 1, width)))
            self.norm_shifts.append(nn.Parameter(torch.zeros(members, 1, width)))

    def forward(
            self, state: torch.Tensor, chunk: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        """
        Values of several chunks per state.

        :param state: Shape (B, obs_dim), normalised observations.
        :param chunk: Shape (B, N, chunk_size).
        :param frozen: Whether gradients flow to the chunks only, not to the critics.
        :return: Shape (members, B, N).
        """
        if frozen:
            constant = {name: value.detach() for name, value in self.named_parameters()}
            return functional_call(self, constant, (state, chunk))
        if self.compiled and many(chunk):
            return self.compiled(self, state, chunk)
        return self.evaluate(state, chunk)

    def evaluate(self, state: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        """Evaluate as :meth:`forward` does, without compilation."""
        if not torch.is_grad_enabled() and fuses(chunk):
            return self._evaluate_each(state, chunk)
        batch, count, size = chunk.shape
        seen, proposed = self.weights[0].split([self.observation_size, size], dim=1)
        from_observation = torch.matmul(state, seen) + self.biases[0]
        from_chunk = torch.matmul(chunk.reshape(batch * count, size), proposed)
        members = from_chunk.shape[0]
        hidden = from_chunk.view(members, batch, count, -1)
        hidden += from_observation.unsqueeze(2)
        hidden = hidden.view(members, batch * count, -1)
        for weight, bias, scale, shift in zip(
                self.weights[1:], self.biases[1:], self.norm_scales, self.norm_shifts,
                strict=True):
            hidden = torch.addcmul(shift, normalise(gelu(hidden)), scale)
            hidden = torch.baddbmm(bias, hidden, weight)
        return hidden.view(members, batch, count)

    def _evaluate_each(self, state: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        """Evaluate member by member, with the scale and shift of the layer norms folded in."""
        seen, proposed = self.weights[0].split([self.observation_size, chunk.shape[2]], dim=1)
        from_observation = torch.matmul(state, seen) + self.biases[0]
        weights, biases = [], []
        for weight, bias, scale, shift in zip(
                self.weights[1:], self.biases[1:], self.norm_scales, self.norm_shifts,
                strict=True):
            weights.append(scale.transpose(1, 2) * weight)
            biases.append(torch.baddbmm(bias, shift, weight).squeeze(1))
        values = []
        for member, observation in enumerate(from_observation):
            hidden = torch.matmul(chunk, proposed[member])
            hidden += observation.unsqueeze(1)
            hidden = normalise(gelu(hidden))
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                hidden = normalise(activated(hidden, weight[member].t(), bias[member]))
            values.append(torch.matmul(hidden, weights[-1][member, :, 0]) + biases[-1][member])
        return torch.stack(values)


@torch.no_grad()
def polyak_update(follower: nn.Module, leader: nn.Module, rate: float) -> None:
    """Update a target network (the follower) by Polyak averaging."""
    torch._foreach_lerp_(list(follower.parameters()), list(leader.parameters()), rate)
