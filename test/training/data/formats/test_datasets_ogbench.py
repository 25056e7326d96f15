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
"""OGBench files: content, and errors of invalid ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
from ogbench.utils import load_dataset
import pytest

from dfp_ros.sim.simulation.ogbench_env import make_env
from training.data.datasets import load as load_run
from training.data.datasets.official import find
from training.data.formats.ogbench.reader import load, load_unrewarded
from training.data.formats.ogbench.scenes import scene_of, SCENES
from training.data.inspection.inspected import inspect
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError
from training.presets import PRESETS

TASK = 'cube-single-singletask-task2-v0'


@pytest.fixture
def arrays(demonstrations: Path) -> dict:
    with np.load(demonstrations) as file:
        return dict(file)


def written(path: Path, arrays: dict) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_demonstrations_are_rewarded_and_masked(demonstrations: Path) -> None:
    data = load(demonstrations, TASK)
    solved = np.flatnonzero(data.masks == 0)
    np.testing.assert_array_equal(solved, np.flatnonzero(data.terminals))
    np.testing.assert_array_equal(data.rewards, data.masks * -1.0)
    assert data.source['episodes'] == 4
    assert sum(member.size for member in data.observation_fields) == 28
    low = np.concatenate([member.low for member in data.observation_fields])
    np.testing.assert_array_equal(low, data.observations.min(axis=0))
    unrewarded = load(demonstrations, TASK, rewarded=False)
    np.testing.assert_array_equal(unrewarded.observations, data.observations)
    np.testing.assert_array_equal(unrewarded.rewards, 0 * data.rewards)
    np.testing.assert_array_equal(unrewarded.masks, np.ones_like(data.masks))
    assert 'solved_steps' not in unrewarded.source
    assert {**unrewarded.source, 'solved_steps': 4} == data.source


@pytest.mark.parametrize('share', [0.0, 0.3, 0.999])
def test_truncated_file(demonstrations: Path, tmp_path: Path, share: float) -> None:
    content = demonstrations.read_bytes()
    path = tmp_path / 'cut.npz'
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(DataError, match=r'cut\.npz: found a file that is damaged or not \.npz'):
        load(path, TASK)


def test_flipped_bytes(demonstrations: Path, tmp_path: Path) -> None:
    content = bytearray(demonstrations.read_bytes())
    middle = len(content) // 3
    content[middle:middle + 64] = bytes(value ^ 0xFF for value in content[middle:middle + 64])
    path = tmp_path / 'flipped.npz'
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'flipped\.npz: found a file that is damaged'):
        load(path, TASK)


@pytest.mark.parametrize('key', ['terminals', 'observations', 'actions', 'qpos', 'qvel'])
def test_missing_key(arrays: dict, tmp_path: Path, key: str) -> None:
    del arrays[key]
    with pytest.raises(DataError, match=(
            rf"a\.npz: the key '{key}' is missing; found .*, expected terminals, observations, "
            '.*; name the environment of the file, or collect or copy it again')):
        load(written(tmp_path / 'a.npz', arrays), TASK)


@pytest.mark.parametrize(('key', 'width'), [
    ('observations', 37), ('actions', 7), ('qpos', 28), ('qvel', 26)])
def test_other_dimensions(arrays: dict, tmp_path: Path, key: str, width: int) -> None:
    arrays[key] = np.zeros((len(arrays[key]), width), np.float32)
    with pytest.raises(DataError, match=rf'{key} has shape \(\d+, {width}\), the environment'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_number_that_is_not_finite(arrays: dict, tmp_path: Path) -> None:
    arrays['observations'][17, 3] = np.nan
    with pytest.raises(DataError, match='observations holds a number .* not finite, in row 17'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_last_episode_without_an_end(arrays: dict, tmp_path: Path) -> None:
    arrays['terminals'][-1] = False
    with pytest.raises(DataError, match=(
            r'a\.npz: terminals: found no end of an episode in the last of \d+ rows, expected 1; '
            '.*: collect or copy it again')):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_pickled_objects_are_refused(arrays: dict, tmp_path: Path) -> None:
    arrays['qpos'] = np.array([{'a': 1}], dtype=object)
    with pytest.raises(DataError, match='found contents that are not plain arrays'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


@pytest.mark.parametrize('name', ['cube-single-v0', 'cube-ten-singletask-v0', 'antmaze-large-v0'])
def test_other_environments_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"environment: found '{name}', expected SCENE-singletask"):
        scene_of(name)


def test_name_of_data_is_refused_with_the_name_of_the_environment() -> None:
    with pytest.raises(DataError, match='expected cube-double-singletask-task2-v0, and as data '
                                        r'cube-double-play-v0\.npz'):
        scene_of('cube-double-play-singletask-task2-v0')


def test_every_single_task_is_known() -> None:
    ours = {f'{scene}-singletask{task}-v0' for scene in SCENES
            for task in ('', *(f'-task{i}' for i in range(1, 6)))}
    theirs = {name for name in gymnasium.registry if 'singletask' in name
              and name.startswith(('cube', 'scene', 'puzzle'))}
    assert ours == theirs
    assert all(scene_of(name) == name.partition('-singletask')[0] for name in ours)


@pytest.mark.parametrize('name', SCENES)
def test_layout_is_what_the_environment_observes(name: str) -> None:
    env = make_env(f'{name}-singletask-v0')
    observation, info = env.reset(seed=1)
    for _ in range(2):
        observation, *_, info = env.step(np.ones(5, np.float32))
    model = env.unwrapped.model
    scene = SCENES[name]
    assert scene.widths | {'button_states': scene.buttons} == {
        'observations': len(observation), 'actions': 5, 'qpos': model.nq, 'qvel': model.nv,
        'button_states': len(info.get('button_states', ()))}
    start = 0
    for part, size, unit in scene.observation:
        np.testing.assert_allclose(
            observation[start:start + size] * SCALE.get(unit, 1.0), expected(part, info),
            atol=1e-9, err_msg=part)
        start += size
    assert start == len(observation)
    env.close()


# One unit of a part, in the unit that the environment's own values have.
SCALE = {'0.1 m': 0.1, '1/3': 1 / 3, '1/120 m': 1 / 120, '1/18 m': 1 / 18, '1/15 m': 1 / 15}


def expected(part: str, info: dict) -> np.ndarray:
    """Take a part of the observation from the environment's info."""
    centre = np.array([0.425, 0.0, 0.0])
    robot = {
        'joint_positions': info['proprio/joint_pos'],
        'joint_velocities': info['proprio/joint_vel'],
        'effector_position': info['proprio/effector_pos'] - centre,
        'effector_yaw': circle(info['proprio/effector_yaw']),
        'gripper_opening': info['proprio/gripper_opening'],
        'gripper_contact': info['proprio/gripper_contact']}
    if part in robot:
        return robot[part]
    thing, kind = part.rsplit('_', 1)
    short = {'position': 'pos', 'velocity': 'vel', 'quaternion': 'quat'}.get(kind, kind)
    value = info[f'privileged/{thing.replace("cube", "block")}_{short}']
    if kind == 'state':
        return np.eye(2)[value]
    if kind == 'yaw':
        return circle(value)
    return value - centre if thing.startswith('cube') and kind == 'position' else value


