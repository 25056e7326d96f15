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
"""Critic target, computed by hand on a chain of three states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from training.config import TrainConfig  # noqa: E402
from training.data.transitions.transitions import Transitions  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402

DISCOUNT = 0.5


def chain(solved: bool) -> Transitions:
    """
    States 0, 1, 2, one episode of three steps with rewards -1, -2, -4.

    :param solved: Whether the last step solves the task; else the episode runs out of time
        and stays in state 2.
    """
    states = np.eye(3, dtype=np.float32)
    return Transitions(
        observations=states, actions=np.zeros((3, 1), np.float32),
        next_observations=states[[1, 2, 2]], rewards=np.array([-1, -2, -4], np.float32),
        masks=np.array([1, 1, float(not solved)], np.float32),
        terminals=np.array([0, 0, 1], np.float32), observation_fields=(), action_fields=(),
        period=0.05, source={})


def agent(horizon: int, **changes: Any) -> Agent:
    torch.manual_seed(0)
    config = TrainConfig(
        hidden=(32, 32), horizon=horizon, discount=DISCOUNT, learning_rate=3e-3, **changes)
    return Agent(config, 3, 1, Normaliser(torch.zeros(3), torch.ones(3)))


class Known(torch.nn.Module):
    """Target critics with the values 10, 20, 40 of the states 0, 1, 2, for any chunk."""

    def forward(self, state: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        value = state @ torch.tensor([10.0, 20.0, 40.0])
        return value[:, None].expand(2, -1, chunk.shape[1])


@pytest.mark.parametrize(('horizon', 'solved', 'targets'), [
    # r + 0.5 V(next): -1 + 10, -2 + 20, and -4 + 20 out of time or -4 solved.
    (1, False, [9.0, 18.0, 16.0]),
    (1, True, [9.0, 18.0, -4.0]),
    # r + 0.5 r' + 0.25 V(after next): -1 - 1 + 10; -2 - 2 + 10 or, solved within, -4.
    (2, False, [8.0, 6.0]),
    (2, True, [8.0, -4.0]),
    # The whole chain: -1 - 1 - 1, and 0.125 * 40 where it is not solved.
    (3, False, [2.0]),
    (3, True, [-3.0]),
])
def test_target_by_hand(horizon: int, solved: bool, targets: list[float]) -> None:
    subject = agent(horizon)
    subject.target_critic = Known()
    data = chain(solved)
    padded = Transitions(**{**vars(data), **{
        name: np.concatenate([getattr(data, name)] * 2) for name in (
            'observations', 'actions', 'next_observations', 'rewards', 'masks', 'terminals')}})
    batch = ReplayBuffer(padded, horizon, DISCOUNT).gather(torch.arange(len(targets)))
    predicted = subject.critic(batch.observation, batch.chunk.unsqueeze(1)).squeeze(2)
    expected = (predicted - torch.tensor(targets)).square().mean()
    assert subject.critic_loss(batch)[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_updates_find_the_values_of_the_chain() -> None:
    """Solved at its end: -1 + 0.5 (-2 + 0.5 (-4)) = -3, -4, -4."""
    subject = agent(1, batch_size=32, target_rate=0.05, value_weight=0.0)
    buffer = ReplayBuffer(chain(solved=True), 1, DISCOUNT)
    generator = np.random.default_rng(0)
    for _ in range(500):
        subject.update(buffer.sample(32, generator))
    with torch.no_grad():
        values = subject.critic(torch.eye(3), torch.zeros(3, 1, 1)).mean(dim=0).flatten()
    torch.testing.assert_close(values, torch.tensor([-3.0, -4.0, -4.0]), rtol=0, atol=0.2)
