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
"""Data collection: OGBench's format, and the same file for any workers and interruptions."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from gymnasium.wrappers import TimeLimit
import numpy as np
from ogbench.utils import load_dataset
import pytest

from testing import ROOT
from training.collect import main
from training.data.collection import robosuite as collect_robosuite
from training.data.collection.engine import Budget, collect, CollectionError
from training.data.collection.ogbench import healthy, Recipe
from training.data.formats.ogbench.reader import load
from training.data.formats.ogbench.scenes import SCENES

DEMONSTRATIONS = Recipe('cube-single', 'demo', 2, 0)


def until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for an effect of another process, which sends no notice."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, 'did not happen in time'
        time.sleep(0.02)


def test_workers_do_not_change_the_file(demonstrations: Path, tmp_path: Path) -> None:
    made = tmp_path / demonstrations.name
    collect(DEMONSTRATIONS, made, Budget(4), 0, workers=2)
    assert made.read_bytes() == demonstrations.read_bytes()


def test_kill_and_go_on(demonstrations: Path, tmp_path: Path) -> None:
    made, folder = tmp_path / demonstrations.name, tmp_path / f'{demonstrations.stem}.partial'
    process = subprocess.Popen(
        [sys.executable, '-m', 'training.collect', '--episodes', '400', '--workers', '1', '--out',
         str(tmp_path)], cwd=ROOT)
    try:
        until(lambda: len(list(folder.glob('0*.npz'))) >= 2)
        tasks = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    finally:
        process.kill()
        process.wait()
    # No process is left behind to write into the folder of the process that goes on.
    until(lambda: not any(Path(f'/proc/{task}').exists() for task in tasks))
    assert not made.exists()
    kept = sorted(folder.glob('0*.npz'))
    shutil.copytree(folder, tmp_path / 'other' / folder.name)

    collect(DEMONSTRATIONS, made, Budget(4), 0, workers=1)
    assert made.read_bytes() == demonstrations.read_bytes()
    assert not folder.exists()

    # What was kept is taken as it is: an episode that is marked by hand comes through.
    marked = tmp_path / 'other' / folder.name / kept[0].name
    with np.load(marked) as arrays:
        episode = dict(arrays)
    episode['actions'][0] = 0.125
    np.savez(marked, **episode)
    collect(DEMONSTRATIONS, tmp_path / 'other' / made.name, Budget(1), 0, workers=1)
    with np.load(tmp_path / 'other' / made.name) as arrays:
        assert (arrays['actions'][0] == 0.125).all()


def workers(process: subprocess.Popen) -> list[int]:
    """List a collection's workers; its other children, like git, may have ended."""
    found = []
    for task in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split():
        with suppress(OSError):
            if 'spawn_main' in Path(f'/proc/{task}/cmdline').read_text():
                found.append(int(task))
    return found


def kill_worker(process: subprocess.Popen) -> None:
    for worker in workers(process):
        os.kill(worker, signal.SIGKILL)


