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
"""A batch of action chunks sampled from the replay buffer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from training.learning.networks.modules import Normaliser


@dataclass(frozen=True)
class Batch:
    """
    Action chunks with the observations and returns that critic and actor need.

    :param observation: Shape (B, obs_dim).
    :param chunk: Shape (B, horizon * act_dim).
    :param next_observation: Shape (B, obs_dim), after the chunk.
    :param reward: Shape (B,), discounted sum of rewards over the chunk.
    :param mask: Shape (B,), 0 if the task was solved within the chunk: no bootstrapping.
    :param valid: Shape (B,), 0 if the chunk crosses the end of an episode.
    :param pictures: Those of the observation, each of shape (B, height, width, n), uint8.
    :param next_pictures: Those of the next observation.
    :param anchored: The states as the anchor policy sees them, if it has an encoder of its own.
    :param next_anchored: Those of the next observation, if the critic's targets need them.
    """

    observation: torch.Tensor
    chunk: torch.Tensor
    next_observation: torch.Tensor
    reward: torch.Tensor
    mask: torch.Tensor
    valid: torch.Tensor
    pictures: tuple[torch.Tensor, ...] = ()
    next_pictures: tuple[torch.Tensor, ...] = ()
    anchored: torch.Tensor | None = None
    next_anchored: torch.Tensor | None = None

    def normalised(self, normaliser: Normaliser) -> Batch:
        """Normalise both observations."""
        return replace(
            self, observation=normaliser(self.observation),
            next_observation=normaliser(self.next_observation))
