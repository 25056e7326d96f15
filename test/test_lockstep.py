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
"""The whole loop over ROS in lockstep against the same episodes with no ROS in them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
import re

import numpy as np
from policies import cube_spec, write_policy
from ros_processes import NodeProcess

from dfp_ros.policy import OnnxPolicy
from dfp_ros.robot_description import load_robot_description
from dfp_ros.robots.domain import free_domain
from dfp_ros.robots.joint_control import joint_range
from dfp_ros.robots.recording import load
from dfp_ros.shared_files import find_shared
from training.environments import start
from training.evaluate import evaluate, Evaluation

SEED = 700


def test_commands_over_ros_are_those_of_the_evaluation(tmp_path: Path) -> None:
    """
    Five seeds: commands agree to 1e-5 in action units, and the episodes end alike.

    Nothing gets lost on the way through messages, scaling, and back.
    """
    expected = compare(find_shared('cube_single', 'models', '.onnx'), 5, tmp_path)
    # Episodes without a solution would make the comparison a weak one.
    assert expected.success > 0.5


def test_chunks_and_candidates_over_ros_are_those_of_the_evaluation(tmp_path: Path) -> None:
    """A policy of random weights with chunks of five, the best of four candidates."""
    path = tmp_path / 'chunks.onnx'
    write_policy(path, cube_spec(horizon=5, candidates=4, noise_scale=0.7))
    compare(path, 1, tmp_path)


def test_lift_over_ros_is_lift_in_the_evaluation(tmp_path: Path) -> None:
    """Another robot, another physics, six rates of the effector: two seeds, both solved."""
    expected = compare(find_shared('lift', 'models', '.onnx'), 2, tmp_path, 'panda_lift')
    assert expected.success > 0


def test_joint_targets_over_ros_are_those_of_the_evaluation(tmp_path: Path) -> None:
    """A JointTrajectory a step, its targets in rad; the evaluation has no limits of speed."""
    text = find_shared('panda_joint', 'config', '.yaml').read_text()
    for key in ('velocity', 'acceleration'):
        text, changed = re.subn(rf'{key}: \[.*\]', f'{key}: 1.0e+6', text)
        assert changed == 1
    robot = tmp_path / 'panda_joint.yaml'
    robot.write_text(text)
    expected = compare(
        find_shared('lift_joint', 'models', '.onnx'), 2, tmp_path / 'episodes', str(robot))
    assert expected.success > 0


def test_targets_keep_to_what_the_joints_give(tmp_path: Path) -> None:
    """As its description has it, from where the arm stands on; and the cube is lifted."""
    fly(find_shared('lift_joint', 'models', '.onnx'), 3, tmp_path, 'panda_joint')
    limits = load_robot_description(
        find_shared('panda_joint', 'config', '.yaml')).commands[0].entries[0].limits
    solved = 0
    for seed in range(SEED, SEED + 3):
        recording = load(tmp_path / f'episode_{seed}.npz')
        targets = np.concatenate([recording.pictures[:1, :7], recording.actions[:, :7]])
        speeds = np.diff(targets, axis=0, prepend=targets[:1]) / recording.period
        changes = np.diff(speeds, axis=0) / recording.period
        # What is recorded has the precision of float32.
        assert (np.abs(speeds) <= np.array(limits.velocity) + 1e-4).all()
        assert (np.abs(changes) <= np.array(limits.acceleration) + 1e-2).all()
        assert np.abs(speeds).max() > 0.5
        solved += recording.result.success
    assert solved > 0


def compare(
        path: Path, episodes: int, folder: Path, robot: str = 'ur5e_cube') -> Evaluation:
    """
    Run a policy's episodes over ROS and without, and hold them against each other.

    :param path: The policy file.
    :param episodes: How many.
    :param folder: Where the robot's recordings go.
    :param robot: Its description.
    :return: The episodes without ROS.
    """
    policy = OnnxPolicy(path)
    fly(path, episodes, folder, robot)
    with closing(start(
            policy.spec.environment, 1, policy.spec.provenance)) as environments:
        expected = evaluate(
            environments, lambda *inputs: policy.act(*inputs).actions, policy.spec, episodes, SEED)
    env_args = policy.spec.provenance.get('data', {}).get('env_args')
    # Of joints the robot records targets in rad, of which the policy's actions are shares.
    joints = joint_range(env_args) if env_args else None
    for episode in expected.episodes:
        recording = load(folder / f'episode_{episode.seed}.npz')
        assert recording.actions.shape == episode.actions.shape
        actions = joints.actions(recording.actions) if joints else recording.actions
        assert np.abs(actions - episode.actions).max() <= 1e-5
        assert recording.result.success == episode.success
        assert recording.result.steps == episode.steps
        assert recording.result.total_reward == episode.total_reward
    return expected


def fly(path: Path, episodes: int, folder: Path, robot: str) -> None:
    """Run a policy's episodes over ROS; of the parameters :func:`compare` tells."""
    environment = OnnxPolicy(path).spec.environment
    domain = free_domain()
    with NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', '-p', f'policy:={path}', '-p',
            f'robot:={robot}', '-p', 'trigger:=samples') as brain, NodeProcess(
            'dfp_ros.robots.sim_node', domain, '--ros-args', '-p', 'mode:=lockstep', '-p',
            f'seed:={SEED}', '-p', f'episodes:={episodes}', '-p', 'policy_node:=dfp_policy', '-p',
            f'environment:={environment}', '-p', f'record:={folder}') as cell:
        assert cell.wait(240) == 0, cell.output + brain.output
        assert brain.stop() == 0, brain.output
