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
"""Joint position control of robosuite's Panda: data, environment and simulated robot."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from dfp_ros.sim.simulation.cell_state import JointTargetInput, PANDA_JOINT_NAMES
from dfp_ros.sim.simulation.make_env import make_env
from dfp_ros.sim.simulation.make_simulation import make_simulation
from dfp_ros.sim.simulation.robosuite_env import default_env_args, RobosuiteEnv, TASKS
from dfp_ros.sim.simulation.robosuite_joints import joint_range, JointRange, with_joint_control
from training.data.datasets.load import load
from training.data.formats.robomimic import writer as write_robomimic
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError, Transitions
from training.presets import PRESETS

LIFT = 'lift-joint-low_dim'


@pytest.fixture(scope='module')
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demonstrations of Lift at its joints, collected by one worker."""
    from training.collect import main
    folder = tmp_path_factory.mktemp('joint')
    main(['--scene', 'lift', '--kind', 'joint', '--episodes', '3', '--workers', '1',
          '--out', str(folder)])
    return folder / 'robomimic' / 'lift' / 'joint' / 'low_dim_v15.hdf5'


@pytest.fixture(scope='module')
def data(demonstrations: Path) -> Transitions:
    """Read them as the preset does."""
    return load(preset(demonstrations))


def preset(path: Path) -> DataSource:
    """Read another file as the preset reads its own."""
    return replace(DataSource.of_run(PRESETS['lift-joint-cpu'][1]), path=path)


def test_actions_are_scaled_by_the_range_that_the_file_states(
        demonstrations: Path, data: Transitions) -> None:
    with h5py.File(demonstrations) as file:
        targets = np.concatenate([file[f'data/demo_{i}/actions'][()] for i in range(3)])
        env_args = json.loads(file['data'].attrs['env_args'])
    arm, gripper = data.action_fields
    assert (arm.name, arm.size, arm.unit) == ('joint_positions', 7, 'rad')
    assert (gripper.name, gripper.low, gripper.high) == ('gripper_direction', (-1,), (1,))
    # As narrow as the data, to a hundredth.
    for bound, edge in ((arm.low, targets.min(axis=0)), (arm.high, targets.max(axis=0))):
        assert np.abs(np.array(bound) - edge[:7]).max() < 0.01
    assert data.source['env_args'] == env_args
    scaled = joint_range(env_args)
    assert scaled is not None
    np.testing.assert_allclose(scaled.targets(data.actions), targets, rtol=0, atol=1e-6)
    names = [field.name for field in data.observation_fields]
    assert names[0] == 'robot0_joint_pos'
    assert data.observation_fields[0].unit == 'rad'


def test_a_demonstration_played_back_lifts_the_cube(demonstrations: Path) -> None:
    """Open loop, from its first state, through the environment that the file describes."""
    with h5py.File(demonstrations) as file:
        group = file['data/demo_0']
        env = RobosuiteEnv(json.loads(file['data'].attrs['env_args']), ('object',), 300)
        env.reset(seed=99)
        env.suite.reset_from_xml_string(env.suite.edit_model_xml(group.attrs['model_file']))
        env.suite.sim.reset()
        env.suite.sim.set_state_from_flattened(group['states'][0])
        env.suite.sim.forward()
        assert env.joints is not None
        solved = [env.step(action)[2] for action in env.joints.actions(group['actions'][()])]
        np.testing.assert_array_equal(solved, group['rewards'][()] == 1)
        np.testing.assert_allclose(
            env.parts['robot0_joint_pos'], group['next_obs/robot0_joint_pos'][-1], rtol=0,
            atol=1e-5)


def test_data_written_in_robomimics_format_keep_their_targets(
        data: Transitions, tmp_path: Path) -> None:
    path = tmp_path / 'again.hdf5'
    write_robomimic.write(path, data)
    keys = tuple(field.name for field in data.observation_fields)
    again = load(DataSource(path, LIFT, observation_keys=keys))
    np.testing.assert_allclose(again.actions, data.actions, rtol=0, atol=2e-6)
    assert again.action_fields[0].low == data.action_fields[0].low


def test_a_file_with_another_number_of_actions_is_refused(
        demonstrations: Path, tmp_path: Path) -> None:
    path = tmp_path / 'narrow.hdf5'
    path.write_bytes(demonstrations.read_bytes())
    with h5py.File(path, 'a') as file:
        for name in file['data']:
            actions = file[f'data/{name}/actions'][:, :7]
            del file[f'data/{name}/actions']
            file[f'data/{name}/actions'] = actions
    with pytest.raises(DataError, match='narrow.hdf5: data: found 7 actions, expected 8'):
        load(preset(path))


