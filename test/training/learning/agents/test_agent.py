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
"""Networks, losses and the update of the agent."""

from dataclasses import replace

import numpy as np
import pytest

from testing.learning.batches import episodes

torch = pytest.importorskip('torch')
from torch.nn import functional  # noqa: E402

from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.networks.modules import (  # noqa: E402
    ConditionedMLP,
    CriticEnsemble,
    lower_bound,
    Normaliser,
    polyak_update,
)
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402

SMALL = TrainConfig(hidden=(16, 16), batch_size=8)


def agent(config: TrainConfig = SMALL) -> Agent:
    torch.manual_seed(0)
    return Agent(config, 3, 2, Normaliser(torch.zeros(3), torch.ones(3)))


@pytest.mark.parametrize('gradient', [True, False])
@pytest.mark.parametrize('states', [5, 40])
def test_actor_equals_an_mlp_on_the_concatenation(states: int, gradient: bool) -> None:
    torch.manual_seed(0)
    actor = ConditionedMLP(3, 4, 4, (16, 16))
    observation, noise = torch.randn(states, 3), torch.randn(states, 7, 4)
    with torch.set_grad_enabled(gradient):
        found = actor(observation, noise)
    hidden = torch.cat([observation.unsqueeze(1).expand(-1, 7, -1), noise], dim=2)
    for layer in actor.layers[:-1]:
        hidden = functional.gelu(layer(hidden), approximate='tanh')
    torch.testing.assert_close(found, actor.layers[-1](hidden))


@pytest.mark.parametrize('gradient', [True, False])
@pytest.mark.parametrize('states', [5, 40])
def test_critics_equal_separate_mlps(states: int, gradient: bool) -> None:
    """Few rows or many, with a gradient or without: each goes another way."""
    torch.manual_seed(0)
    critic = CriticEnsemble(3, 4, (16, 8), 2)
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter)
    observation, chunk = torch.randn(states, 3), torch.randn(states, 7, 4)
    with torch.set_grad_enabled(gradient):
        values = critic(observation, chunk)
    inputs = torch.cat([observation.unsqueeze(1).expand(-1, 7, -1), chunk], dim=2)
    for member in range(2):
        hidden = inputs @ critic.weights[0][member] + critic.biases[0][member]
        for i in range(2):
            hidden = functional.gelu(hidden, approximate='tanh')
            hidden = functional.layer_norm(
                hidden, hidden.shape[-1:], critic.norm_scales[i][member, 0],
                critic.norm_shifts[i][member, 0], eps=1e-6)
            hidden = hidden @ critic.weights[i + 1][member] + critic.biases[i + 1][member]
        torch.testing.assert_close(values[member], hidden.squeeze(2), rtol=1e-4, atol=1e-3)


def test_critic_target_by_hand() -> None:
    subject = agent(replace(SMALL, horizon=2, discount=0.5))
    for parameter in subject.target_critic.parameters():
        parameter.zero_()
    subject.target_critic.biases[-1].fill_(4.0)
    with torch.no_grad():
        for parameter in subject.critic.parameters():
            parameter.zero_()
    # Three chunks: one goes on, one solved the task, one crosses an episode's end.
    batch = Batch(
        observation=torch.zeros(3, 3), chunk=torch.zeros(3, 4),
        next_observation=torch.zeros(3, 3), reward=torch.tensor([-1.5, -1.0, -9.0]),
        mask=torch.tensor([1.0, 0.0, 1.0]), valid=torch.tensor([1.0, 1.0, 0.0]))
    loss, _ = subject.critic_loss(batch)
    # Targets -1.5 + 0.25 * 4 = -0.5 and -1; predictions 0; the third counts zero of three.
    assert loss.item() == pytest.approx((0.25 + 1.0 + 0.0) / 3)


def test_targets_and_pool_are_of_the_policy_that_acts() -> None:
    """Without noise, all that the policy would do is one chunk: nothing is random or better."""
    data = ReplayBuffer(episodes([9]), 1, 0.99).sample(8, np.random.default_rng(0))
    for noise_scale, constant in ((0.0, True), (1.0, False)):
        subject = agent(replace(SMALL, noise_scale=noise_scale, best_of=3))
        torch.manual_seed(1)
        losses = [subject.critic_loss(data)[0].item() for _ in range(2)]
        assert (losses[0] == losses[1]) is constant
        _, info = subject.actor_loss(data)
        assert bool(info['value_of_best'] - info['value_of_pool'] < 1e-6) is constant


@pytest.mark.parametrize('clipped', [True, False])
def test_clipped_chunks_have_no_gradient(clipped: bool) -> None:
    subject = agent(replace(SMALL, clip_generated=clipped, value_weight=0.0))
    with torch.no_grad():
        # Far beyond 1 in the first coordinate, within the range in the second.
        subject.actor.network.layers[-1].bias.copy_(torch.tensor([50.0, 0.0]))
    data = ReplayBuffer(episodes([9]), 1, 0.99).sample(8, np.random.default_rng(0))
    subject.actor_loss(data)[0].backward()
    moved = subject.actor.network.layers[-1].bias.grad != 0
    assert moved.tolist() == [not clipped, True]


