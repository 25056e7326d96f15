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
"""Robosuite environments under Robomimic's names."""

from copy import deepcopy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from dfp_ros.sim.simulation.cell_state import EpisodeResult
from dfp_ros.sim.simulation.make_env import make_env
from dfp_ros.sim.simulation.make_simulation import make_simulation
from dfp_ros.sim.simulation.robosuite_env import (
    convert,
    default_env_args,
    find_task,
    OLD_OBJECTS,
    RobosuiteEnv,
    TASKS,
)
from testing.learning.robosuite_samples import OLD_CONTROLLER

LIFT = 'lift-mh-low_dim'
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (12, 7)).astype(np.float32)


def old_args(env_name: str, **controller: Any) -> dict[str, Any]:
    """Describe an environment as robosuite 1.4 did."""
    return {'env_name': env_name, 'env_version': '1.4.1', 'type': 1, 'env_kwargs': {
        'robots': ['Panda'], 'control_freq': 20, 'controller_configs': OLD_CONTROLLER | controller,
        'has_renderer': False, 'has_offscreen_renderer': False, 'ignore_done': True,
        'use_object_obs': True, 'use_camera_obs': False, 'reward_shaping': False,
        'camera_depths': False, 'camera_heights': 84, 'camera_widths': 84}}


@pytest.fixture(scope='module')
def env() -> RobosuiteEnv:
    """Make Lift."""
    made = make_env(LIFT)
    assert isinstance(made, RobosuiteEnv)
    return made


def play(env: RobosuiteEnv, seed: int) -> np.ndarray:
    """Observations of some steps."""
    observation, info = env.reset(seed=seed)
    assert info == {'success': False}
    return np.array([observation, *(env.step(action)[0] for action in ACTIONS)])


def test_equal_seeds_give_equal_episodes_bit_for_bit(env: RobosuiteEnv) -> None:
    """In one environment with another episode between, and in a fresh one."""
    first, other, again = play(env, 5), play(env, 6), play(env, 5)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, play(make_env(LIFT), 5))
    assert not np.array_equal(first, other)


def test_the_reward_is_minus_one_until_success_which_ends_the_episode(env: RobosuiteEnv) -> None:
    env.reset(seed=0)
    assert env.step(ACTIONS[0])[1:] == (-1.0, False, False, {'success': False})
    joint = env.suite.cube.joints[0]
    pose = env.suite.sim.data.get_joint_qpos(joint)
    env.suite.sim.data.set_joint_qpos(joint, [*pose[:2], 1.0, *pose[3:]])
    assert env.step(ACTIONS[0])[1:] == (0.0, True, False, {'success': True})


def test_an_episode_is_cut_at_its_limit() -> None:
    env = RobosuiteEnv(default_env_args(TASKS['lift']), ('object',), limit=3)
    env.reset(seed=0)
    assert [env.step(ACTIONS[0])[3] for _ in range(3)] == [False, False, True]


def test_the_observation_has_the_requested_keys() -> None:
    keys = ('object', 'robot0_gripper_qpos')
    env = make_env(LIFT, {'data': {'observation_keys': keys}})
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(
        observation, np.concatenate([env.parts[key] for key in keys], dtype=np.float32))
    assert observation.shape == env.observation_space.shape == (12,)
    with pytest.raises(ValueError, match=r"observation_keys: found 'camera', expected some of"):
        make_env(LIFT, {'data': {'observation_keys': ('camera',)}})


def test_names_mean_tasks_and_their_limits(env: RobosuiteEnv) -> None:
    limits = {task: find_task(f'{task}-ph-low_dim').limit for task in TASKS}
    assert limits == {
        'lift': 300, 'can': 300, 'square': 400, 'transport': 800, 'tool_hang': 1000}
    assert env.limit == limits['lift']
    assert find_task('cube-single-singletask-task2-v0') is None
    with pytest.raises(ValueError, match=r"found 'stack-mh-low_dim', expected TASK-KIND-low_dim"):
        make_env('stack-mh-low_dim')
    with pytest.raises(ValueError, match=r"env_name: found 'PickPlaceCan', expected 'Lift'"):
        make_env(LIFT, {'data': {'env_args': default_env_args(TASKS['can'])}})


def test_a_controller_of_robosuite_1_4_is_converted() -> None:
    before = old_args('Lift', control_delta=False)
    kept = deepcopy(before)
    settings = convert(before)['env_kwargs']
    assert before == kept
    arm = settings['controller_configs']['body_parts']['right']
    assert (arm['input_type'], arm['input_ref_frame']) == ('absolute', 'world')
    assert settings['lite_physics'] is False
    new = default_env_args(TASKS['lift'])
    assert convert(new) == new


def test_data_of_robosuite_1_4_drive_its_environment() -> None:
    """The can moves as commanded, and the object's parts come in the order of 1.4."""
    env = make_env('can-ph-low_dim', {'data': {'env_args': old_args('PickPlaceCan')}})
    observation, _ = env.reset(seed=0)
    assert observation.shape == (23,)
    before = env.parts['robot0_eef_pos'].copy()
    for _ in range(10):
        env.step(np.array([0, 0, -1, 0, 0, 0, 0], np.float32))
    moved = env.parts['robot0_eef_pos'] - before
    assert moved[2] < -0.05
    assert np.abs(moved[:2]).max() < 0.02
    np.testing.assert_array_equal(env.parts['object'], np.concatenate(
        [env.parts[key] for key in OLD_OBJECTS['PickPlaceCan']]))


def test_slices_are_env_step_bit_for_bit(env: RobosuiteEnv) -> None:
    """As the robot over ROS computes it."""
    simulation = make_simulation(LIFT)
    expected, _ = env.reset(seed=3)
    simulation.reset(3)
    generator = np.random.default_rng(1)
    for _ in range(100):
        np.testing.assert_array_equal(simulation.observation().astype(np.float32), expected)
        action = generator.uniform(-1, 1, 7).astype(np.float32)
        expected, *_ = env.step(action)
        assert simulation.step(action) is None


def test_a_solved_episode_ends_after_its_period() -> None:
    simulation = make_simulation(LIFT)
    simulation.reset(0)
    assert simulation.step(np.zeros(7)) is None
    suite = simulation._suite
    joint = suite.cube.joints[0]
    pose = suite.sim.data.get_joint_qpos(joint)
    suite.sim.data.set_joint_qpos(joint, [*pose[:2], 1.0, *pose[3:]])
    assert simulation.step(np.zeros(7)) == EpisodeResult(0, True, 2, -1.0, 0.1)


def test_only_lift_has_a_robot_cell() -> None:
    with pytest.raises(ValueError, match=r"found 'can-ph-low_dim', expected lift-KIND-low_dim"):
        make_simulation('can-ph-low_dim')


def test_import_prints_nothing() -> None:
    """Robosuite's notes about missing parts stay off the terminal."""
    done = subprocess.run(
        [sys.executable, '-c',
         f'from dfp_ros.sim.simulation.make_env import make_env; make_env({LIFT!r})'],
        capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == ''
    assert 'robosuite' not in done.stderr
