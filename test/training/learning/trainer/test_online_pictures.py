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
"""Online phases with pictures: added frames, what is sampled of them, and runs that resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from dfp_ros.sim.simulation.picture_names import PICTURES  # noqa: E402
from dfp_ros.spec_images import ImageField  # noqa: E402
from testing.learning.pictures import CAMERAS, with_pictures  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.data.datasets.corrections import load_corrections  # noqa: E402
from training.data.formats.ogbench.scenes import ACTION, VISUAL_ROBOT  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.transitions import (  # noqa: E402
    action_fields,
    DataError,
    observation_fields,
    Transitions,
)
from training.learning.trainer import readiness, run, session  # noqa: E402
from training.learning.trainer.added_frames import AddedFrames, FILE, reopen  # noqa: E402
from training.learning.trainer.checkpoint_file import CheckpointError, read  # noqa: E402
from training.learning.trainer.explorer import Explorer  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.learning.trainer.session import TrainingError  # noqa: E402

EYE = ImageField('camera', 8, 8, 'gray')
TASK = 'visual-cube-single-singletask-task2-v0'


class Seen(gymnasium.Env):
    """Episodes of four steps, whose pictures have the number of the episode and of the step."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (13,))
    action_space = gymnasium.spaces.Box(-1, 1, (5,))
    episode = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.episode, self.steps = int(self.np_random.integers(200)), 0
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        return self._observation(), -1.0, False, self.steps == 4, self._info() | {
            'success': False}

    def _observation(self) -> np.ndarray:
        return np.full(13, self.episode + self.steps / 10, np.float32)

    def _info(self) -> dict[str, Any]:
        picture = np.zeros((8, 8, 1), np.uint8)
        picture[0, 0], picture[0, 1] = self.episode, self.steps
        return {PICTURES: {'camera': picture}}


def data(lengths: list[int]) -> Transitions:
    """Draw data of a visual environment, with pictures of the size of those here."""
    found = with_pictures(drawn(lengths, 13, 5), cameras=(EYE,))
    return replace(
        found, observation_fields=observation_fields(VISUAL_ROBOT, found.observations),
        action_fields=action_fields(ACTION, found.actions))


def explorer(asked: list | None = None) -> Explorer:
    """Explore with chunks of two actions, noting what the policy gets."""
    def act(observation: np.ndarray, noise: np.ndarray, pictures: tuple = ()) -> np.ndarray:
        if asked is not None:
            asked.append((observation, pictures))
        return np.zeros((2, 5), np.float32)
    return Explorer(Seen(), act, 1, 10, 1.0, seed=0, sparse=False)


def test_the_policy_gets_the_pictures_of_its_observation() -> None:
    """And each step has those before and after it, also after it was resumed within an episode."""
    asked: list = []
    subject = explorer(asked)
    rows = [subject.step() for _ in range(7)]
    for observation, (picture,) in asked:
        np.testing.assert_allclose(
            picture[0, 0, 0] + picture[0, 1, 0] / 10, observation[0], rtol=1e-6)
    assert [int(row['pictures'][0][0, 1, 0]) for row in rows] == [0, 1, 2, 3, 0, 1, 2]
    assert [int(row['next_pictures'][0][0, 1, 0]) for row in rows] == [1, 2, 3, 4, 1, 2, 3]
    again = explorer()
    again.restore(subject.state())
    one, other = subject.step(), again.step()
    np.testing.assert_array_equal(one['pictures'], other['pictures'])
    np.testing.assert_array_equal(one['next_pictures'], other['next_pictures'])


@pytest.mark.parametrize(('capacity', 'delay'), [(0, 0), (14, 0), (0, 2)])
def test_chunks_have_the_pictures_of_their_ends(
        tmp_path: Path, capacity: int, delay: int) -> None:
    """Of the data, of added steps, and after the oldest ones were replaced."""
    source = data([6, 5])
    buffer = ReplayBuffer(source, 2, 0.9, capacity=capacity or 40, picture_delay=delay)
    buffer.take_frames(AddedFrames(tmp_path, [EYE]))
    subject = explorer()
    for _ in range(10):
        buffer.add(**subject.step())
    batch = buffer.sample(200, np.random.default_rng(0))
    is_added = batch.observation[:, 0] == batch.observation[:, 1]  # drawn numbers differ
    assert 20 < int(is_added.sum()) < 190
    within = is_added & (batch.valid == 1)
    for seen, pictures in (
            (batch.observation, batch.pictures), (batch.next_observation, batch.next_pictures)):
        shown = pictures[0][:, 0, :2, 0].to(torch.float32)
        episode = torch.floor(seen[:, 0])
        step = torch.round((seen[:, 0] - episode) * 10)
        assert torch.equal(shown[within, 0], episode[within])
        late = (step - shown[:, 1])[within]
        assert late.min() == 0
        assert late.max() == (min(delay, 4) if delay else 0)
    if not delay:
        plain = ReplayBuffer(source, 2, 0.9)
        if not capacity:
            ends = torch.arange(10)
            for one, other in zip(
                    buffer.gather(ends).next_pictures, plain.gather(ends).next_pictures,
                    strict=True):
                assert torch.equal(one, other)