def test_a_range_that_is_none_is_refused() -> None:
    for low in ([1.0] * 7, [0.0] * 6, 'low', [np.nan] * 7):
        args = with_joint_control(default_env_args(TASKS['lift']))
        args['env_kwargs']['controller_configs']['body_parts']['right'].update(
            input_min=low, input_max=[1.0] * 7)
        with pytest.raises(ValueError, match='input_min, input_max: found .* of each of 7 joints'):
            joint_range(args)


def test_joints_go_where_they_are_told() -> None:
    """Joints reach their targets, and hold their position without a command."""
    env = make_env(LIFT)
    assert isinstance(env, RobosuiteEnv)
    assert env.joints is not None
    env.reset(seed=0)
    goal = env.parts['robot0_joint_pos'] + [0.1, -0.1, 0.2, 0.1, -0.2, 0.1, 0.3]
    for _ in range(30):
        env.step(env.joints.actions(np.append(goal, 0)))
    np.testing.assert_allclose(env.parts['robot0_joint_pos'], goal, rtol=0, atol=0.01)

    simulation = make_simulation(LIFT)
    simulation.reset(0)
    before = simulation.state().joint_positions.copy()
    for _ in range(40):
        simulation.advance()
    np.testing.assert_allclose(
        simulation.state().joint_positions, before, rtol=0, atol=0.01)


def test_slices_are_env_step_bit_for_bit() -> None:
    """As the robot over ROS computes it, from targets in rad."""
    env, simulation = make_env(LIFT), make_simulation(LIFT)
    assert isinstance(env, RobosuiteEnv)
    assert env.joints is not None
    assert simulation.arm == JointTargetInput(PANDA_JOINT_NAMES)
    expected, _ = env.reset(seed=3)
    simulation.reset(3)
    low, high = env.joints.low, env.joints.high
    generator = np.random.default_rng(1)
    middle = env.joints.actions(np.append(env.parts['robot0_joint_pos'], 0))
    for _ in range(40):
        np.testing.assert_array_equal(simulation.observation().astype(np.float32), expected)
        action = np.clip(
            middle + generator.uniform(-0.1, 0.1, 8), -1, 1).astype(np.float32)
        expected, *_ = env.step(action)
        # As dfp_ros.core.command.limits computes what is sent.
        sent = low + (action.astype(np.float64) + 1) / 2 * (high - low)
        assert simulation.step(sent * simulation.action_scale) is None


def test_two_messages_in_a_period_close_the_gripper_no_faster() -> None:
    """Arm and gripper are commanded by a message each, which may come a slice apart."""
    simulation = make_simulation(LIFT)

    def close(apart: int) -> np.ndarray:
        simulation.reset(0)
        action = np.append(simulation.state().joint_positions, 1.0)
        for _ in range(3):
            simulation.command(action)
            for i in range(simulation.slices):
                if i == apart:
                    simulation.command(action)
                simulation.advance()
        return np.array(simulation.state().finger_positions)

    once = close(0)
    simulation.reset(0)
    assert np.abs(once - simulation.state().finger_positions).max() > 0.001
    for apart in (1, 2):
        np.testing.assert_allclose(close(apart), once, rtol=0, atol=1e-6)


def test_targets_beyond_the_joints_limits_are_cut() -> None:
    simulation = make_simulation(LIFT)
    simulation.reset(0)
    simulation.command(np.full(8, 9.0))
    simulation._take_command()
    np.testing.assert_allclose(
        simulation._action, [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973, 1],
        atol=1e-6)


def test_scaling_there_and_back() -> None:
    scale = JointRange(np.array([-2.0, 0.0]), np.array([-1.0, 4.0]))
    targets = scale.targets(np.array([[-1, -1], [1, 1], [0, 0.5]], np.float32))
    assert targets.tolist() == [[-2, 0], [-1, 4], [-1.5, 3]]
    assert scale.actions(targets).tolist() == [[-1, -1], [1, 1], [0, 0.5]]


def test_two_arms_have_no_such_kind() -> None:
    with pytest.raises(ValueError, match=r"found 'transport-joint-low_dim', expected TASK-KIND"):
        make_env('transport-joint-low_dim')
