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
"""Policy families: losses, samples and ONNX nodes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from testing.policies.small_policy import cube_spec

torch = pytest.importorskip('torch')

from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from testing.learning.batches import episodes  # noqa: E402
from testing.learning.runs import settings  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.export import export  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.agents.registry import ACTORS  # noqa: E402
from training.learning.networks.layers import gelu  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.onnx_export.parity import compare  # noqa: E402
from training.onnx_export.policy_graph import policy_model  # noqa: E402

SMALL = TrainConfig(hidden=(16, 16), batch_size=8, horizon=2, pool=4, top=2, best_of=3)
POLICIES = sorted(ACTORS)


def agent(policy: str, **changes: object) -> Agent:
    torch.manual_seed(0)
    return Agent(
        replace(SMALL, policy=policy, **changes), 3, 2,
        Normaliser(torch.zeros(3), torch.ones(3)))


def batch() -> Batch:
    """Seven chunks; the fourth crosses an episode's end."""
    return ReplayBuffer(episodes([4, 4]), 2, 0.99).gather(torch.arange(7))


@pytest.mark.parametrize('policy', POLICIES)
def test_the_actor_s_gradient_leaves_the_critics_alone(policy: str) -> None:
    subject = agent(policy)
    loss, info = subject.actor_loss(batch())
    loss.backward()
    assert all(parameter.grad is None for parameter in subject.critic.parameters())
    trained = [p for p in subject.actor.parameters() if p.requires_grad]
    assert trained
    assert all(parameter.grad is not None for parameter in trained)
    assert all(not value.requires_grad for value in info.values())