def circle(angle: np.ndarray) -> np.ndarray:
    return np.concatenate([np.cos(angle), np.sin(angle)])


def recorded(environment: str, timing: str) -> tuple[dict, list, list]:
    """Press buttons in an environment; its data, and each step's reward and whether it ended."""
    env = make_env(environment, success_timing=timing)
    rows: dict = {key: [] for key in ('observations', 'actions', *STATE)}
    observation, info = env.reset(seed=0)
    rewards, ended, done = [], [], False
    while not done:
        # A push of the button, not of the robot: it is down and counted within the step.
        if len(rewards) % 4 == 1:
            env.unwrapped.data.joint(f'buttonbox_joint_{len(rewards) // 4 % 2}').qvel[:] = -3.0
        action = np.zeros(5, np.float32)
        following, reward, terminated, _, info = env.step(action)
        for key, value in zip(rows, (observation, action, *(info[f'prev_{k}'] for k in STATE)),
                              strict=True):
            rows[key].append(value)
        rewards.append(reward)
        ended.append(terminated)
        observation, done = following, terminated or len(rewards) == 20
    for key, value in zip(rows, (observation, action, *(info[key] for key in STATE)), strict=True):
        rows[key].append(value)
    env.close()
    floats = {key: np.array(value, np.float32) for key, value in rows.items()}
    floats['button_states'] = np.array(rows['button_states'], np.int64)
    return floats | {'terminals': np.arange(len(rewards) + 1) == len(rewards)}, rewards, ended


