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
The Drifting Field Policy: its losses, a paragraph each, and its update.

Koo et al., "Drifting Field Policy", arXiv 2605.07727.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from training.buffer import Batch
from training.config import TrainConfig
from training.drift import drift_loss
from training.networks import Actor, CriticEnsemble, Normaliser

Info = dict[str, torch.Tensor]


class DriftAgent(nn.Module):
    """
    Actor, critics, target critics and anchor policy of one run.

    :param config: The run's settings.
    :param observation_size: Length of an observation.
    :param action_size: Length of an action.
    :param normaliser: Applied to every observation first.
    """

    def __init__(
            self, config: TrainConfig, observation_size: int, action_size: int,
            normaliser: Normaliser) -> None:
        super().__init__()
        self.config = config
        self.chunk_size = config.horizon * action_size
        self.normaliser = normaliser
        self.actor = Actor(observation_size, self.chunk_size, config.hidden)
        self.critic = CriticEnsemble(
            observation_size, self.chunk_size, config.hidden, config.critics)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.anchor = copy.deepcopy(self.actor).requires_grad_(False)
        self.optimiser = torch.optim.Adam(
            [*self.actor.parameters(), *self.critic.parameters()], lr=config.learning_rate,
            foreach=True)

    def candidates(self, policy: Actor, observation: torch.Tensor, count: int) -> torch.Tensor:
        """
        Draw chunks from a policy.

        :param policy: The actor or the anchor.
        :param observation: Shape (B, obs_dim), normalised.
        :param count: Chunks a state.
        :returns: Shape (B, count, chunk_size), in [-1, 1].
        """
        noise = torch.randn(
            len(observation), count, self.chunk_size, device=observation.device)
        return policy(observation, noise).clamp(-1, 1)

    def critic_loss(self, batch: Batch) -> tuple[torch.Tensor, Info]:
        """
        Squared error to the discounted reward plus the value of the best of N' next chunks.

        Chunks that cross an episode's end count zero, and the mean is not renormalised.
        """
        with torch.no_grad():
            following = self.normaliser(batch.next_observation)
            chunks = self.candidates(self.actor, following, self.config.best_of)
            if self.config.best_of > 1:
                best = self.critic(following, chunks).mean(dim=0).argmax(dim=1)
                chunks = chunks[torch.arange(len(best), device=best.device), best].unsqueeze(1)
            value = self.target_critic(following, chunks).mean(dim=0).squeeze(1)
            target = batch.reward + (
                self.config.discount ** self.config.horizon * batch.mask * value)
        predicted = self.critic(
            self.normaliser(batch.observation), batch.chunk.unsqueeze(1)).squeeze(2)
        loss = ((predicted - target).square() * batch.valid).mean()
        return loss, {'critic_loss': loss.detach(), 'value_of_data': predicted.detach().mean()}

    def actor_loss(self, batch: Batch) -> tuple[torch.Tensor, Info]:
        """Drift to the data's chunk, plus lambda times drift to the anchor's best K of N."""
        config = self.config
        observation = self.normaliser(batch.observation)
        noise = torch.randn(
            len(observation), config.generated, self.chunk_size, device=observation.device)
        generated = self.actor(observation, noise)

        # A chunk that crosses an episode's end holds another episode's actions: no positive.
        whole = batch.valid > 0
        loss, cloning = drift_loss(
            generated[whole], batch.chunk[whole].unsqueeze(1), config.bandwidths)
        info = {
            'cloning_force': cloning['force'].mean(), 'scale': cloning['scale'],
            'distance_to_data': (
                generated.detach() - batch.chunk.unsqueeze(1)).norm(dim=2).mean(),
            'candidate_spread': generated.detach().std(dim=1).mean()}

        if config.value_weight > 0:
            with torch.no_grad():
                pool = self.candidates(self.anchor, observation, config.pool)
                values = self.critic(observation, pool).mean(dim=0)
                best = values.topk(config.top, dim=1)
                positives = pool.gather(
                    1, best.indices.unsqueeze(2).expand(-1, -1, self.chunk_size))
            improvement, ascent = drift_loss(generated, positives, config.bandwidths)
            loss = loss + config.value_weight * improvement
            info |= {
                'ascent_force': ascent['force'].mean(), 'value_of_pool': values.mean(),
                'value_of_best': best.values.mean()}
        return loss, info

    def update(self, batch: Batch) -> Info:
        """
        Take one step of Adam on both losses, then let target critics and anchor follow.

        :returns: Scalars to log, detached.
        """
        critic_loss, critic_info = self.critic_loss(batch)
        actor_loss, actor_info = self.actor_loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        (critic_loss + actor_loss).backward()
        self.optimiser.step()
        follow(self.target_critic, self.critic, self.config.target_rate)
        follow(self.anchor, self.actor, self.config.anchor_rate)
        return critic_info | actor_info

    def set_learning_rate(self, rate: float) -> None:
        """Set Adam's rate from the next update on."""
        for group in self.optimiser.param_groups:
            group['lr'] = rate

    @torch.no_grad()
    def act(self, observation: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """
        Choose the best of the candidates that the noise stands for.

        :param observation: Shape (obs_dim,), raw units.
        :param noise: Shape (candidates, chunk_size), already scaled.
        :returns: Shape (horizon, act_dim), in [-1, 1].
        """
        state = self.normaliser(observation.unsqueeze(0))
        chunks = self.actor(state, noise.unsqueeze(0)).clamp(-1, 1)
        best: Any = 0
        if len(noise) > 1:
            best = self.critic(state, chunks).mean(dim=0).argmax(dim=1).squeeze(0)
        return chunks[0, best].view(self.config.horizon, -1)


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, rate: float) -> None:
    """Move a network's weights a fraction of the way to another's."""
    torch._foreach_lerp_(list(follower.parameters()), list(leader.parameters()), rate)
