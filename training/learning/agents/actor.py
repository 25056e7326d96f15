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
"""Base class of actors: the interface of a policy to training, evaluation and export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TYPE_CHECKING

import torch
from torch import nn

from training.config import TrainConfig
from training.learning import distributed
from training.learning.networks.modules import CriticEnsemble

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph

Info = dict[str, torch.Tensor]
# Lower bound of the mean absolute value to divide by: untrained critics may return zero.
SMALLEST = 1e-6


class Actor(nn.Module, ABC):
    """
    A policy that maps a state and noise to an action chunk.

    Critic, replay buffer, evaluation, logging and export are the same for every policy; only the
    actor differs. An actor updates parameters that require no gradient itself (see
    :meth:`polyak_update`).

    :param config: The run's settings.
    :param observation_size: Length of an observation.
    :param chunk_size: Horizon times action size; also the length of the noise.
    """

    algorithm: ClassVar[str]
    """Name of the algorithm in the policy file."""
    has_anchor: ClassVar[bool] = False
    """Whether there is an anchor policy."""
    # Whether actions are best-of-N: the critic picks the best candidate, in targets and in
    # execution.
    ranked = True

    def __init__(self, config: TrainConfig, observation_size: int, chunk_size: int) -> None:
        super().__init__()
        self.config = config
        self.observation_size = observation_size
        self.chunk_size = chunk_size
        # An offline-to-online run clones behaviour first, and improves on it in the online phase.
        self.improving = config.online_steps == 0 and config.improve_after == 0
        # lambda of the next update.
        self.value_weight = config.value_weight

    @abstractmethod
    def forward(self, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """
        Sample action chunks.

        :param state: Shape (B, obs_dim), normalised observations.
        :param noise: Shape (B, N, chunk_size), standard normal.
        :return: Shape (B, N, chunk_size), in [-1, 1].
        """

    @abstractmethod
    def loss(
            self, state: torch.Tensor, chunk: torch.Tensor, valid: torch.Tensor,
            critic: CriticEnsemble,
            anchored: torch.Tensor | None = None) -> tuple[torch.Tensor, Info]:
        """
        Loss of one batch; its gradient must not reach the critics.

        :param state: Shape (B, obs_dim), normalised observations.
        :param chunk: Shape (B, chunk_size), from the data.
        :param valid: Shape (B,), 0 if the chunk crosses the end of an episode: it then contains
            actions of another episode and must not be imitated.
        :param critic: The online critics, not the target critics.
        :param anchored: The states as the anchor policy sees them, if it has an encoder of its
            own; None if it sees the same.
        :return: A scalar, and scalars to log, detached.
        """

    def look(
            self, state: torch.Tensor, chunk: torch.Tensor, noise: torch.Tensor,
            critic: CriticEnsemble, anchored: torch.Tensor | None = None) -> Info:
        """
        Compute this policy's own metrics for the log; draws no random numbers.

        :param state: Shape (B, obs_dim), normalised observations.
        :param chunk: Shape (B, chunk_size), from the data.
        :param noise: Shape (B, N, chunk_size), standard normal.
        :param critic: The online critics.
        :param anchored: As in :meth:`loss`.
        """
        return {}

    @abstractmethod
    def write(self, graph: Graph) -> None:
        """
        Write the ONNX nodes of :meth:`forward`.

        :param graph: Has the values ``state``, shape (1, obs_dim), and ``noise``, shape
            (candidates, chunk_size); receives the output ``chunks``, of the shape of the noise.
        """

    def climbed(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Prepare the value that a policy maximises through the critic's gradient.

        :param values: Shape (B, N), of generated chunks.
        :return: The mean value; and the same, divided by the mean absolute value if
            ``normalise_value`` is set.
        """
        value = distributed.batch_mean(values)
        if not self.config.normalise_value:
            return value, value
        size = distributed.batch_mean(values.detach().abs()).clamp_min(SMALLEST)
        return value, value / size

    def improve(self) -> None:
        """Start policy improvement, at the switch from the offline to the online phase."""
        self.improving = True

    def propose(
            self, state: torch.Tensor, noise: torch.Tensor,
            anchored: torch.Tensor | None = None) -> torch.Tensor:
        """Sample the candidates of the critic's targets; see :meth:`forward`, :meth:`loss`."""
        return self(state, noise)

    @property
    def anchor_follows(self) -> bool:
        """Tell whether there is an anchor policy that follows the actor in this update."""
        return False

    def renew_anchor(self, policy: Actor) -> None:
        """Make the anchor policy, if there is one, a copy of a policy of the same class."""

    def update_targets(self) -> None:
        """Update target or anchor networks by Polyak averaging, after an update."""

    def get_extra_state(self) -> torch.Tensor:
        """Save the phase with the weights."""
        return torch.tensor(self.improving)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Restore the phase."""
        self.improving = bool(state)
