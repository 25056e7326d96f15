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
Best-of-N flow matching (BFN, QC-BFN): behaviour cloning with a flow policy, best-of-N actions.

Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747, with straight paths; as
an offline-to-online baseline in Li et al., "Reinforcement Learning with Action Chunking",
arXiv 2507.07969.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.actor import Actor, Info
from training.learning.networks.modules import ConditionedMLP, CriticEnsemble

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph


class Flow(ConditionedMLP):
    """
    A velocity field that transports noise at time 0 to chunks at time 1.

    :param observation_size: Length of an observation.
    :param chunk_size: Length of a chunk.
    :param config: Widths of the hidden layers, and the number of Euler steps.
    """

    def __init__(self, observation_size: int, chunk_size: int, config: TrainConfig) -> None:
        super().__init__(observation_size, chunk_size + 1, chunk_size, config.hidden)
        self.steps = config.flow_steps

    def velocity(
            self, state: torch.Tensor, place: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """
        Velocity at a point and a time.

        :param state: Shape (B, obs_dim), normalised observations.
        :param place: Shape (B, N, chunk_size).
        :param time: Shape (B, N, 1), in [0, 1].
        :return: Shape (B, N, chunk_size).
        """
        return self(state, torch.cat([place, time], dim=2))

    def integrate(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """
        Integrate the field from noise in Euler steps.

        :param state: Shape (B, obs_dim).
        :param noise: Shape (B, N, chunk_size).
        :return: Shape (B, N, chunk_size), clipped to [-1, 1].
        """
        place, time = noise, torch.zeros_like(noise[:, :, :1])
        for step in range(self.steps):
            place = place + self.velocity(state, place, time + step / self.steps) / self.steps
        return place.clamp(-1, 1)

    def matching_loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """
        Flow-matching loss: squared error to the velocity of a straight path from noise to data.

        :param state: Shape (B, obs_dim).
        :param chunk: Shape (B, chunk_size).
        :param valid: Shape (B,), weight of each row.
        """
        data = chunk.unsqueeze(1)
        noise = distributed.noise(len(state), 1, chunk.shape[1], state.device)
        time = distributed.uniform(len(state), 1, state.device).unsqueeze(2)
        found = self.velocity(state, noise + time * (data - noise), time)
        return distributed.batch_mean((found - (data - noise)).square(), valid)

    def write_integration(self, graph: Graph, output: str) -> None:
        """
        Write the unrolled Euler steps; the weights are stored once.

        :param graph: Has ``state`` and ``noise``.
        :param output: Name of the clipped chunks.
        """
        place = 'noise'
        graph.weight('euler_step', torch.tensor(1 / self.steps))
        for step in range(self.steps):
            # The time is the last input: its share of the first layer is a constant of the step.
            graph.mlp('flow', self, 'state', place, f'velocity_{step}', (step / self.steps,))
            graph.line(f'moved_{step} = Mul (velocity_{step}, euler_step)')
            graph.line(f'place_{step} = Add ({place}, moved_{step})')
            place = f'place_{step}'
        graph.clip(place, output)


class FlowActor(Actor):
    """Behaviour cloning by flow matching; the only policy improvement is best-of-N."""

    algorithm = 'best-of-N flow matching (BFN, arXiv 2507.07969)'

    def __init__(self, config: TrainConfig, observation_size: int, chunk_size: int) -> None:
        super().__init__(config, observation_size, chunk_size)
        self.flow = Flow(observation_size, chunk_size, config)

    def forward(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Integrate the flow; see :meth:`Actor.forward`."""
        return self.flow.integrate(state, noise)

    def loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor,
            critic: CriticEnsemble,
            anchored: torch.Tensor | None = None) -> tuple[torch.Tensor, Info]:
        """Flow-matching loss only."""
        loss = self.flow.matching_loss(state, chunk, valid)
        return loss, {'flow_loss': loss.detach()}

    def write(self, graph: Graph) -> None:
        """Write the unrolled flow; see :meth:`Actor.write`."""
        self.flow.write_integration(graph, 'chunks')