STATE = ('qpos', 'qvel', 'button_states')


@pytest.mark.parametrize('timing', ['pre', 'post'])
@pytest.mark.parametrize('environment', ['scene-singletask-task1-v0', 'puzzle-3x3-singletask-v0'])
def test_rewards_are_the_environments_at_both_timings(
        tmp_path: Path, environment: str, timing: str) -> None:
    arrays, rewards, ended = recorded(environment, timing)
    assert len(set(rewards)) > 1  # a button was pressed, or this would show nothing
    data = load(written(tmp_path / 'a.npz', arrays), environment, timing)
    np.testing.assert_array_equal(data.rewards, np.array(rewards, np.float32))
    np.testing.assert_array_equal(data.masks, 1.0 - np.array(ended))
    other = load(tmp_path / 'a.npz', environment, 'post' if timing == 'pre' else 'pre')
    assert (other.rewards != data.rewards).any()
    assert other.source['sha256'] == data.source['sha256']


def test_post_is_pre_one_step_earlier(demonstrations: Path) -> None:
    pre, post = (
        load_run.load(DataSource(demonstrations, TASK, success_timing=timing))
        for timing in ('pre', 'post'))
    inside = np.flatnonzero(pre.terminals == 0)
    np.testing.assert_array_equal(post.rewards[inside], pre.rewards[inside + 1])
    np.testing.assert_array_equal(post.masks[inside], pre.masks[inside + 1])
    assert post.source['solved_steps'] > pre.source['solved_steps'] == 4


@pytest.mark.parametrize('preset', ['scene', 'puzzle-3x3', 'puzzle-4x4'])
def test_presets_of_scene_and_puzzles_load(tmp_path: Path, preset: str) -> None:
    config = PRESETS[preset][1]
    scene = SCENES[scene_of(config.environment)]
    arrays = {key: np.zeros((6, width), np.float32) for key, width in scene.widths.items()}
    arrays['button_states'] = arrays['button_states'].astype(np.int64)
    arrays['terminals'] = np.array([0, 0, 1, 0, 0, 1], bool)
    path = written(tmp_path / Path(config.data).name, arrays)
    data = load_run.load(replace(DataSource.of_run(config), path=path))
    assert len(data) == 4
    assert [field.name for field in data.observation_fields] == [
        name for name, *_ in scene.observation]
    del arrays['button_states']
    with pytest.raises(DataError, match="the key 'button_states' is missing"):
        load(written(path, arrays), config.environment)


def test_same_transitions_as_ogbenchs_own_loader(demonstrations: Path) -> None:
    ours, theirs = load(demonstrations, TASK), load_dataset(str(demonstrations))
    for key in ('observations', 'actions', 'next_observations', 'terminals'):
        np.testing.assert_array_equal(getattr(ours, key), theirs[key])


@pytest.mark.parametrize(('key', 'change', 'message'), [
    ('observations', lambda a: a.astype(np.int64), 'observations: found int64, expected float32'),
    ('terminals', lambda a: a * 2, 'terminals: found int64 of shape .* of 0 and 1; write 1 in'),
    ('terminals', lambda a: a[:, None], 'terminals: found bool of shape .* of 0 and 1; write 1'),
    *((key, lambda a: a[:-1], rf'{key}: found \d+ rows, expected \d+ as in terminals; collect or')
      for key in ('observations', 'actions', 'qpos', 'qvel')),
    *((key, lambda a, odd=value: np.where(np.arange(len(a))[:, None] == 5, odd, a),
       f'{key} holds a number that is not finite, in row 5; leave its episode out')
      for key in ('observations', 'actions', 'qpos', 'qvel')
      for value in (np.nan, np.inf, -np.inf, 1e39)),
    ('terminals', lambda a: a | (np.arange(len(a)) == len(a) - 2),
     'terminals: found an episode of a single row, row .*; leave it out, or collect')])
