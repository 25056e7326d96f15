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
"""Encoders of pictures: their share in a policy's losses, and the same numbers in ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from dfp_ros.spec import PolicySpec  # noqa: E402
from dfp_ros.spec_images import ImageField  # noqa: E402
from testing.learning.pictures import with_pictures  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.config import ConfigError, TrainConfig  # noqa: E402
from training.data.formats.ogbench.scenes import ACTION, VISUAL_ROBOT  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.transitions import (  # noqa: E402
    action_fields,
    DataError,
    observation_fields,
)
from training.evaluate import evaluate_file  # noqa: E402
from training.export import export  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.networks.encoder import CameraEncoder, shifted  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.checkpoint_file import CheckpointError  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.onnx_export.parity import compare  # noqa: E402
from training.onnx_export.policy_graph import policy_model  # noqa: E402
from training.robot.run_state import require_without_pictures  # noqa: E402

# A name that is none in ONNX's text format, and a height and a width that are not even.
CAMERAS = (ImageField('camera/front', 13, 18, 'rgb'), ImageField('wrist', 8, 8, 'gray'))
DATA = with_pictures(drawn([12, 9]), cameras=CAMERAS)
SMALL = TrainConfig(
    environment='none', hidden=(16, 16), encoder_widths=(4, 6), encoder_features=5, horizon=2,
    threads=1, shift=2, batch_size=8, best_of=2, pool=4, top=2, generated=4, steps=4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Do not wait for a second thread, which such small networks do not need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def agent(**changes: object) -> Agent:
    """Make an agent that sees."""
    torch.manual_seed(0)
    return Agent(
        replace(SMALL, **changes), 3, 2, Normaliser(torch.zeros(3), torch.ones(3)), CAMERAS)


def spec(made: Agent) -> PolicySpec:
    """Specify its policy."""
    return PolicySpec(
        'x', 'none', DATA.observation_fields, DATA.action_fields, 0.05, made.config.horizon,
        candidates=2, images=CAMERAS)


def test_a_policy_learned_in_bfloat16_gives_the_same() -> None:
    """It acts in float32, as its file does; only updates multiply in bfloat16."""
    made, exact = (agent(precision=precision) for precision in ('bf16', 'float32'))
    pictures = [torch.from_numpy(camera.pixels[:6]) for camera in DATA.images]
    single = [picture[:1] for picture in pictures]
    seen = torch.from_numpy(DATA.observations[:6])
    torch.testing.assert_close(
        made.state(seen[:1], single), exact.state(seen[:1], single), atol=0, rtol=0)
    assert (made.state(seen, pictures) != exact.state(seen, pictures)).any()


@pytest.mark.parametrize(('policy', 'encoder', 'average'), [
    *((policy, encoder, 0.0) for policy in ('dfp', 'flow', 'fql', 'meanflow', 'driftql')
      for encoder in ('impala', 'spatial_softmax')),
    ('dfp', 'impala', 0.01), ('fql', 'spatial_softmax', 0.01)])
def test_the_policy_file_gives_the_same(
        tmp_path: Path, policy: str, encoder: str, average: float) -> None:
    """For every policy family, after an update, in ONNX Runtime; each picture counts."""
    made = agent(policy=policy, encoder=encoder, average_rate=average, learning_rate=0.05)
    made.resume(began_trained=True)  # so that an average is not the newest
    batch = ReplayBuffer(DATA, 2, 0.9).sample(8, np.random.default_rng(0))
    info = made.update(batch) | made.look(batch)
    assert all(torch.isfinite(value).all() for value in info.values())
    path = tmp_path / 'x.onnx'
    onnx.save_model(policy_model(made, spec(made)), str(path))
    file = OnnxPolicy(path)
    assert [image.name for image in file.spec.images] == ['camera/front', 'wrist']
    assert compare(made, file, DATA.observations[:4]).compared == 12
    observation, noise = DATA.observations[0], np.zeros((1, 4), np.float32)
    pictures = tuple(camera.pixels[0] for camera in DATA.images)
    before = file.act(observation, noise, pictures=pictures).actions
    expected = made.act(
        torch.from_numpy(observation), torch.from_numpy(noise),
        [torch.from_numpy(picture) for picture in pictures])
    np.testing.assert_allclose(before, expected, atol=1e-5)
    for i in range(2):
        others = tuple(
            255 - picture if k == i else picture for k, picture in enumerate(pictures))
        assert (file.act(observation, noise, pictures=others).actions != before).any()


@pytest.mark.parametrize('policy', ['dfp', 'fql', 'driftql'])
def test_the_value_does_not_teach_the_encoder_to_see_high_values(policy: str) -> None:
    """The encoder learns from what actor and critics get wrong, not from the actor's value."""
    made = agent(policy=policy)
    batch = made._seen(ReplayBuffer(DATA, 2, 0.9).sample(8, np.random.default_rng(0)), False)
    state = batch.observation.detach().requires_grad_()
    value = made.critic(state, batch.chunk.unsqueeze(1), frozen=True)
    assert torch.autograd.grad(value.sum(), state, allow_unused=True) == (None,)
    for loss in (made.critic_loss, made.actor_loss):
        made.zero_grad()
        loss(made._seen(ReplayBuffer(DATA, 2, 0.9).sample(8, np.random.default_rng(0)), False)
             )[0].backward()
        for camera in made.encoder.cameras:
            assert camera.stages[0].first.weight.grad.abs().sum() > 0


