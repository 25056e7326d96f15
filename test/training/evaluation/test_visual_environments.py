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
"""Visual environments: pictures as OGBench draws them, in data, in training and evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from dfp_ros.sim.simulation.picture_names import CAMERA
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError
from dfp_ros.spec_images import ImageField
from testing.learning.pictures import with_pictures
from testing.learning.transitions import drawn
from training.collect import main as collect
from training.data.formats.ogbench.reader import load
from training.data.formats.ogbench.scenes import ACTION, observe_robot, VISUAL_ROBOT
from training.data.transitions import stored
from training.data.transitions.transitions import action_fields, observation_fields
from training.evaluate import evaluate_file
from training.evaluation.environments import single, start
from training.export import export
from training.learning.trainer.explorer import Explorer
from training.learning.trainer.run import train

TASK = 'visual-cube-single-singletask-task2-v0'
PUZZLE = 'visual-puzzle-3x3-singletask-task2-v0'

# Draws a few steps of play, and the same states with OGBench's own environment, which has its own
# shadows, and is a physics step behind.
_DRAW = """
import sys
import gymnasium
import numpy as np
from training.data.collection.ogbench import Recipe
recipe = Recipe('puzzle-3x3', 'play', 2, 0, length=3, visual=True)
episode = recipe.collect(recipe.make_env(), 0)
# Unchecked, because each check of the observations draws one.
env = gymnasium.make('visual-puzzle-3x3-v0', disable_env_checker=True).unwrapped
env.reset(seed=0)
pictures = []
for row in range(3):
    env.set_state(episode['qpos'][row], episode['qvel'][row], episode['button_states'][row])
    pictures.append(env.render().copy())
np.savez(sys.argv[1] + '/own.npz', pictures=np.array(pictures))
from pathlib import Path
recipe.write(Path(sys.argv[1]) / 'play.npz', [episode])
"""


@pytest.fixture(autouse=True)
def _rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where nothing can be drawn."""
    for name in ('MUJOCO_GL', 'PYOPENGL_PLATFORM'):
        # Also what MuJoCo sets when it is imported is undone: other tests choose for themselves.
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    try:
        choose_backend()
    except RenderingError as error:
        pytest.skip(f'no off-screen rendering here: {error}')


def test_pictures_of_a_collection_are_those_of_ogbench(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to their shadows; the file is read as OGBench's visual data sets are."""
    monkeypatch.setenv('MUJOCO_GL', choose_backend())
    subprocess.run([sys.executable, '-c', _DRAW, str(tmp_path)], check=True)
    data = load(tmp_path / 'play.npz', PUZZLE)
    with np.load(tmp_path / 'own.npz') as own, np.load(tmp_path / 'play.npz') as file:
        pixels = data.images[0].pixels
        assert pixels.shape == (3, 64, 64, 3)
        assert pixels.std() > 10
        differences = np.abs(pixels.astype(int) - own['pictures'])
        np.testing.assert_array_equal(
            data.observations, observe_robot(file['qpos'][:2], file['qvel'][:2]))
    # A picture of another state differs by more than 1 on average.
    assert differences.mean() < 0.3


def test_an_environment_draws_when_a_chunk_ends() -> None:
    """In a process of its own, even if nothing is drawn in this one."""
    environments = start(TASK, 1, draw_every=2)
    try:
        _, infos = environments.reset(seed=[3])
        drawings = [infos['pictures'][CAMERA][0]]
        for _ in range(4):
            observations, *_, infos = environments.step(np.full((1, 5), 0.5, np.float32))
            if 'pictures' in infos:
                drawings.append(infos['pictures'][CAMERA][0])
    finally:
        environments.close()
    assert observations.shape == (1, 13)
    assert len(drawings) == 3
    assert all((drawing != drawings[0]).any() for drawing in drawings[1:])


def test_an_online_phase_sees_each_step() -> None:
    """In an environment alone, whose process ends with the phase."""
    env = single(TASK)
    try:
        explorer = Explorer(
            env, lambda observation, noise, pictures: np.full((2, 5), 0.5, np.float32), 1, 10,
            1.0, seed=0, sparse=True)
        rows = [explorer.step() for _ in range(3)]
    finally:
        env.close()
    for row, following in zip(rows, rows[1:], strict=False):
        np.testing.assert_array_equal(row['next_pictures'], following['pictures'])
        assert (row['next_pictures'][0] != row['pictures'][0]).any()
        assert row['pictures'][0].shape == (64, 64, 3)
        assert row['observations'].shape == (13,)
        assert not row['terminals']


def test_a_policy_is_evaluated_while_it_learns_and_as_a_file(tmp_path: Path) -> None:
    """It sees the pictures of the simulation; equal seeds give equal episodes."""
    from training.config import TrainConfig
    data = with_pictures(drawn([30, 30], 13, 5), cameras=(ImageField(CAMERA, 64, 64, 'rgb'),))
    data = replace(
        data, observation_fields=observation_fields(VISUAL_ROBOT, data.observations),
        action_fields=action_fields(ACTION, data.actions), period=0.05)
    stored.save(tmp_path / 'data.npz', data)
    config = TrainConfig(
        data=str(tmp_path / 'data.npz'), environment=TASK, steps=1, evaluate_every=1, episodes=1,
        horizon=25, hidden=(16, 16), encoder_widths=(4, 4, 4), encoder_features=8, batch_size=4,
        pool=2, top=1, best_of=1, threads=1)
    train(tmp_path / 'run', config)
    rows = (tmp_path / 'run' / 'evaluations.csv').read_text().splitlines()
    assert len(rows) == 2
    export(tmp_path / 'run', tmp_path / 'policy.onnx')
    one, other = (
        evaluate_file(tmp_path / 'policy.onnx', 1, seed=10_000).episodes[0] for _ in range(2))
    np.testing.assert_array_equal(one.actions, other.actions)
    assert one.steps == 200


def test_a_robot_without_pictures_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Only OGBench's scenes are drawn."""
    with pytest.raises(SystemExit):
        collect(['--visual', '--scene', 'lift'])
    assert "--visual: found with lift, expected one of OGBench's scenes" in capsys.readouterr().err