def test_wrong_types_and_empty_episodes(
        arrays: dict, tmp_path: Path, key: str, change: Callable, message: str) -> None:
    arrays[key] = change(arrays[key])
    with pytest.raises(DataError, match=rf'a\.npz: {message}'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_single_array_under_the_name_of_an_archive(tmp_path: Path) -> None:
    with (tmp_path / 'a.npz').open('wb') as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r'a\.npz: found a single array, .*; write them'):
        load(tmp_path / 'a.npz', TASK)


ROWS = 40
PLAIN = {
    'observations': np.zeros((ROWS, 4), np.float32), 'actions': np.zeros((ROWS, 2), np.float32),
    'terminals': np.arange(ROWS) % 20 == 19}


@pytest.mark.parametrize(('changes', 'message'), [
    ({'actions': PLAIN['actions'][:-5]}, 'actions: found 35 rows, expected 40 as in terminals'),
    ({'actions': np.concatenate([PLAIN['actions']] * 2)}, 'actions: found 80 rows'),
    ({'actions': PLAIN['actions'][:, 0]}, r'actions: found shape \(40,\), expected rows of num'),
    ({'actions': np.float32(1)}, r'actions: found shape \(\), expected rows of numbers'),
    ({'actions': np.zeros((ROWS, 2), [('a', 'f4')])}, 'actions: found .*expected plain numbers'),
    ({'actions': PLAIN['actions'].astype(complex)}, 'actions: found complex128'),
    ({'actions': PLAIN['actions'].astype(str)}, 'actions: found <U32, expected float32'),
    ({'actions': PLAIN['actions'].astype('datetime64[s]')}, 'actions: found datetime64'),
    ({'actions': np.full((ROWS, 2), None)}, 'actions: .* pickled objects, which are never loaded'),
    ({'actions': PLAIN['actions'] + 2}, 'actions: found 2 in row 0'),
    ({'observations': PLAIN['observations'][:-5]}, 'observations: found 35 rows, expected 40'),
    ({'observations': PLAIN['observations'][:, 0]}, 'observations: found shape'),
    ({'observations': PLAIN['observations'][:, :0]}, r'observations: found shape \(40, 0\)'),
    ({'observations': np.full((ROWS, 4), np.nan, np.float32)},
     'observations holds a number that is not finite, in row 0'),
    ({'terminals': PLAIN['terminals'][:0]}, 'terminals: found no end of an episode in the last'),
    ({'terminals': np.tile(PLAIN['terminals'], 2)}, 'actions: found 40 rows, expected 80'),
    ({'terminals': np.bool_(True)}, 'terminals: found bool of shape'),
    ({'terminals': np.ones(ROWS, bool)}, 'terminals: found an episode of a single row, row 0'),
    ({'terminals': PLAIN['terminals'].astype(int).astype(str)}, 'terminals: found <U21 of shape'),
    ({'terminals': None}, "the key 'terminals' is missing; found observations, actions"),
    ({key: values[:0] for key, values in PLAIN.items()}, 'terminals: found no end of an episode'),
])
def test_arrays_that_do_not_fit_each_other_without_an_environment(
        changes: dict, message: str, tmp_path: Path) -> None:
    given = {key: values for key, values in {**PLAIN, **changes}.items() if values is not None}
    with pytest.raises(DataError, match=rf'mine\.npz: {message}'):
        inspect(written(tmp_path / 'mine.npz', given), presets=('small-clone',))


def test_arrays_that_fit_are_shown_without_an_environment(tmp_path: Path) -> None:
    found = inspect(written(tmp_path / 'mine.npz', PLAIN), presets=('small-clone',))
    assert (found.facts.steps, found.facts.lengths.tolist()) == (38, [19, 19])


VISUAL_TASK = f'visual-{TASK}'


@pytest.fixture(name='visual')
def visual_arrays(arrays: dict) -> dict:
    """Give the same episodes as a visual data set has them."""
    pixels = np.random.default_rng(0).integers(
        0, 256, (len(arrays['terminals']), 8, 8, 3), np.uint8)
    return {**arrays, 'observations': pixels}