def test_the_encoder_learns_from_pictures_alone() -> None:
    """A chunk that only the pictures tell is cloned."""
    random = np.random.default_rng(0)
    data = drawn([40] * 4)
    camera = ImageField('camera', 8, 8, 'gray')
    data = with_pictures(replace(data, observations=0 * data.observations), cameras=(camera,))
    is_left = random.random(len(data.images[0])) < 0.5
    pixels = data.images[0].pixels.copy()
    pixels[:] = 0
    pixels[is_left, 2:6, :4], pixels[~is_left, 2:6, 4:] = 255, 255
    actions = np.where(is_left[data.frame], 0.8, -0.8)[:, None].repeat(2, 1).astype(np.float32)
    data = replace(
        data, actions=actions, images=(replace(data.images[0], pixels=pixels),))
    config = replace(SMALL, policy='flow', horizon=1, shift=0, learning_rate=1e-2, critics=1)
    torch.manual_seed(0)
    made = Agent(config, 3, 2, Normaliser(torch.zeros(3), torch.ones(3)), [camera])
    buffer = ReplayBuffer(data, 1, 0.9)
    for _ in range(120):
        made.update(buffer.sample(32, random))
    noise = torch.from_numpy(random.standard_normal((1, 2)).astype(np.float32))
    for row in (int(np.flatnonzero(is_left)[0]), int(np.flatnonzero(~is_left)[0])):
        found = made.act(torch.zeros(3), noise, [torch.from_numpy(pixels[row])])
        assert np.sign(found.numpy()).tolist() == [[1 if is_left[row] else -1] * 2]


@pytest.mark.parametrize('names', [
    ('mean', 'chunks'), ('best', 'best_1'), ('picture_1', 'picture_0'), ('scores', 'numbers')])
@pytest.mark.parametrize('precision', ['float32', 'fp16'])
def test_a_camera_may_have_the_name_of_a_value_of_the_graph(
        names: tuple[str, str], precision: str, tmp_path: Path) -> None:
    """The value gets another one; ONNX refused the file, with words of its own."""
    made = agent(average_rate=0.25)
    cameras = tuple(
        replace(camera, name=name) for camera, name in zip(CAMERAS, names, strict=True))
    onnx.save_model(
        policy_model(made, replace(spec(made), images=cameras, precision=precision)),
        str(tmp_path / 'policy.onnx'))
    policy = OnnxPolicy(tmp_path / 'policy.onnx')
    assert policy.spec.images == cameras
    assert compare(made, policy, DATA.observations[:4]).compared == 12


def test_a_shift_moves_the_picture_and_repeats_its_edge() -> None:
    """Each picture by its own offset."""
    picture = torch.arange(12, dtype=torch.uint8).view(1, 3, 4, 1).expand(3, -1, -1, -1)
    found = shifted(picture, torch.tensor([[0, 0], [1, 0], [0, -2]]))[..., 0]
    assert found.dtype == torch.uint8
    assert found[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert found[1].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [8, 9, 10, 11]]
    assert found[2].tolist() == [[0, 0, 0, 1], [4, 4, 4, 5], [8, 8, 8, 9]]


