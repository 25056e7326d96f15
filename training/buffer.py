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
"""One layout for all data, and chunks sampled from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from dfp_ros.spec import ActionField, ObservationField
from training.networks import Normaliser


@dataclass(frozen=True)
class Transitions:
    """
    Steps of many episodes, one after the other.

    :param observations: Shape (size, obs_dim), float32, raw units.
    :param actions: Shape (size, act_dim), float32, in [-1, 1].
    :param next_observations: Shape (size, obs_dim), float32.
    :param rewards: Shape (size,), float32.
    :param masks: Shape (size,), float32: 0 where the task was solved, so nothing follows.
    :param terminals: Shape (size,), float32: 1 on the last step of an episode.
    :param observation_fields: Names, units and ranges of the observation.
    :param action_fields: Names, units and ranges of the action.
    :param period: Control period in s.
    :param source: Where the data came from: file, hash, counts; plain JSON.
    """

    observations: np.ndarray
    actions: np.ndarray
    next_observations: np.ndarray
    rewards: np.ndarray
    masks: np.ndarray
    terminals: np.ndarray
    observation_fields: tuple[ObservationField, ...]
    action_fields: tuple[ActionField, ...]
    period: float
    source: Mapping[str, Any]

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.actions)


@dataclass(frozen=True)
class Batch:
    """
    Chunks with what the critic and the actor need.

    :param observation: Shape (B, obs_dim).
    :param chunk: Shape (B, horizon * act_dim).
    :param next_observation: Shape (B, obs_dim), after the chunk.
    :param reward: Shape (B,), discounted sum over the chunk.
    :param mask: Shape (B,), 0 where the task was solved within the chunk.
    :param valid: Shape (B,), 0 where the chunk crosses an episode's end.
    """

    observation: torch.Tensor
    chunk: torch.Tensor
    next_observation: torch.Tensor
    reward: torch.Tensor
    mask: torch.Tensor
    valid: torch.Tensor

    def normalised(self, normaliser: Normaliser) -> Batch:
        """Apply a normaliser to both observations."""
        return replace(
            self, observation=normaliser(self.observation),
            next_observation=normaliser(self.next_observation))


class ChunkSampler:
    """
    Draw batches of chunks, uniformly over their first steps.

    :param transitions: The data.
    :param horizon: Actions in a chunk.
    :param discount: Discount a step.
    :param device: Where the batches go; the data is kept there too.
    :raises ValueError: Where the data is shorter than a chunk.
    """

    def __init__(
            self, transitions: Transitions, horizon: int, discount: float,
            device: torch.device | str = 'cpu') -> None:
        if len(transitions) <= horizon:
            raise ValueError(
                f'data: found {len(transitions)} steps, expected more than the horizon, {horizon}')
        self.horizon = horizon
        self._starts = len(transitions) - horizon + 1
        self._columns = {
            name: torch.as_tensor(getattr(transitions, name), dtype=torch.float32, device=device)
            for name in (
                'observations', 'actions', 'next_observations', 'rewards', 'masks', 'terminals')}
        self._offsets = torch.arange(horizon, device=device)
        self._discounts = discount ** self._offsets.to(torch.float32)

    def sample(self, count: int, generator: np.random.Generator) -> Batch:
        """
        Draw ``count`` chunks.

        :param count: Batch size.
        :param generator: Source of the draw; its state decides the batch.
        """
        drawn = generator.integers(self._starts, size=count)
        return self.gather(torch.as_tensor(drawn, device=self._offsets.device))

    def gather(self, starts: torch.Tensor) -> Batch:
        """
        Cut the chunks that begin at ``starts``.

        :param starts: Shape (B,), int64, in [0, size - horizon].
        """
        steps = starts[:, None] + self._offsets
        terminals = self._columns['terminals'][steps]
        # 1 from the step after an episode's end on: the running maximum, one step later.
        ended = torch.zeros_like(terminals)
        ended[:, 1:] = terminals[:, :-1].cummax(dim=1).values if self.horizon > 1 else 0.0
        return Batch(
            observation=self._columns['observations'][starts],
            chunk=self._columns['actions'][steps].flatten(1),
            next_observation=self._columns['next_observations'][starts + self.horizon - 1],
            reward=(self._columns['rewards'][steps] * self._discounts).sum(dim=1),
            mask=self._columns['masks'][steps].amin(dim=1),
            valid=1.0 - ended[:, -1])
