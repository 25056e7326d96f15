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
    product_type: torch.dtype | None = None
    """Type of weights and activations in the products over many rows, if it is not that of the
    parameters; gradients and the last layer keep the parameters' type."""

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
        kind = (many(inputs) and self.product_type) or first.weight.dtype
        seen, given = first.weight.split([self.observation_size, self.input_size], dim=1)
        hidden = functional.linear(inputs.to(kind), given.to(kind))
        hidden += functional.linear(state, seen, first.bias).to(kind).unsqueeze(1)
        hidden = gelu(hidden)
        for layer in middle:
            hidden = activated(hidden, layer.weight.to(kind), layer.bias.to(kind))
        return linear(hidden.to(last.weight.dtype), last.weight, last.bias)


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
    product_type: torch.dtype | None = None
    """Type of weights and activations in the products over many rows, if it is not that of the
    parameters; gradients and the last layer keep the parameters' type."""

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
            return functional_call(self, constant, (state.detach(), chunk))
        if self.compiled and many(chunk):
            return self.compiled(self, state, chunk)
        return self.evaluate(state, chunk)

    def evaluate(self, state: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        """Evaluate as :meth:`forward` does, without compilation."""
        if not torch.is_grad_enabled() and fuses(chunk):
            return self._evaluate_each(state, chunk)
        batch, count, size = chunk.shape
        kind = (many(chunk) and self.product_type) or self.weights[0].dtype
        seen, proposed = self.weights[0].split([self.observation_size, size], dim=1)
        from_observation = torch.matmul(state, seen) + self.biases[0]
        from_chunk = torch.matmul(
            chunk.reshape(batch * count, size).to(kind), proposed.to(kind))
        members = from_chunk.shape[0]
        hidden = from_chunk.view(members, batch, count, -1)
        hidden += from_observation.to(kind).unsqueeze(2)
        hidden = hidden.view(members, batch * count, -1)
        last = len(self.norm_scales) - 1
        for i, (weight, bias, scale, shift) in enumerate(zip(
                self.weights[1:], self.biases[1:], self.norm_scales, self.norm_shifts,
                strict=True)):
            # Values are far larger than their differences, which bfloat16 would round away.
            kind = weight.dtype if i == last else kind
            hidden = normalise(gelu(hidden)).to(kind)
            hidden = torch.addcmul(shift.to(kind), hidden, scale.to(kind))
            hidden = torch.baddbmm(bias.to(kind), hidden, weight.to(kind))
        return hidden.view(members, batch, count)

    def _evaluate_each(self, state: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        """Evaluate member by member, with the scale and shift of the layer norms folded in."""
        kind = self.product_type or self.weights[0].dtype
        seen, proposed = self.weights[0].split([self.observation_size, chunk.shape[2]], dim=1)
        from_observation = (torch.matmul(state, seen) + self.biases[0]).to(kind)
        chunk, proposed = chunk.to(kind), proposed.to(kind)
        weights, biases = [], []
        for weight, bias, scale, shift in zip(
                self.weights[1:], self.biases[1:], self.norm_scales, self.norm_shifts,
                strict=True):
            weights.append(scale.transpose(1, 2) * weight)
            biases.append(torch.baddbmm(bias, shift, weight).squeeze(1))
        last_weight, last_bias = weights.pop(), biases.pop()
        weights, biases = [[each.to(kind) for each in some] for some in (weights, biases)]
        values = []
        for member, observation in enumerate(from_observation):
            hidden = torch.matmul(chunk, proposed[member])
            hidden += observation.unsqueeze(1)
            hidden = normalise(gelu(hidden))
            for weight, bias in zip(weights, biases, strict=True):
                hidden = normalise(activated(hidden, weight[member].t(), bias[member]))
            # Values are far larger than their differences, which bfloat16 would round away.
            hidden = hidden.to(last_weight.dtype)
            values.append(torch.matmul(hidden, last_weight[member, :, 0]) + last_bias[member])
        return torch.stack(values)


def lower_bound(values: torch.Tensor, deviations: float) -> torch.Tensor:
    """
    Mean of the ensemble's values, less some of their standard deviations.

    :param values: Shape (members, ...).
    :param deviations: Number of standard deviations; 0 for the mean.
    :return: Shape (...).
    """
    mean = values.mean(dim=0)
    return mean - deviations * values.std(dim=0, correction=0) if deviations else mean


@torch.no_grad()
def polyak_update(follower: nn.Module, leader: nn.Module, rate: float) -> None:
    """Update a target network (the follower) by Polyak averaging."""
    torch._foreach_lerp_(list(follower.parameters()), list(leader.parameters()), rate)
