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
Best-of-N MeanFlow (MVP): one-step behaviour cloning with a mean velocity field.

Geng et al., "Mean Flows for One-step Generative Modeling", arXiv 2505.13447, sections 4.1 and 4.2,
with uniformly drawn times and the plain squared error (their weight with p = 0), as in flow
matching: the two policies differ only in the field.

Zhan et al., "Mean Flow Policy with Instantaneous Velocity Constraint for One-step Action
Generation", arXiv 2602.13810, is the policy (MVP). Its constraint is the boundary condition of the
mean velocity: over an interval of length zero it equals the instantaneous velocity. Here the rows
with r = t, a share ``instantaneous`` of the batch, train that condition; MVP's weight of it is not
reproduced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.func import jvp

from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.actor import Actor, Info
from training.learning.networks.modules import ConditionedMLP, CriticEnsemble

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph


class MeanFlowActor(Actor):
    """
    Learns the mean velocity between two times of the straight path from data to noise.

    Time 0 is the data and time 1 is noise, as in the paper, so a chunk is the noise minus the mean
    velocity over the whole path.
    """

    algorithm = 'best-of-N MeanFlow (MVP, arXiv 2602.13810; MeanFlow, arXiv 2505.13447)'

    def __init__(self, config: TrainConfig, observation_size: int, chunk_size: int) -> None:
        super().__init__(config, observation_size, chunk_size)
        # Inputs: point, the earlier time r, the later time t.
        self.network = ConditionedMLP(
            observation_size, chunk_size + 2, chunk_size, config.hidden)

    def velocity(
            self, state: torch.Tensor, place: torch.Tensor, earlier: torch.Tensor,
            later: torch.Tensor) -> torch.Tensor:
        """
        Mean velocity from one time to another.

        :param state: Shape (B, obs_dim), normalised observations.
        :param place: Shape (B, N, chunk_size), at the later time.
        :param earlier: Shape (B, N, 1), r.
        :param later: Shape (B, N, 1), t.
        :return: Shape (B, N, chunk_size).
        """
        return self.network(state, torch.cat([place, earlier, later], dim=2))

    def forward(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Sample chunks in one step from noise to data; see :meth:`Actor.forward`."""
        start = torch.zeros_like(noise[:, :, :1])
        return (noise - self.velocity(state, noise, start, start + 1)).clamp(-1, 1)

    def loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor,
            critic: CriticEnsemble,
            anchored: torch.Tensor | None = None) -> tuple[torch.Tensor, Info]:
        """Loss of MeanFlow: squared error to v - (t - r) du/dt, which is v itself if r = t."""
        data = chunk.unsqueeze(1)
        noise = distributed.noise(len(state), 1, self.chunk_size, state.device)
        times = distributed.uniform(len(state), 2, state.device).sort(dim=1).values
        earlier, later = times[:, None, :1], times[:, None, 1:]
        apart = self._apart(len(state), state.device)
        earlier = torch.where(apart[:, None, None], earlier, later)
        velocity = noise - data
        place = data + later * velocity

        goal = velocity.clone()
        if apart.any():
            rows = state[apart]
            with torch.no_grad():
                change = jvp(
                    lambda *inputs: self.velocity(rows, *inputs),
                    (place[apart], earlier[apart], later[apart]),
                    (velocity[apart], torch.zeros_like(earlier[apart]),
                     torch.ones_like(later[apart])))[1]
            goal[apart] -= (later - earlier)[apart] * change
        found = self.velocity(state, place, earlier, later)
        loss = distributed.batch_mean((found - goal).square(), valid)
        return loss, {'meanflow_loss': loss.detach()}

    def _apart(self, count: int, device: torch.device) -> torch.Tensor:
        """Select the rows with r < t, evenly spaced in the batch; shape (B,), boolean."""
        share = 1 - self.config.instantaneous
        number = distributed.rows(torch.arange(
            count * distributed.count(), dtype=torch.float64, device=device))
        return ((number + 1) * share).floor() > (number * share).floor()

    def write(self, graph: Graph) -> None:
        """Write the one step; see :meth:`Actor.write`."""
        graph.mlp('actor', self.network, 'state', 'noise', 'mean_velocity', (0.0, 1.0))
        graph.line('unclipped = Sub (noise, mean_velocity)')
        graph.clip('unclipped', 'chunks')