def test_shifts_reach_both_ends() -> None:
    """Up to the setting, and both pictures of a transition by their own."""
    made = agent(shift=1)
    picture = torch.arange(9, dtype=torch.uint8).view(1, 3, 3, 1).expand(400, -1, -1, -1)
    assert set(made._shift(picture)[:, 1, 1, 0].tolist()) == set(range(9))


def test_a_spatial_softmax_finds_a_place() -> None:
    """The expected position of a feature, from -1 to 1 downwards and to the right."""
    encoder = CameraEncoder(CAMERAS[1], (2,), 'spatial_softmax', 4)
    assert encoder.grid.shape == (16, 2)
    assert encoder.grid[0].tolist() == [-1, -1]
    assert encoder.grid[3].tolist() == [-1, 1]
    assert encoder.grid[-1].tolist() == [1, 1]


def test_bfloat16() -> None:
    """Convolutions only: the result keeps its type, and is nearly the same."""
    exact, rounded = agent(), agent(precision='bf16')
    rounded.load_state_dict(exact.state_dict())
    pictures = [torch.from_numpy(camera.pixels[:4]) for camera in DATA.images]
    expected, found = exact.encoder(pictures), rounded.encoder(pictures)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


def test_the_actor_that_acts_sees_with_the_average_of_its_encoder() -> None:
    """The critics that rank its candidates keep the encoder that they learned with."""
    made = agent(average_rate=0.25, learning_rate=0.05)
    buffer, random = ReplayBuffer(DATA, 2, 0.9), np.random.default_rng(0)
    newest, average = (
        each.cameras[0].output.weight for each in (made.encoder, made.average_encoder))
    before = average.clone()
    made.resume(began_trained=True)
    made.update(buffer.sample(8, random))
    assert not torch.equal(newest, before)
    torch.testing.assert_close(average, 0.75 * before + 0.25 * newest)
    # The critics alone are trained: neither the actor nor its encoder is averaged.
    before = average.clone()
    made.update(buffer.sample(8, random), actor=False)
    assert torch.equal(average, before)
    pictures = [torch.from_numpy(camera.pixels[:1]) for camera in DATA.images]
    observation, noise = torch.zeros(1, 3), torch.randn(1, 3, 4)
    chunks = made.average(torch.cat([observation, made.average_encoder(pictures)], dim=1), noise)
    values = made.critic(torch.cat([observation, made.encoder(pictures)], dim=1), chunks)
    best = int(values.mean(dim=0).argmax())
    found = made.act(observation[0], noise[0], [picture[0] for picture in pictures])
    torch.testing.assert_close(found.flatten(), chunks[0, best])


@pytest.mark.parametrize('targets', ['actor', 'anchor'])
def test_a_frozen_anchor_keeps_its_encoder(targets: str) -> None:
    """What it proposes does not change with the encoder that learns, until it is renewed."""
    made = agent(anchor='frozen', targets=targets, improve_after=1, learning_rate=0.05)
    buffer, random = ReplayBuffer(DATA, 2, 0.9), np.random.default_rng(0)
    made.update(buffer.sample(8, random))
    assert made._seen(buffer.sample(8, random), False).anchored is None
    made.improve()
    batch = buffer.sample(8, random)
    before = made._seen(batch, False)
    torch.testing.assert_close(before.anchored, before.observation)
    kept = before.anchored.clone()
    for _ in range(2):
        info = made.update(batch) | made.look(batch)
    assert all(torch.isfinite(value).all() for value in info.values())
    after = made._seen(batch, False)
    assert torch.equal(after.anchored, kept)
    assert not torch.equal(after.observation, before.observation)
    assert (after.next_anchored is None) == (targets == 'actor')
    noise = torch.randn(8, 2, 4)
    proposed = made.actor.propose(after.next_observation, noise, after.next_anchored)
    assert torch.equal(proposed, made.actor.anchor(after.next_anchored, noise).clamp(-1, 1) if (
        targets == 'anchor') else made.actor(after.next_observation, noise))
    made.renew_anchor()
    renewed = made._seen(batch, False)
    assert torch.equal(renewed.anchored, renewed.observation)


