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
Flow Q-learning (FQL, QC-FQL): a one-step student distils a flow policy and maximises the value.

Park, Li and Levine, "Flow Q-Learning", arXiv 2502.02538; with chunks in Li et al., arXiv
2507.07969. As there, the value is the mean over the critic ensemble, and is divided by its mean
absolute value only if ``normalise_value`` is set; alpha must be tuned for each environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.actor import Actor, Info
from training.learning.agents.flow import Flow
from training.learning.networks.modules import ConditionedMLP, CriticEnsemble

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph


class DistilledActor(Actor):
    """
    A one-step student distilled from a flow policy.

    The student maximises the value already, so there is no best-of-N.
    """

    algorithm = 'flow Q-learning (FQL, arXiv 2502.02538)'
    ranked = False

    def __init__(self, config: TrainConfig, observation_size: int, chunk_size: int) -> None:
        super().__init__(config, observation_size, chunk_size)
        self.flow = Flow(observation_size, chunk_size, config)
        self.student = ConditionedMLP(observation_size, chunk_size, chunk_size, config.hidden)

    def forward(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Sample chunks from the student; see :meth:`Actor.forward`."""
        return self.student(state, noise).clamp(-1, 1)

    def loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor,
            critic: CriticEnsemble,
            anchored: torch.Tensor | None = None) -> tuple[torch.Tensor, Info]:
        """Flow-matching loss, plus alpha times the distillation loss, minus the value."""
        matching = self.flow.matching_loss(state, chunk, valid)
        noise = distributed.noise(len(state), 1, self.chunk_size, state.device)
        with torch.no_grad():
            wanted = self.flow.integrate(state, noise)
        drawn = self.student(state, noise)
        distance = distributed.batch_mean((drawn - wanted).square())
        value, climbed = self.climbed(
            critic(state, drawn.clamp(-1, 1), frozen=True).mean(dim=0))
        loss = matching + self.config.distillation * distance - climbed
        return loss, {
            'flow_loss': matching.detach(), 'distillation_loss': distance.detach(),
            'value_of_student': value.detach()}

    def write(self, graph: Graph) -> None:
        """Write the student with clipping, without the teacher; see :meth:`Actor.write`."""
        graph.mlp('actor', self.student, 'state', 'noise', 'unclipped')
        graph.clip('unclipped', 'chunks')
