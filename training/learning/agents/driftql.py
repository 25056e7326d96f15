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
Drift Q-learning (DriftQL): a one-step policy that a drifting field keeps near the data.

Arxiv 2606.00350, from its description: each of several generated chunks is pulled to the data's
chunk and pushed away from the others, by Gaussian mean shift, and climbs the critic's gradient.
The value is divided by its mean absolute value only if ``normalise_value`` is set; alpha must be
tuned for each environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.actor import Actor, Info
from training.learning.agents.drift import mean_shift
from training.learning.networks.modules import ConditionedMLP, CriticEnsemble

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph


class DriftRegularisedActor(Actor):
    """
    A one-step policy that maximises the value, regularised by a drifting field.

    The policy maximises the value already, so there is no best-of-N.
    """

    algorithm = 'Drift Q-learning (DriftQL, arXiv 2606.00350)'
    ranked = False

    def __init__(self, config: TrainConfig, observation_size: int, chunk_size: int) -> None:
        super().__init__(config, observation_size, chunk_size)
        self.network = ConditionedMLP(observation_size, chunk_size, chunk_size, config.hidden)

    def forward(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Sample chunks in one forward pass; see :meth:`Actor.forward`."""
        return self.network(state, noise).clamp(-1, 1)

    def loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor,
            critic: CriticEnsemble,
            anchored: torch.Tensor | None = None) -> tuple[torch.Tensor, Info]:
        """Alpha times the squared step of the drifting field, minus the value."""
        drawn = self.network(state, distributed.noise(
            len(state), self.config.generated, self.chunk_size, state.device))
        with torch.no_grad():
            step = sum(
                mean_shift(drawn, chunk.unsqueeze(1), bandwidth)
                for bandwidth in self.config.bandwidths) / len(self.config.bandwidths)
            goal = drawn + step
        distance = distributed.batch_mean((drawn - goal).square(), valid)
        value, climbed = self.climbed(
            critic(state, drawn.clamp(-1, 1), frozen=True).mean(dim=0))
        loss = self.config.distillation * distance - climbed
        return loss, {'drift_loss': distance.detach(), 'value_of_policy': value.detach()}

    def write(self, graph: Graph) -> None:
        """Write the network with clipping; see :meth:`Actor.write`."""
        graph.mlp('actor', self.network, 'state', 'noise', 'unclipped')
        graph.clip('unclipped', 'chunks')