@pytest.mark.parametrize('policy', POLICIES)
def test_chunks_across_an_end_are_not_imitated(policy: str) -> None:
    subject, data, gradients = agent(policy), batch(), []
    broken = replace(data, chunk=data.chunk.clone())
    broken.chunk[3] = 1e3
    for case in (data, broken):
        torch.manual_seed(1)
        subject.zero_grad()
        subject.actor_loss(case)[0].backward()
        gradients.append([
            p.grad.clone() for p in subject.actor.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('policy', POLICIES)
def test_looking_changes_nothing(policy: str) -> None:
    subject, state = agent(policy), torch.get_rng_state()
    found = subject.look(batch())
    assert torch.equal(torch.get_rng_state(), state)
    assert {'distance_to_data', 'candidate_spread', 'value_of_candidates',
            'ensemble_spread'} <= found.keys()
    assert (policy == 'dfp') == ({'step_p50', 'step_p99', 'pulling', 'value_gap',
                                  'prefers_pool'} <= found.keys())


def test_metrics_of_the_choice_follow_the_critic() -> None:
    """A critic that values the data's chunk most, or least."""
    subject, data = agent('dfp'), batch()

    def critic(state: torch.Tensor, chunks: torch.Tensor) -> torch.Tensor:
        distance = (chunks - data.chunk.unsqueeze(1)).norm(dim=2)
        return (sign * distance).expand(2, -1, -1)

    noise = torch.randn(7, 8, 4)
    for sign, share in ((-1.0, 0.0), (1.0, 1.0)):
        found = subject.actor.look(data.observation, data.chunk, noise, critic)
        assert float(found['prefers_pool']) == share
        assert sign * float(found['value_gap']) > 0
        assert 1 <= float(found['pulling']) <= 2
        assert 0 < float(found['step_p50']) <= float(found['step_p99'])


def test_driftql_climbs_the_value_within_what_the_drift_allows() -> None:
    """With a value that grows along one axis: a small alpha moves the policy further."""
    moved = []
    for alpha in (100.0, 1.0):
        subject = agent('driftql', distillation=alpha, bandwidths=(0.5,), generated=4)
        optimiser = torch.optim.Adam(subject.actor.parameters(), lr=3e-3)
        state, chunk = torch.zeros(32, 3), torch.zeros(32, 4)
        for _ in range(300):
            loss, _ = subject.actor.loss(
                state, chunk, torch.ones(32),
                lambda state, chunks, frozen: 0.5 * chunks[..., 0].expand(2, -1, -1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        moved.append(float(subject.actor(state, torch.randn(32, 4, 4))[..., 0].mean()))
    assert abs(moved[0]) < 0.15
    assert moved[1] > 0.4


def test_euler_steps_follow_the_velocity() -> None:
    flow = agent('flow', flow_steps=3).actor.flow
    state, noise = torch.randn(2, 3), torch.randn(2, 5, 4)
    place = noise
    for step in range(3):
        time = torch.full((2, 5, 1), step / 3)
        inputs = torch.cat([state.unsqueeze(1).expand(-1, 5, -1), place, time], dim=2)
        hidden = inputs
        for layer in flow.layers[:-1]:
            hidden = torch.nn.functional.gelu(layer(hidden), approximate='tanh')
        place = place + flow.layers[-1](hidden) / 3
    torch.testing.assert_close(flow.integrate(state, noise), place.clamp(-1, 1))


def test_flow_matching_rests_at_the_flow_to_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """All data in one point: every path's velocity is known, and Euler steps follow it exactly."""
    subject, point = agent('flow').actor, torch.tensor([0.2, -0.5, 0.9, 0])
    monkeypatch.setattr(
        subject.flow, 'velocity', lambda state, place, time: (point - place) / (1 - time))
    loss, _ = subject.loss(torch.zeros(64, 3), point.expand(64, 4), torch.ones(64), None)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    drawn = subject(torch.zeros(1, 3), torch.randn(1, 5, 4))
    torch.testing.assert_close(drawn, point.expand(1, 5, 4))


def test_meanflow_goal_equals_a_finite_difference() -> None:
    """d/dt of u(z_t, r, t) along the path, by the jvp and by a small step."""
    subject = agent('meanflow', instantaneous=0.0).actor.double()
    state, chunk = torch.randn(6, 3, dtype=torch.float64), torch.rand(6, 4, dtype=torch.float64)
    torch.manual_seed(3)
    noise = torch.randn(6, 1, 4)
    times = torch.rand(6, 2).sort(dim=1).values.unsqueeze(1)
    earlier, later = times[:, :, :1].double(), times[:, :, 1:].double()
    velocity = noise.double() - chunk.unsqueeze(1)

    def along(time: torch.Tensor) -> torch.Tensor:
        return subject.velocity(state, chunk.unsqueeze(1) + time * velocity, earlier, time)

    step = 1e-5
    change = (along(later + step) - along(later - step)) / (2 * step)
    expected = (along(later) - (velocity - (later - earlier) * change)).square().mean()
    torch.manual_seed(3)
    loss, _ = subject.loss(state, chunk, torch.ones(6), None)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_meanflow_rests_at_the_flow_to_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """All data in one point: every path's mean velocity is known, and so is the one step."""
    subject, point = agent('meanflow', instantaneous=0.5).actor, torch.tensor([0.2, -0.5, 0.9, 0])
    monkeypatch.setattr(
        subject, 'velocity', lambda state, place, earlier, later: (place - point) / later)
    loss, _ = subject.loss(torch.zeros(64, 3), point.expand(64, 4), torch.ones(64), None)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    drawn = subject(torch.zeros(1, 3), torch.randn(1, 5, 4))
    torch.testing.assert_close(drawn, point.expand(1, 5, 4))


def test_mean_velocity_changes_by_finite_numbers_far_out() -> None:
    """The activation's forward-mode derivative neither overflows nor strays from PyTorch's own."""
    values, tangent = torch.linspace(-60, 60, 241), torch.ones(241)
    with torch.no_grad():
        found, expected = (
            torch.func.jvp(lambda inputs, f=f: f(inputs * 1), (values,), (tangent,))[1]
            for f in (gelu, partial(torch.nn.functional.gelu, approximate='tanh')))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('share', 'apart'), [(1.0, 0), (0.75, 2), (0.5, 4), (0.0, 8)])
def test_share_of_instantaneous_rows(share: float, apart: int) -> None:
    subject = agent('meanflow', instantaneous=share).actor
    assert int(subject._apart(8, torch.device('cpu')).sum()) == apart


class Quadratic(torch.nn.Module):
    """Stands for critics that like one chunk best."""

    def forward(
            self, state: torch.Tensor, chunk: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        return -(chunk - 0.5).square().sum(dim=2).unsqueeze(0)


def fit(policy: str, chunks: torch.Tensor, updates: int, **changes: object) -> torch.Tensor:
    """Learn a chunk of one number in one state; draw 2000."""
    torch.manual_seed(0)
    config = TrainConfig(hidden=(64, 64), policy=policy, **changes)
    actor = ACTORS[policy](config, 1, 1)
    optimiser = torch.optim.Adam(
        [p for p in actor.parameters() if p.requires_grad], lr=1e-2)
    state = torch.zeros(256, 1)
    for _ in range(updates):
        drawn = chunks[torch.randint(len(chunks), (256,))].unsqueeze(1)
        optimiser.zero_grad()
        actor.loss(state, drawn, torch.ones(256), Quadratic())[0].backward()
        optimiser.step()
    with torch.no_grad():
        return actor(torch.zeros(1, 1), torch.randn(1, 2000, 1)).flatten()


@pytest.mark.parametrize(('policy', 'updates', 'changes'), [
    ('flow', 200, {}), ('meanflow', 400, {'instantaneous': 0.5})])
def test_clones_keep_both_modes(policy: str, updates: int, changes: dict) -> None:
    """The noise itself would have less than two fifths of its mass near the modes."""
    drawn = fit(policy, torch.tensor([-0.6, 0.6]), updates, **changes)
    near = [((drawn - mode).abs() < 0.3).float().mean().item() for mode in (-0.6, 0.6)]
    assert min(near) > 0.3, near
    assert sum(near) > 0.7, near


def test_the_student_climbs_as_far_as_its_teacher_lets_it() -> None:
    data = torch.tensor([-0.5, -0.4])
    tight, loose = (
        fit('fql', data, 150, distillation=alpha).mean().item() for alpha in (100.0, 0.1))
    assert tight == pytest.approx(-0.45, abs=0.1)
    assert loose == pytest.approx(0.5, abs=0.2)


def test_the_value_s_scale_may_be_taken_out() -> None:
    """A critic a thousand times as large moves the student no further."""
    class Large(Quadratic):
        def forward(self, *arguments: object, **options: object) -> torch.Tensor:
            return 1000 * super().forward(*arguments, **options)

    state, chunk, valid = torch.zeros(32, 3), torch.rand(32, 4), torch.ones(32)
    for normalised in (True, False):
        subject, gradients = agent('fql', normalise_value=normalised).actor, []
        for critic in (Quadratic(), Large()):
            torch.manual_seed(1)
            subject.zero_grad()
            subject.loss(state, chunk, valid, critic)[0].backward()
            gradients.append(subject.student.layers[0].weight.grad.clone())
        assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6) == normalised


@pytest.mark.parametrize('policy', POLICIES)
def test_a_policy_file_does_what_its_networks_do(policy: str, tmp_path: Path) -> None:
    spec = cube_spec(candidates=2)
    torch.manual_seed(0)
    subject = Agent(
        TrainConfig(policy=policy, hidden=(32, 32), horizon=spec.horizon),
        spec.observation_size, spec.action_size,
        Normaliser(torch.randn(spec.observation_size), torch.rand(spec.observation_size) + 0.5))
    path = tmp_path / 'policy.onnx'
    onnx.save_model(policy_model(subject, spec), str(path))
    observations = np.random.default_rng(0).normal(size=(4, 28)).astype(np.float32)
    assert compare(subject, OnnxPolicy(path), observations).compared == 12


def test_the_flow_s_weights_are_stored_once() -> None:
    spec = cube_spec()
    sizes = []
    for steps in (1, 10):
        subject = Agent(
            TrainConfig(policy='flow', hidden=(64, 64), horizon=5, flow_steps=steps),
            spec.observation_size, spec.action_size,
            Normaliser(torch.zeros(28), torch.ones(28)))
        model = policy_model(subject, spec)
        sizes.append(sum(
            np.prod(weight.dims) for weight in model.graph.initializer))
    assert sizes[1] - sizes[0] == 9 * 64  # a bias a step: the time's share of the first layer


@pytest.mark.parametrize('policy', POLICIES)
def test_the_policy_is_one_setting(
        policy: str, demonstrations: Path, tmp_path: Path) -> None:
    config = settings(demonstrations, policy=policy, steps=4, horizon=5, best_of=2)
    assert train(tmp_path / 'run', config).step == 4
    export(tmp_path / 'run', tmp_path / 'policy.onnx', demonstrations)
    policy_file = OnnxPolicy(tmp_path / 'policy.onnx')
    assert policy_file.spec.candidates == (1 if policy in ('fql', 'driftql') else 2)
    assert policy_file.spec.provenance['algorithm'] == ACTORS[policy].algorithm
    chunk = policy_file.act(np.zeros(28, np.float32), np.zeros((2, 25), np.float32))
    assert chunk.actions.shape == (5, 5)
