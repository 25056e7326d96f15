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
"""Updates with products in bfloat16, and the choice of the faster precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip('torch')

from testing.learning.runs import unevaluated  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning import precision  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.precision import faster, measure  # noqa: E402
from training.learning.trainer import checkpoint  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402

CONFIG = TrainConfig(
    hidden=(64, 64), horizon=2, best_of=4, pool=4, top=2, batch_size=64, value_weight=0.5)


def agents(config: TrainConfig) -> tuple[Agent, Agent]:
    """Make two agents with the same weights, in float32 and in bfloat16."""
    made = []
    for kind in ('float32', 'bf16'):
        torch.manual_seed(0)
        made.append(Agent(
            replace(config, precision=kind), 3, 2, Normaliser(torch.zeros(3), torch.ones(3))))
        made[-1].improve()
    return made[0], made[1]


def batch() -> Batch:
    torch.manual_seed(1)
    return Batch(
        torch.randn(64, 3), torch.rand(64, 4) * 2 - 1, torch.randn(64, 3), -torch.rand(64),
        torch.ones(64), torch.ones(64))


@pytest.mark.parametrize('gradient', [True, False])
def test_chunks_and_values_are_close_to_float32(gradient: bool) -> None:
    exact, rounded = agents(CONFIG)
    state, noise = torch.randn(64, 3), torch.randn(64, 8, 4)
    with torch.set_grad_enabled(gradient):
        for one, other in (
                (exact.actor(state, noise), rounded.actor(state, noise)),
                (exact.critic(state, noise), rounded.critic(state, noise))):
            assert other.dtype == torch.float32
            # They differ, so bfloat16 was used; eight bits are 0.4 %.
            assert 0 < (one - other).abs().max() < 0.05 * one.std()


def test_values_differ_by_less_than_their_size_would_round_away() -> None:
    """Values near -50 are 0.25 apart in bfloat16; the critic's choice needs far less."""
    exact, rounded = agents(CONFIG)
    for agent in (exact, rounded):
        with torch.no_grad():
            agent.critic.biases[-1].fill_(-50.0)
    state, chunks = torch.randn(64, 3), torch.rand(64, 8, 4)
    with torch.no_grad():
        one, other = exact.critic(state, chunks), rounded.critic(state, chunks)
    assert (one - other).abs().max() < 0.05


@pytest.mark.parametrize('policy', ['dfp', 'flow', 'fql', 'meanflow', 'driftql'])
def test_gradients_point_the_same_way(policy: str) -> None:
    exact, rounded = agents(replace(CONFIG, policy=policy))
    gradients = []
    for agent in (exact, rounded):
        torch.manual_seed(2)
        normalised = batch().normalised(agent.normaliser)
        (agent.critic_loss(normalised)[0] + agent.actor_loss(normalised)[0]).backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in agent.trained
                   if parameter.grad is not None)
        gradients.append(torch.cat([
            parameter.grad.flatten() for parameter in agent.trained
            if parameter.grad is not None]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_few_rows_stay_in_float32() -> None:
    """What acts is the exported policy, which is in float32."""
    exact, rounded = agents(CONFIG)
    observation, noise = torch.randn(3), torch.randn(4, 4)
    assert torch.equal(exact.act(observation, noise), rounded.act(observation, noise))


def test_a_run_resumes_bit_for_bit_and_loads_in_float32(
        drawn_data: Path, tmp_path: Path) -> None:
    config = unevaluated(
        drawn_data, precision='bf16', schedule='constant', steps=8, horizon=5, best_of=8)
    train(tmp_path / 'parts', replace(config, steps=4))
    train(tmp_path / 'parts', config, resume=True)
    train(tmp_path / 'whole', config)
    train(tmp_path / 'exact', replace(config, precision='float32'))
    one, other, exact = (
        checkpoint.load_agent(tmp_path / name / 'checkpoint.pt')[0]
        for name in ('parts', 'whole', 'exact'))
    weights = [agent.actor.network.layers[0].weight for agent in (one, exact)]
    assert not torch.equal(*weights)
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)
    assert all(network.product_type is None for network in one.networks())


def test_auto_is_the_faster_one_and_is_recorded(
        drawn_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(CONFIG)
    assert set(found) == {'float32', 'bf16'}
    assert all(taken > 0 for taken in found.values())
    config = unevaluated(drawn_data, precision='auto', schedule='constant', steps=2)
    for times, chosen in (((1.0, 2.0), 'float32'), ((2.0, 1.0), 'bf16')):
        monkeypatch.setattr(precision, 'measure', lambda config, times=times: dict(
            zip(('float32', 'bf16'), times, strict=True)))
        run = tmp_path / chosen
        train(run, config)
        assert f'precision: {chosen}' in capsys.readouterr().err
        assert checkpoint.settings(run / 'checkpoint.pt').precision == chosen
        assert TrainConfig.from_json((run / 'config.json').read_text()).precision == chosen
        # A resumed run keeps it, whatever is faster now.
        monkeypatch.setattr(precision, 'measure', lambda config: pytest.fail('measured again'))
        train(run, replace(config, steps=3), resume=True)
        assert checkpoint.settings(run / 'checkpoint.pt').precision == chosen


def test_measuring_leaves_the_random_state() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    faster(CONFIG)
    assert torch.equal(torch.rand(4), expected)
