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
The actor-critic agent: an actor, a critic ensemble and its target network.

The critic loss is the paper's (Koo et al., arXiv 2605.07727), which is that of Q-chunking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import copy
from dataclasses import replace
from functools import cached_property
import math
from typing import Any

import torch
from torch import nn

from dfp_ros.spec_images import ImageField
from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.actor import Actor, Info
from training.learning.agents.batch import Batch
from training.learning.agents.registry import ACTORS
from training.learning.networks.encoder import Encoder, shifted
from training.learning.networks.layers import compiled
from training.learning.networks.modules import (
    ConditionedMLP,
    CriticEnsemble,
    lower_bound,
    Normaliser,
    polyak_update,
)

# Chunks sampled per state for the metrics of the log.
LOOKS = 8
# The average of a young run has a window of a tenth of its updates, so that little is left of the
# random weights that it begins with, in a short run too.
_YOUNG = 9.0


class Agent(nn.Module):
    """
    Actor, critic ensemble and target critics of a run.

    :param config: The run's settings.
    :param observation_size: Length of an observation.
    :param action_size: Length of an action.
    :param normaliser: Applied to every observation first.
    :param images: Pictures of an observation, in order. Their encoder is shared by actor and
        critics, and learns from the losses of both. An actor whose weights are averaged acts with
        an average of the encoder's, while the critics rank its candidates with the newest. An
        anchor policy has its own copy, unless it follows the newest actor.
    """

    def __init__(
            self, config: TrainConfig, observation_size: int, action_size: int,
            normaliser: Normaliser, images: Sequence[ImageField] = ()) -> None:
        super().__init__()
        self.config = config
        self.chunk_size = config.horizon * action_size
        self.normaliser = normaliser
        self.encoder = None
        if images:
            self.encoder = Encoder(
                images, config.encoder_widths, config.encoder, config.encoder_features)
            observation_size += self.encoder.size
        self.actor = ACTORS[config.policy](config, observation_size, self.chunk_size)
        self.critic = CriticEnsemble(
            observation_size, self.chunk_size, config.hidden, config.critics)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        # Moving average of the actor and of its encoder; it acts, if there is one.
        self.average = copy.deepcopy(self.actor).requires_grad_(False) if (
            config.average_rate) else None
        self.average_encoder = self._copied_encoder(config.average_rate > 0)
        # A policy with features of another encoder than its own is another policy.
        self.anchor_encoder = self._copied_encoder(self.actor.has_anchor and (
            config.anchor == 'frozen' or config.average_rate > 0))
        # Updates of the actor since random weights; infinite if it began with trained ones.
        self._age = 0.0
        if config.precision == 'bf16':
            for network in self.networks():
                network.product_type = torch.bfloat16
            for encoder in (self.encoder, self.average_encoder, self.anchor_encoder):
                if encoder is not None:
                    encoder.use_products(torch.bfloat16)
        self.trained = [p for p in self.parameters() if p.requires_grad]

    @cached_property
    def optimiser(self) -> torch.optim.Adam:
        """
        Return Adam for all that is trained.

        It is made when it is first needed: the first one of a process has PyTorch import its
        compiler, which takes a second, and a policy that is only exported has no use for it.
        """
        return torch.optim.Adam(self.trained, lr=self.config.learning_rate, fused=True)

    def _copied_encoder(self, wanted: bool) -> Encoder | None:
        """Copy the encoder, for a policy that does not learn; None without pictures."""
        if self.encoder is None or not wanted:
            return None
        return copy.deepcopy(self.encoder).requires_grad_(False)

    def compile_networks(self) -> None:
        """
        Compile the networks' forward passes over many rows; compilation happens at first use.

        :raises CompileError: If there is no working compiler.
        """
        for kind in (ConditionedMLP, CriticEnsemble):
            function = compiled(kind.evaluate, self.normaliser.mean.device)
            for network in self.networks():
                if isinstance(network, kind):
                    network.compiled = function

    def networks(self) -> Iterator[ConditionedMLP | CriticEnsemble]:
        """Iterate over the networks of actor and critics."""
        for module in self.modules():
            if isinstance(module, ConditionedMLP | CriticEnsemble):
                yield module

    @property
    def acting(self) -> Actor:
        """Return the actor that is evaluated, exported and acts: the average, or the newest."""
        return self.average or self.actor

    @property
    def acting_encoder(self) -> Encoder | None:
        """Return the encoder of the actor that acts; None without pictures."""
        return self.average_encoder or self.encoder

    @property
    def candidates(self) -> int:
        """Return the number of candidates N' of best-of-N."""
        return self.config.best_of if self.actor.ranked else 1

    def state(
            self, observation: torch.Tensor,
            pictures: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """
        Compute what actor and critics get: the observation normalised, its pictures encoded.

        :param observation: Shape (B, obs_dim), raw units.
        :param pictures: Each of shape (B, height, width, n), uint8.
        :return: Shape (B, state_dim).
        """
        return self._state(self.encoder, observation, pictures)

    def acting_state(
            self, observation: torch.Tensor,
            pictures: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Compute what :attr:`acting` gets, as :meth:`state` does."""
        return self._state(self.acting_encoder, observation, pictures)

    def _state(
            self, encoder: Encoder | None, observation: torch.Tensor,
            pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        state = self.normaliser(observation)
        return state if encoder is None else torch.cat([state, encoder(pictures)], dim=1)

    def _seen(self, batch: Batch, augment: bool) -> Batch:
        """
        Put the states in the place of a batch's observations.

        :param augment: Whether to shift pictures at random.
        """
        if self.encoder is None:
            return batch.normalised(self.normaliser)
        pictures, following = batch.pictures, batch.next_pictures
        if augment and self.config.shift:
            pictures, following = (
                tuple(self._shift(each) for each in some) for some in (pictures, following))
        anchored = next_anchored = None
        with torch.no_grad():
            next_state = self.state(batch.next_observation, following)
            if self.anchor_encoder is not None and self.actor.improving:
                anchored = self._state(self.anchor_encoder, batch.observation, pictures)
                if self.config.targets == 'anchor':
                    next_anchored = self._state(
                        self.anchor_encoder, batch.next_observation, following)
        return replace(
            batch, observation=self.state(batch.observation, pictures),
            next_observation=next_state, pictures=(), next_pictures=(), anchored=anchored,
            next_anchored=next_anchored)

    def _shift(self, pictures: torch.Tensor) -> torch.Tensor:
        """Shift each picture of a batch at random, in both directions."""
        most = self.config.shift
        offsets = distributed.uniform(len(pictures), 2, pictures.device) * (2 * most + 1)
        return shifted(pictures, offsets.to(torch.int64) - most)

    def critic_loss(self, batch: Batch) -> tuple[torch.Tensor, Info]:
        """
        Squared temporal-difference error, bootstrapped from the best of N' next chunks.

        Chunks that cross the end of an episode have weight zero, and the mean is not renormalised.

        :param batch: States in the place of observations.
        """
        with torch.no_grad():
            following = batch.next_observation
            chunks = self.actor.propose(following, self.config.noise_scale * distributed.noise(
                len(following), self.candidates, self.chunk_size, following.device),
                batch.next_anchored)
            if self.candidates > 1:
                best = lower_bound(
                    self.critic(following, chunks), self.config.pessimism).argmax(dim=1)
                chunks = chunks[torch.arange(len(best), device=best.device), best].unsqueeze(1)
            value = self.target_critic(following, chunks).mean(dim=0).squeeze(1)
            target = batch.reward + (
                self.config.discount ** self.config.horizon * batch.mask * value)
        predicted = self.critic(batch.observation, batch.chunk.unsqueeze(1)).squeeze(2)
        loss = distributed.batch_mean((predicted - target).square().mean(dim=0) * batch.valid)
        return loss, {
            'critic_loss': loss.detach(),
            'value_of_data': distributed.batch_mean(predicted.detach().mean(dim=0))}

    def actor_loss(self, batch: Batch) -> tuple[torch.Tensor, Info]:
        """
        Loss of the actor; see :meth:`Actor.loss`.

        :param batch: States in the place of observations.
        """
        return self.actor.loss(
            batch.observation, batch.chunk, batch.valid, self.critic, batch.anchored)

    def update(self, batch: Batch, actor: bool = True) -> Info:
        """
        Take one Adam step on both losses, then update the target networks by Polyak averaging.

        :param batch: Observations in raw units.
        :param actor: Whether to train the actor; if not, only the critics.
        :return: Scalars to log, detached.
        """
        batch = self._seen(batch, augment=True)
        loss, info = self.critic_loss(batch)
        if actor:
            actor_loss, actor_info = self.actor_loss(batch)
            loss, info = loss + actor_loss, info | actor_info
        # Parameters without a gradient are left alone by Adam.
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        distributed.sum_gradients(self.trained)
        self.optimiser.step()
        polyak_update(self.target_critic, self.critic, self.config.target_rate)
        if actor:
            self.actor.update_targets()
            if self.anchor_encoder is not None and self.actor.anchor_follows:
                assert self.encoder is not None
                polyak_update(self.anchor_encoder, self.encoder, self.config.anchor_rate)
            self._age += 1
            rate = max(self.config.average_rate, _YOUNG / (_YOUNG + self._age))
            if self.average is not None:
                polyak_update(self.average, self.actor, rate)
            if self.average_encoder is not None and self.encoder is not None:
                polyak_update(self.average_encoder, self.encoder, rate)
        return info

    def resume(self, began_trained: bool) -> None:
        """
        Go on averaging as before, after networks and optimiser were restored.

        :param began_trained: Whether the run began with the networks of another.
        """
        # The encoder learns in the critics' updates, too: its steps are not those of the actor.
        first = next(p for p in self.actor.parameters() if p.requires_grad)
        state = self.optimiser.state.get(first)
        self._age = math.inf if began_trained else float(state['step']) if state else 0.0

    @torch.no_grad()
    def look(self, batch: Batch) -> Info:
        """
        Compute metrics of sampled chunks against the data, for the log.

        The noise has its own random stream, so that the metrics do not affect training.

        :param batch: Observations in raw units.
        :return: Mean distance to the data's chunk, standard deviation over the candidates of a
            state, their mean value, its standard deviation over the critics, and the metrics of
            :meth:`Actor.look`.
        """
        batch = self._seen(batch, augment=False)
        stream = torch.Generator(batch.chunk.device).manual_seed(0)
        noise = distributed.rows(torch.randn(
            len(batch.chunk) * distributed.count(), LOOKS, self.chunk_size, generator=stream,
            device=batch.chunk.device))
        chunks = self.actor(batch.observation, noise)
        values = self.critic(batch.observation, chunks)
        return {
            'distance_to_data': distributed.batch_mean(
                (chunks - batch.chunk.unsqueeze(1)).norm(dim=2), batch.valid),
            'candidate_spread': distributed.batch_mean(chunks.std(dim=1)),
            'value_of_candidates': distributed.batch_mean(values.mean(dim=0)),
            'ensemble_spread': distributed.batch_mean(values.std(dim=0, correction=0)),
            **self.actor.look(
                batch.observation, batch.chunk, noise, self.critic, batch.anchored)}

    def improve(self) -> None:
        """Start policy improvement, with the anchor policy as a copy of the policy that acts."""
        self.actor.improve()
        self.renew_anchor()

    def renew_anchor(self) -> None:
        """Make the anchor policy, if there is one, a copy of the policy that acts."""
        self.actor.renew_anchor(self.acting)
        if self.anchor_encoder is not None and self.acting_encoder is not None:
            polyak_update(self.anchor_encoder, self.acting_encoder, 1.0)

    def set_learning_rate(self, rate: float) -> None:
        """Set Adam's learning rate for the following updates."""
        for group in self.optimiser.param_groups:
            group['lr'] = rate

    @torch.no_grad()
    def act(
            self, observation: torch.Tensor, noise: torch.Tensor,
            pictures: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """
        Choose an action chunk: best-of-N over one candidate per noise vector.

        :param observation: Shape (obs_dim,), raw units.
        :param noise: Shape (candidates, chunk_size), already scaled.
        :param pictures: Each of shape (height, width, n), uint8.
        :return: Shape (horizon, act_dim), in [-1, 1].
        """
        chunks, values = self.candidates_of(observation, noise, pictures, len(noise) > 1)
        best: Any = 0 if values is None else values.argmax()
        return chunks[best].view(self.config.horizon, -1)

    def candidates_of(
            self, observation: torch.Tensor, noise: torch.Tensor,
            pictures: Sequence[torch.Tensor] = (),
            valued: bool = True) -> tuple[torch.Tensor, torch.Tensor | None]:
        """
        Draw the chunks that :meth:`act` chooses from; arguments as there.

        :param valued: Whether to ask the critics.
        :return: Shape (candidates, chunk_size); and their values, shape (candidates,), or None.
        """
        seen = [picture.unsqueeze(0) for picture in pictures]
        state = self.acting_state(observation.unsqueeze(0), seen)
        chunks = self.acting(state, noise.unsqueeze(0))
        if not valued:
            return chunks[0], None
        if self.average_encoder is not None:
            # The critics learned with the newest encoder.
            state = self.state(observation.unsqueeze(0), seen)
        return chunks[0], self.critic(state, chunks).mean(dim=0)[0]
