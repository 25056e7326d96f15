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
"""What was recorded of a real node is what it saw and commanded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')

from dfp_ros.node.ros.domain import free_domain
from dfp_ros.sim.simulation.episode_file import load
from testing import ROOT
from testing.fixtures.robot_samples import shipped_robot
from testing.processes.ros_processes import NodeProcess
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options

POLICY = ROOT / 'models' / 'cube_single.onnx'


@pytest.mark.slow
def test_observations_are_those_that_the_node_logged(tmp_path: Path) -> None:
    """
    The real robot in lockstep, the real node, the real recorder, and the converter.

    At every step that was recorded the converter computes the observation that the node logged,
    to 1e-6, and the actions are those that the robot was given.
    """
    domain, bag = free_domain(), tmp_path / 'bag'
    with NodeProcess(
            'dfp_ros.tools.recording.recorder', domain, '--ros-args', '-p', 'robot:=ur5e_cube',
            '-p', f'out:={bag}', '-p', 'episodes:=2') as recorder, NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', '-p', f'policy:={POLICY}', '-p',
            'robot:=ur5e_cube', '-p', 'trigger:=samples', '-p',
            'publish_decisions:=true') as brain, NodeProcess(
            'dfp_ros.sim.sim_robot.main', domain, '--ros-args', '-p', 'mode:=lockstep', '-p',
            'seed:=700', '-p', 'episodes:=2', '-p', 'policy_node:=dfp_policy', '-p',
            f'record:={tmp_path / "robot"}') as robot:
        assert robot.wait(240) == 0, robot.output + brain.output
        assert recorder.wait(60) == 0, recorder.output
        assert brain.stop() == 0, brain.output
    description = shipped_robot()
    data, report = convert(
        [bag], description, Options(0.05, ActionLayout.of_robot(description), ticks='decisions'))
    given = [load(tmp_path / 'robot' / f'episode_{seed}.npz').actions for seed in (700, 701)]
    assert report.counts['steps of episodes'] == sum(len(actions) for actions in given)
    assert not report.problems, report.details
    assert report.difference is not None
    assert report.difference <= 1e-6
    expected = np.concatenate([actions[:-1] for actions in given])
    assert np.abs(data.actions - expected).max() <= 1e-5
    assert report.counts['episodes kept'] == 2