@pytest.mark.parametrize('in_file', [False, True])
def test_a_visual_data_set(
        tmp_path: Path, arrays: dict, visual: dict, monkeypatch: pytest.MonkeyPatch,
        in_file: bool) -> None:
    """Its pictures, and of the robot what its joints measure; all else as without pictures."""
    if in_file:
        monkeypatch.setattr('training.data.transitions.frames.free_memory', lambda: 0)
    blind = load(written(tmp_path / 'a.npz', arrays), TASK)
    data = load(written(tmp_path / 'b.npz', visual), VISUAL_TASK)
    names = ['joint_positions', 'joint_velocities', 'gripper_opening']
    assert [field.name for field in data.observation_fields] == names
    place, columns = 0, []
    for field in blind.observation_fields:
        if field.name in names:
            columns += range(place, place + field.size)
        place += field.size
    for name in ('observations', 'next_observations'):
        np.testing.assert_allclose(
            getattr(data, name), getattr(blind, name)[:, columns], atol=1e-5)
    for name in ('actions', 'rewards', 'masks', 'terminals'):
        np.testing.assert_array_equal(getattr(data, name), getattr(blind, name))
    (camera,) = data.images
    assert str(camera.field) == 'camera (8 x 8 rgb)'
    assert not camera.pixels.flags.writeable
    before = arrays['terminals'] == 0
    np.testing.assert_array_equal(camera.pixels[data.frame], visual['observations'][before])
    np.testing.assert_array_equal(
        camera.pixels[data.frame + 1], visual['observations'][1:][before[:-1]])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(('change', 'message'), [
    (lambda arrays: arrays['observations'].astype(np.float32), 'float32 of shape .*, 8, 8'),
    (lambda arrays: arrays['observations'][..., :2], r'8, 8, 2\), expected pictures'),
    (lambda arrays: arrays['observations'][:, 0], r', 8, 3\), expected pictures'),
    (lambda arrays: arrays['observations'][:-1], 'rows, expected [0-9]+ as in terminals')])
def test_other_pictures_are_refused(
        tmp_path: Path, visual: dict, change: Callable, message: str) -> None:
    visual['observations'] = change(visual)
    with pytest.raises(DataError, match=f'observations: .*{message}'):
        load(written(tmp_path / 'b.npz', visual), VISUAL_TASK)


def test_the_kind_of_the_file_is_that_of_the_environment(
        tmp_path: Path, arrays: dict, visual: dict) -> None:
    with pytest.raises(DataError, match='observations: found float32 .* the environment is visu'):
        load(written(tmp_path / 'a.npz', arrays), VISUAL_TASK)
    with pytest.raises(DataError, match='observations has shape .* name the environment'):
        load(written(tmp_path / 'b.npz', visual), TASK)
    assert scene_of('visual-scene-singletask-task3-v0') == 'scene'


def test_a_visual_data_set_of_an_unknown_scene(tmp_path: Path, visual: dict) -> None:
    """It has its pictures, beside the positions of the simulator."""
    data = load_unrewarded(written(tmp_path / 'b.npz', visual))
    before = visual['terminals'] == 0
    np.testing.assert_array_equal(
        data.images[0].pixels[data.frame], visual['observations'][before])
    np.testing.assert_array_equal(data.observations, visual['qpos'][before].astype(np.float32))
    del visual['qpos']
    with pytest.raises(DataError, match="'qpos' is missing"):
        load_unrewarded(written(tmp_path / 'c.npz', visual))


@pytest.mark.parametrize(('name', 'command'), [
    ('visual-scene-play-v0', '--scene scene --kind play --visual --out'),
    ('cube-single-demo-task2-v0', '--scene cube-single --kind demo --task 2 --out'),
    ('scene-play-v0', '--scene scene --kind play --out')])
def test_a_missing_file_names_the_command_that_makes_it(
        tmp_path: Path, name: str, command: str) -> None:
    """For pictures, too."""
    with pytest.raises(DataError, match=f'training.collect {command} '):
        find(tmp_path / f'{name}.npz')