def test_an_anchor_that_is_a_copy_of_an_average_has_its_encoder() -> None:
    """And follows actor and encoder alike from then on."""
    made = agent(average_rate=0.01, anchor_rate=0.5, improve_after=1, learning_rate=0.05)
    made.resume(began_trained=True)
    batch = ReplayBuffer(DATA, 2, 0.9).sample(8, np.random.default_rng(0))
    made.update(batch)
    made.improve()
    anchor, average, newest = (
        each.cameras[0].output.weight for each in (
            made.anchor_encoder, made.average_encoder, made.encoder))
    assert torch.equal(anchor, average)
    assert not torch.equal(anchor, newest)
    before = anchor.clone()
    made.update(batch)
    torch.testing.assert_close(anchor, 0.5 * before + 0.5 * newest)


@pytest.mark.parametrize(('name', 'value'), [
    ('encoder_widths', ()), ('encoder_widths', (2000,)), ('encoder_features', 0), ('shift', -1)])
def test_settings_are_bounded(name: str, value: object) -> None:
    """A number with a digit too many is refused."""
    with pytest.raises(ConfigError, match=name):
        replace(SMALL, **{name: value})


@pytest.mark.parametrize('changes', [{}, {
    'average_rate': 0.2, 'anchor': 'frozen', 'anchor_every': 2, 'improve_after': 1,
    'actor_every': 2, 'targets': 'anchor'}])
def test_a_run_from_data_to_policy_file(tmp_path: Path, changes: dict[str, object]) -> None:
    """Trained, resumed bit for bit, exported, and loaded by what runs it on a robot."""
    stored.save(tmp_path / 'data.npz', DATA)
    config = replace(
        SMALL, data=str(tmp_path / 'data.npz'), steps=6, checkpoint_every=1, log_every=1,
        **changes)
    train(tmp_path / 'whole', config)
    train(tmp_path / 'parts', config, until=3)
    train(tmp_path / 'parts', config, resume=True)
    whole, parts = (
        load_agent(tmp_path / name / 'checkpoint.pt')[0].state_dict()
        for name in ('whole', 'parts'))
    for name, weights in whole.items():
        torch.testing.assert_close(parts[name], weights, atol=0, rtol=0)
    assert any(name.startswith('encoder.') for name in whole)
    found = export(tmp_path / 'whole', tmp_path / 'policy.onnx')
    assert found.compared == 3 * 128
    assert OnnxPolicy(tmp_path / 'policy.onnx').spec.images == CAMERAS
    # Networks of a run with other copies of the encoder are taken over, too.
    for anchor, rate in (('frozen', 0.5), ('following', 0.0)):
        train(
            tmp_path / f'{anchor}{rate}', replace(config, anchor=anchor, average_rate=rate),
            init_from=tmp_path / 'whole', until=1)
    with pytest.raises(CheckpointError, match='whole.* with pictures .camera/front, wrist., exp'):
        require_without_pictures(tmp_path / 'whole')
    stored.save(tmp_path / 'other.npz', with_pictures(drawn([12, 9]), cameras=CAMERAS[:1]))
    with pytest.raises(CheckpointError, match='found the pictures camera/front .*, the data'):
        train(
            tmp_path / 'other', replace(config, data=str(tmp_path / 'other.npz')),
            init_from=tmp_path / 'whole')


def test_a_visual_environment_is_not_evaluated(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, and nothing is drawn; the fields are those of its data."""
    data = with_pictures(drawn([12], 13, 5), cameras=CAMERAS[1:])
    data = replace(
        data, observation_fields=observation_fields(VISUAL_ROBOT, data.observations),
        action_fields=action_fields(ACTION, data.actions))
    stored.save(tmp_path / 'data.npz', data)
    config = replace(
        SMALL, data=str(tmp_path / 'data.npz'), steps=2, evaluate_every=1,
        environment='visual-cube-single-singletask-task2-v0')
    train(tmp_path / 'run', config)
    assert 'a policy with pictures is not evaluated' in capsys.readouterr().err
    export(tmp_path / 'run', tmp_path / 'policy.onnx')
    with pytest.raises(ValueError, match='policy.onnx: found a policy with pictures'):
        evaluate_file(tmp_path / 'policy.onnx', 1, 0)
    with pytest.raises(DataError, match='observation field 2: cube-single-singletask-task2-v0'):
        train(tmp_path / 'other', replace(
            config, environment=config.environment.removeprefix('visual-')))