def test_frames_are_found_again_up_to_a_checkpoint(tmp_path: Path) -> None:
    """What was appended after it is cut off; what was changed or is missing is refused."""
    random = np.random.default_rng(0)
    pictures = [
        tuple(random.integers(0, 256, field.shape, np.uint8) for field in CAMERAS)
        for _ in range(6)]
    frames = AddedFrames(tmp_path, CAMERAS)
    for each in pictures[:4]:
        frames.append(each)
    state = frames.state()
    frames.append(pictures[5])
    again = reopen(tmp_path, CAMERAS, state)
    assert again.append(pictures[4]) == 4
    for camera in range(2):
        np.testing.assert_array_equal(
            again.read(camera, np.array([4, 0, 3])),
            [pictures[i][camera] for i in (4, 0, 3)])
    with pytest.raises(ValueError, match='front: found a picture of uint8 and shape'):
        again.append(pictures[0][::-1])
    state = again.state()
    path = tmp_path / FILE.format(camera=1)
    content = path.read_bytes()
    for changed, message in (
            (content[:-1], 'found fewer pictures than the 5 of the checkpoint'),
            (b'\x00' + content[1:] if content[0] else b'\x01' + content[1:],
             'found other pictures than the 5')):
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match=message):
            reopen(tmp_path, CAMERAS, state)
    path.unlink()
    with pytest.raises(CheckpointError, match='frames: cannot be opened'):
        reopen(tmp_path, CAMERAS, state)


@pytest.fixture(name='online')
def online_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Choose settings of a run whose environment is the one here."""
    stored.save(tmp_path / 'data.npz', data([12, 9]))
    monkeypatch.setattr(run, 'single', lambda *_: Seen())
    monkeypatch.setattr(run, 'draws', lambda *_: True)
    monkeypatch.setattr(session, 'draws', lambda *_: False)  # not evaluated
    return TrainConfig(
        data=str(tmp_path / 'data.npz'), environment=TASK, hidden=(8, 8), encoder_widths=(2,),
        encoder_features=4, horizon=2, threads=1, shift=1, batch_size=8, best_of=2, pool=4, top=2,
        generated=4, steps=3, online_steps=12, online_start=5, checkpoint_every=1, log_every=1,
        average_rate=0.1, anchor='frozen')


@pytest.mark.parametrize(('changes', 'cut'), [
    ({}, 6), ({'acts': 'exported', 'balanced': True, 'picture_delay': 1}, 7),
    ({'replay': 25}, 8)])
def test_an_online_phase_resumes_bit_for_bit(
        tmp_path: Path, online: TrainConfig, changes: dict[str, Any], cut: int) -> None:
    """Networks, added steps and their pictures are those of an uninterrupted run."""
    config = replace(online, **changes)
    train(tmp_path / 'whole', config)
    train(tmp_path / 'parts', config, until=cut)
    # Written after the checkpoint by a run that was killed.
    with (tmp_path / 'parts' / FILE.format(camera=0)).open('ab') as file:
        file.write(b'rest')
    train(tmp_path / 'parts', config, resume=True)
    whole, parts = (read(tmp_path / name / 'checkpoint.pt') for name in ('whole', 'parts'))
    assert int(whole['replay']['frames']) == 12 + 3
    for part in ('agent', 'replay'):
        for name, value in whole[part].items():
            assert torch.equal(parts[part][name], value), name
    one, other = ((tmp_path / name / FILE.format(camera=0)).read_bytes()
                  for name in ('whole', 'parts'))
    assert one == other


def test_corrections_have_pictures(tmp_path: Path, online: TrainConfig) -> None:
    """Half of each batch is of them, with their own pictures, of several files."""
    taught = [data([5, 3]), data([4])]
    taught = [replace(one, images=(replace(one.images[0], pixels=np.full_like(
        one.images[0].pixels, 200 + i)),)) for i, one in enumerate(taught)]
    for i, one in enumerate(taught):
        stored.save(tmp_path / f'taught{i}.npz', one)
    config = replace(
        online, online_steps=0, corrections=(
            str(tmp_path / 'taught0.npz'), str(tmp_path / 'taught1.npz')), environment='none')
    source = data([12, 9])
    found = load_corrections(config, source)
    buffer = run.fill(config, source, found)
    batch = buffer.sample(64, np.random.default_rng(0))
    assert set(batch.pictures[0][32:].flatten().tolist()) == {200, 201}
    whole = buffer.gather(torch.arange(21, 28))
    for pictures in (whole.pictures[0], whole.next_pictures[0]):
        assert set(pictures.flatten().tolist()) == {200}
    train(tmp_path / 'run', replace(config, steps=2))
    stored.save(tmp_path / 'blind.npz', drawn([9], 13, 5))
    with pytest.raises(DataError, match='blind.npz: found the pictures none, expected camera'):
        load_corrections(replace(config, corrections=(str(tmp_path / 'blind.npz'),)), source)


def test_room_is_asked_for_the_pictures(
        tmp_path: Path, online: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the whole online phase, before it begins."""
    asked: list[str] = []
    monkeypatch.setattr(
        readiness, 'require_room', lambda folder, needed, what: asked.append(what))
    train(tmp_path / 'run', replace(online, online_steps=100_000), until=1)
    assert asked[0].endswith(', and 7 MB of pictures')


def test_an_environment_that_does_not_draw_is_refused(
        tmp_path: Path, online: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first update."""
    monkeypatch.undo()
    with pytest.raises(TrainingError, match=(
            'online_steps: found 12, expected 0: visual-.* does not draw the pictures of ')):
        train(tmp_path / 'run', online)
    assert not (tmp_path / 'run').exists()
