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
The Drifting Field Policy: a one-step policy trained with a drifting field.

Koo et al., "Drifting Field Policy", arXiv 2605.07727.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.actor import Actor, Info
from training.learning.agents.drift import drift_loss
from training.learning.networks.modules import (
    ConditionedMLP,
    CriticEnsemble,
    lower_bound,
    polyak_update,
)

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph


class DriftingActor(Actor):
    """
    Drifts towards the data's chunk, and towards the top-K candidates of an anchor policy.

    The anchor policy is a slowly updated copy of the actor (Polyak averaging). Choosing the top K
    from its candidates, instead of the actor's, acts as a trust region.
    """

    algorithm = 'Drifting Field Policy (arXiv 2605.07727)'
    has_anchor = True

    def __init__(self, config: TrainConfig, observation_size: int, chunk_size: int) -> None:
        super().__init__(config, observation_size, chunk_size)
        self.network = ConditionedMLP(observation_size, chunk_size, chunk_size, config.hidden)
        self.anchor = copy.deepcopy(self.network).requires_grad_(False)

    def forward(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Sample chunks in one forward pass; see :meth:`Actor.forward`."""
        return self.network(state, noise).clamp(-1, 1)

    def loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor,
            critic: CriticEnsemble,
            anchored: torch.Tensor | None = None) -> tuple[torch.Tensor, Info]:
        """Drift loss to the data's chunk, plus lambda times that to the anchor's top K of N."""
        config = self.config
        generated = self.network(
            state, distributed.noise(len(state), config.generated, self.chunk_size, state.device))
        if config.clip_generated:
            generated = generated.clamp(-1, 1)

        loss, cloning = drift_loss(
            generated, chunk.unsqueeze(1), config.bandwidths, weights=valid,
            separate=config.field == 'separate')
        info = {'cloning_force': cloning['force'].mean(), 'scale': cloning['scale']}

        if self.improving and self.value_weight > 0:
            positives, value, best = self._best_of_anchor(state, critic, anchored)
            improvement, ascent = drift_loss(
                generated, positives, config.bandwidths, separate=config.field == 'separate')
            loss = loss + self.value_weight * improvement
            info |= {
                'ascent_force': ascent['force'].mean(), 'value_of_pool': value,
                'value_of_best': best}
        return loss, info

    @torch.no_grad()
    def _best_of_anchor(
            self, state: torch.Tensor, critic: CriticEnsemble,
            anchored: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Top K of N chunks of the anchor policy, the mean value of all N, and that of the K."""
        noise = distributed.noise(len(state), self.config.pool, self.chunk_size, state.device)
        pool = self._from_anchor(state, self.config.noise_scale * noise, anchored)
        values = lower_bound(critic(state, pool), self.config.pessimism)
        best = values.topk(self.config.top, dim=1)
        chosen = pool.gather(1, best.indices.unsqueeze(2).expand(-1, -1, self.chunk_size))
        return chosen, distributed.batch_mean(values), distributed.batch_mean(best.values)

    @torch.no_grad()
    def look(
            self, state: torch.Tensor, chunk: torch.Tensor, noise: torch.Tensor,
            critic: CriticEnsemble, anchored: torch.Tensor | None = None) -> Info:
        """
        Compute metrics of the drift and of the choice among the anchor policy's candidates.

        :return: Median and 99th percentile of the drift's step in action units, and the effective
            number of positives that pull; during the top-K drift also the value of the best
            candidate less that of the data's chunk, and the share of states where it is higher.
        """
        config = self.config
        separate = config.field == 'separate'
        generated = self(state, noise)
        positives = chunk.unsqueeze(1)
        metrics: Info = {}
        if self.improving and config.value_weight > 0:
            pool = self._from_anchor(state, config.noise_scale * noise, anchored)
            values = lower_bound(critic(state, pool), config.pessimism)
            best = values.topk(min(config.top, values.shape[1]), dim=1)
            positives = pool.gather(1, best.indices.unsqueeze(2).expand(-1, -1, self.chunk_size))
            data = lower_bound(critic(state, chunk.unsqueeze(1)), config.pessimism)
            metrics = {
                'value_gap': distributed.batch_mean(best.values[:, :1] - data),
                'prefers_pool': distributed.batch_mean((best.values[:, :1] > data).float())}
        drift = drift_loss(generated, positives, config.bandwidths, separate=separate)[1]
        median, most = distributed.whole(drift['step']).flatten().quantile(
            torch.tensor([0.5, 0.99], device=state.device, dtype=state.dtype))
        return metrics | {
            'step_p50': median, 'step_p99': most, 'pulling': drift['pulling'].mean()}

    def renew_anchor(self, policy: Actor) -> None:
        """Make the anchor policy a copy of a policy; see :meth:`Actor.renew_anchor`."""
        assert isinstance(policy, DriftingActor)
        polyak_update(self.anchor, policy.network, 1.0)

    def propose(
            self, state: torch.Tensor, noise: torch.Tensor,
            anchored: torch.Tensor | None = None) -> torch.Tensor:
        """Sample from the actor, or from the anchor policy; see :meth:`Actor.propose`."""
        if self.improving and self.config.targets == 'anchor':
            return self._from_anchor(state, noise, anchored)
        return self(state, noise)

    def _from_anchor(
            self, state: torch.Tensor, noise: torch.Tensor,
            anchored: torch.Tensor | None) -> torch.Tensor:
        """Sample from the anchor policy, by what it sees."""
        return self.anchor(state if anchored is None else anchored, noise).clamp(-1, 1)

    @property
    def anchor_follows(self) -> bool:
        """Tell whether the anchor policy follows in this update; not before improvement."""
        return (
            self.improving and self.config.value_weight > 0
            and self.config.anchor == 'following')

    def update_targets(self) -> None:
        """Update an anchor policy that follows the actor, by Polyak averaging."""
        if self.anchor_follows:
            polyak_update(self.anchor, self.network, self.config.anchor_rate)

    def write(self, graph: Graph) -> None:
        """Write the network, clipped; see :meth:`Actor.write`."""
        graph.mlp('actor', self.network, 'state', 'noise', 'unclipped')
        graph.clip('unclipped', 'chunks')