def press_control_c(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize(('act', 'status', 'messages'), [
    (kill_worker, 2, ['a process died during its episode', 'the same command resumes']),
    (press_control_c, 130, ['stopped; finished episodes are kept, the same command resumes'])])
def test_end_is_told_and_what_was_done_is_kept(
        tmp_path: Path, act: Callable, status: int, messages: list) -> None:
    process = subprocess.Popen(
        [sys.executable, '-m', 'training.collect', '--episodes', '400', '--workers', '1', '--out',
         str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        start_new_session=True)
    folder = tmp_path / 'cube-single-demo-task2-v0.partial'
    try:
        until(lambda: list(folder.glob('0*.npz')))
        act(process)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == status
    assert all(message in errors for message in messages)
    assert 'KeyboardInterrupt' not in errors
    assert list(folder.glob('0*.npz'))


def test_control_c_while_a_worker_starts_prints_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, '-m', 'training.collect', '--workers', '1', '--out', str(tmp_path)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
        start_new_session=True)
    try:
        # A worker that imports: its interpreter has begun, and the simulator has not.
        until(lambda: any(
            'numpy' in Path(f'/proc/{worker}/maps').read_text() for worker in workers(process)))
        press_control_c(process)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == (
        'stopped; finished episodes are kept, the same command resumes\n')


def test_hours_give_the_beginning_of_the_same_data(demonstrations: Path, tmp_path: Path) -> None:
    made = tmp_path / 'short.npz'
    # Over before the first episode is, so that just what was begun at once is in the file.
    count = collect(DEMONSTRATIONS, made, Budget(hours=1e-4), 0, workers=1)
    assert count == json.loads(made.with_suffix('.json').read_text())['episodes'] >= 1
    with np.load(made) as short, np.load(demonstrations) as whole:
        assert short['terminals'].sum() == count
        for key in whole:
            np.testing.assert_array_equal(short[key], whole[key][:len(short[key])])


def test_what_is_there_is_not_made_again_nor_overwritten(
        demonstrations: Path, capsys: pytest.CaptureFixture) -> None:
    before = demonstrations.stat().st_mtime_ns
    assert collect(DEMONSTRATIONS, demonstrations, Budget(4), 0, workers=1) == 4
    assert 'exists already, 4 episodes' in capsys.readouterr().out
    for recipe, budget, message in (
            (Recipe('cube-single', 'demo', 2, 1), Budget(4),
             'found a file with seed 0 .*, expected 1; remove'),
            (DEMONSTRATIONS, Budget(5), r"with budget \{'episodes': 4, .*, expected")):
        with pytest.raises(CollectionError, match=message):
            collect(recipe, demonstrations, budget, 0, workers=1)
    assert demonstrations.stat().st_mtime_ns == before


def test_file_that_was_put_in_the_place_of_another_stays(
        demonstrations: Path, tmp_path: Path) -> None:
    made = tmp_path / demonstrations.name
    made.write_bytes(b'official')
    shutil.copy(demonstrations.with_suffix('.json'), tmp_path)
    with pytest.raises(CollectionError, match='found a file with sha256'):
        collect(DEMONSTRATIONS, made, Budget(4), 0, workers=1)
    assert made.read_bytes() == b'official'


def test_file_of_which_nothing_is_known_stays(tmp_path: Path) -> None:
    (tmp_path / 'a.npz').write_bytes(b"somebody else's")
    with pytest.raises(CollectionError, match=r'a\.npz: found a file of unknown origin'):
        collect(DEMONSTRATIONS, tmp_path / 'a.npz', Budget(1), 0, workers=1)
    assert (tmp_path / 'a.npz').read_bytes() == b"somebody else's"


def test_episodes_of_another_seed_are_not_mixed_in(tmp_path: Path) -> None:
    folder = tmp_path / 'a.partial'
    folder.mkdir()
    (folder / 'recipe.json').write_text('{"seed": 7}')
    with pytest.raises(CollectionError, match=r'a\.partial: found episodes collected with'):
        collect(DEMONSTRATIONS, tmp_path / 'a.npz', Budget(1), 0, workers=1)


@pytest.mark.parametrize(('recipe', 'change'), [
    (DEMONSTRATIONS, {'scene': 'scene', 'kind': 'play'}), (DEMONSTRATIONS, {'kind': 'noisy'}),
    (DEMONSTRATIONS, {'task': 3}), (DEMONSTRATIONS, {'seed': 1}), (DEMONSTRATIONS, {'length': 5}),
    (collect_robosuite.Recipe('lift', 0), {'task': 'can'}),
    (collect_robosuite.Recipe('lift', 0), {'seed': 1})])
def test_settings_tell_recipes_apart(recipe: Recipe, change: dict) -> None:
    assert replace(recipe, **change).settings() != recipe.settings()


def test_validation_has_episodes_of_its_own(demonstrations: Path) -> None:
    file = demonstrations.with_stem(f'{demonstrations.stem}-val')
    with np.load(file) as validation, np.load(demonstrations) as training:
        ends = np.flatnonzero(training['terminals'])[:-1]
        starts = training['qpos'][[0, *(ends + 1)]]
        assert validation['terminals'].sum() == 1
        assert not (validation['qpos'][0] == starts).all(axis=1).any()


def test_demonstration_that_fails_is_none() -> None:
    assert DEMONSTRATIONS.collect(TimeLimit(DEMONSTRATIONS.make_env(), 20), 0) is None
    kept = replace(DEMONSTRATIONS, failures=True)
    episode = kept.collect(TimeLimit(kept.make_env(), 20), 0)
    assert episode['terminals'].tolist() == [False] * 20 + [True]
    assert kept.name == 'cube-single-demo-task2-with-failures-v0'
    assert 'failures' not in DEMONSTRATIONS.settings()


def test_demonstrations_are_read_by_ogbench_and_solved(demonstrations: Path) -> None:
    data = load_dataset(str(demonstrations), add_info=True)
    assert data['observations'].shape[1:] == (28,)
    assert data['actions'].shape[1:] == (5,)
    assert np.abs(data['actions']).max() <= 1
    ends = np.flatnonzero(data['terminals'])
    assert len(ends) == 4
    # Task 2 puts the cube at (0.5, 0, 0.02); an episode ends with the step that follows.
    cube = data['qpos'][ends, 14:17]
    assert (np.linalg.norm(cube - [0.5, 0.0, 0.02], axis=1) <= 0.04).all()


def test_next_observations_follow_within_an_episode(demonstrations: Path) -> None:
    data = load_dataset(str(demonstrations))
    inside = np.flatnonzero(data['terminals'] == 0)
    inside = inside[inside + 1 < len(data['actions'])]
    np.testing.assert_array_equal(
        data['next_observations'][inside], data['observations'][inside + 1])


def test_play_episodes_have_the_official_shape() -> None:
    recipe = Recipe('cube-single', 'play', 2, 0)
    episode = recipe.collect(recipe.make_env(), 3)
    shapes = {key: (value.shape, value.dtype.name) for key, value in episode.items()}
    assert shapes == {
        'observations': ((1001, 28), 'float32'), 'actions': ((1001, 5), 'float32'),
        'terminals': ((1001,), 'bool'), 'qpos': ((1001, 21), 'float32'),
        'qvel': ((1001, 20), 'float32')}
    assert np.flatnonzero(episode['terminals']).tolist() == [1000]


@pytest.mark.parametrize(('scene', 'kind'), [
    *((scene, 'play') for scene in SCENES), ('scene', 'noisy'), ('puzzle-4x4', 'noisy')])
def test_every_scene_gives_files_that_load(scene: str, kind: str, tmp_path: Path) -> None:
    recipe = Recipe(scene, kind, 2, 0, length=12)
    episode = recipe.collect(recipe.make_env(), 1)
    widths = {key: value.shape[1] for key, value in episode.items() if key != 'terminals'}
    assert widths == SCENES[scene].widths
    path = tmp_path / f'{recipe.name}.npz'
    assert recipe.write(path, [episode, episode]) == 24
    if kind == 'play' and scene.startswith('cube'):
        return  # The reader makes an environment, which takes long: it is shown with the others.
    data = load(path, f'{scene}-singletask-v0')
    assert len(data) == 22
    np.testing.assert_array_equal(np.flatnonzero(data.terminals), [10, 21])


@pytest.mark.parametrize(('scene', 'kind'), [('scene', 'play'), ('puzzle-3x3', 'noisy')])
def test_episode_depends_on_its_number_alone(scene: str, kind: str) -> None:
    recipe = Recipe(scene, kind, 2, 0, length=120)
    env = recipe.make_env()
    recipe.collect(env, 1)
    later, fresh = recipe.collect(env, 2), recipe.collect(recipe.make_env(), 2)
    for key, value in fresh.items():
        np.testing.assert_array_equal(value, later[key])
    # The buttons are those of the same moment as the observation, which has them one-hot.
    parts = SCENES[scene]
    states = fresh['observations'][:, 19 + 9 * parts.cubes:][:, :4 * parts.buttons]
    np.testing.assert_array_equal(fresh['button_states'], states[:, 1::4])
    # Something besides the robot was moved, or this would show little.
    things = np.concatenate([fresh['qpos'][:, 14:], fresh['button_states']], axis=1)
    assert np.abs(things[-1] - things[0]).max() > 0.02


def test_gripper_stays_closed_over_a_puzzle_only() -> None:
    closed = {}
    for scene in ('puzzle-3x3', 'scene'):
        recipe = Recipe(scene, 'play', 2, 0, length=150)
        closed[scene] = recipe.collect(recipe.make_env(), 2)['observations'][40:, 17].min()
    assert closed['puzzle-3x3'] > 1.5 > 0.5 > closed['scene']


@pytest.mark.parametrize(('scene', 'same', 'other'), [
    ('puzzle-3x3', 0.19, 0.21), ('cube-single', 0.09, 0.11)])
def test_share_of_random_actions(
        scene: str, same: float, other: float, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(scene, 'noisy', 2, 0, length=5)
    env = recipe.make_env()
    taken = []
    for drawn in (0.0, same, other, 1.0):
        monkeypatch.setattr(np.random, 'rand', lambda drawn=drawn: drawn)
        taken.append(recipe.collect(env, 0)['actions'])
    np.testing.assert_array_equal(taken[0], taken[1])
    np.testing.assert_array_equal(taken[2], taken[3])
    assert (taken[1] != taken[2]).any()


@pytest.mark.parametrize(('y', 'z', 'is_healthy'), [
    (0.0, 0.02, True), (0.28, 0.02, True), (0.29, 0.02, False), (-0.3, 0.07, True),
    (-0.3, 0.05, False), (-0.31, 0.09, False), (-0.29, 0.3, True)])
def test_cube_that_left_the_scene(y: float, z: float, is_healthy: bool) -> None:
    qpos = np.zeros((5, 25), np.float32)
    qpos[3, 15:17] = y, z
    assert healthy({'qpos': qpos}) == is_healthy


@pytest.mark.parametrize('arguments', [
    ['--episodes', '0'], ['--seed', '-1'], ['--kind', 'demo', '--scene', 'cube-double'],
    ['--failures', '--kind', 'play'],
    ['--hours', '0'], ['--hours', '1', '--episodes', '3'], ['--workers', '0'],
    ['--workers', '1000000'], ['--episodes', str(10**30)], ['--seed', str(10**300)]])
def test_arguments_that_cannot_be_are_refused(
        arguments: list, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert arguments[0] in capsys.readouterr().err