def test_chunks_across_an_end_are_no_positives() -> None:
    subject = agent(replace(SMALL, horizon=2, value_weight=0.0))
    data = ReplayBuffer(episodes([4, 4]), 2, 0.99)
    batch = data.gather(torch.arange(7))
    assert batch.valid.tolist() == [1, 1, 1, 0, 1, 1, 1]
    broken = replace(batch, chunk=batch.chunk.clone())
    broken.chunk[3] = 1e6
    losses = []
    for case in (batch, broken):
        torch.manual_seed(1)
        subject.zero_grad()
        loss, _ = subject.actor_loss(case)
        loss.backward()
        losses.append(subject.actor.network.layers[0].weight.grad.clone())
    assert torch.equal(*losses)


def test_actor_loss_leaves_the_critics_alone() -> None:
    subject = agent()
    loss, _ = subject.actor_loss(
        ReplayBuffer(episodes([9]), 1, 0.99).sample(8, np.random.default_rng(0)))
    loss.backward()
    assert all(parameter.grad is None for parameter in subject.critic.parameters())


def test_update_moves_followers_at_their_rates() -> None:
    subject = agent()
    before = [p.clone() for p in subject.target_critic.parameters()]
    anchor = [p.clone() for p in subject.actor.anchor.parameters()]
    subject.update(ReplayBuffer(episodes([20]), 1, 0.99).sample(8, np.random.default_rng(0)))
    for old, new, live in zip(
            before, subject.target_critic.parameters(), subject.critic.parameters(), strict=True):
        torch.testing.assert_close(new, old + 5e-3 * (live.detach() - old))
    for old, new, live in zip(
            anchor, subject.actor.anchor.parameters(), subject.actor.network.parameters(),
            strict=True):
        torch.testing.assert_close(new, old + 1e-4 * (live.detach() - old))


def test_follow_at_rate_one_copies() -> None:
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    polyak_update(first, second, 1.0)
    assert torch.equal(first.weight, second.weight)


def test_best_of_picks_what_the_critic_prefers() -> None:
    subject = agent(replace(SMALL, best_of=4))
    observation, noise = torch.randn(3), torch.randn(4, 2)
    chosen = subject.act(observation, noise)
    state = observation.unsqueeze(0)
    chunks = subject.actor(state, noise.unsqueeze(0))
    values = subject.critic(state, chunks).mean(dim=0)[0]
    assert torch.equal(chosen[0], chunks[0, values.argmax()])


def test_a_pessimistic_choice_avoids_what_the_critics_disagree_on() -> None:
    values = torch.tensor([[[1.0, 0.9, 0.0]], [[-1.0, 0.7, 0.0]]])
    assert lower_bound(values, 0.0).tolist() == [[0.0, pytest.approx(0.8), 0.0]]
    assert lower_bound(values, 1.0).tolist() == [
        [pytest.approx(-1.0), pytest.approx(0.7), pytest.approx(0.0)]]
    wide = torch.tensor([[[4.0, 0.5]], [[-2.0, 0.5]]])
    assert int(lower_bound(wide, 0.0).argmax()) == 0
    assert int(lower_bound(wide, 1.0).argmax()) == 1


@pytest.mark.parametrize('targets', ['actor', 'anchor'])
def test_targets_come_from_the_policy_that_is_asked_for(targets: str) -> None:
    made = agent(replace(SMALL, targets=targets, anchor='frozen', improve_after=1))
    state, noise = torch.randn(4, 3), torch.randn(4, 2, 2)
    # Before the ascent there is no anchor policy yet.
    assert torch.equal(made.actor.propose(state, noise), made.actor(state, noise))
    made.improve()
    before = made.actor(state, noise).clone()
    for parameter in made.actor.network.parameters():
        parameter.data += 0.1
    expected = before if targets == 'anchor' else made.actor(state, noise)
    assert torch.equal(made.actor.propose(state, noise), expected)


def test_the_average_acts_and_follows_at_its_rate() -> None:
    made = agent(replace(SMALL, average_rate=0.25))
    newest, average = made.actor.network.layers[0].weight, made.average.network.layers[0].weight
    before = average.clone()
    batch = Batch(
        torch.randn(8, 3), torch.rand(8, 2), torch.randn(8, 3), torch.zeros(8), torch.ones(8),
        torch.ones(8))
    made.update(batch)
    assert not torch.equal(newest, before)
    # Young, so that random weights are forgotten.
    torch.testing.assert_close(average, 0.1 * before + 0.9 * newest)
    before = average.clone()
    made.resume(began_trained=True)
    made.update(batch)
    torch.testing.assert_close(average, 0.75 * before + 0.25 * newest)
    before = average.clone()
    made.resume(began_trained=False)
    made.update(batch)
    torch.testing.assert_close(average, 0.25 * before + 0.75 * newest)
    observation, noise = torch.randn(3), torch.randn(1, 2)
    expected = made.average(observation.unsqueeze(0), noise.unsqueeze(0))[0]
    assert torch.equal(made.act(observation, noise), expected)
    # The critics alone are trained.
    before = average.clone()
    made.update(batch, actor=False)
    assert torch.equal(average, before)


def test_the_anchor_is_a_copy_of_the_policy_that_acts() -> None:
    made = agent(replace(SMALL, average_rate=0.25))
    for parameter in made.average.network.parameters():
        parameter.data += 0.1
    made.improve()
    for anchor, average in zip(
            made.actor.anchor.parameters(), made.average.network.parameters(), strict=True):
        assert torch.equal(anchor, average)
