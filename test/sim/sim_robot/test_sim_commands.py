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
"""Command messages of the simulated robots, and rejection of invalid ones."""

from __future__ import annotations

import math

from geometry_msgs.msg import TwistStamped
import pytest
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dfp_ros.sim.sim_robot.command_inputs import arm_input, gripper_input
from dfp_ros.sim.simulation.cell_state import JointTargetInput, PANDA_JOINT_NAMES, TwistInput

JOINTS = ('one', 'two', 'three')
ARM = JointTargetInput(JOINTS)


def trajectory(names: tuple[str, ...], *points: list[float]) -> JointTrajectory:
    """Make a trajectory."""
    return JointTrajectory(
        joint_names=names, points=[JointTrajectoryPoint(positions=point) for point in points])


def test_joints_are_told_by_name_and_the_first_point_counts() -> None:
    message = trajectory(('three', 'one', 'two'), [3.0, 1.0, 2.0], [9.0, 9.0, 9.0])
    assert arm_input(ARM).read(message).tolist() == [1, 2, 3]


@pytest.mark.parametrize(('message', 'said'), [
    (trajectory(('one', 'two'), [1.0, 2.0]), "found no 'three', expected each of one, two"),
    (trajectory(('one', 'two', 'tree'), [1.0, 2.0, 3.0]), "found no 'three'"),
    (trajectory(('one', 'two', 'three', 'four'), [1.0] * 4), "joint_names: found 'four'"),
    (trajectory(('one', 'two', 'three', 'one'), [1.0] * 4), r"found \['one', 'two', 'three', 'o"),
    (trajectory(JOINTS), 'found no point, expected at least one'),
    (trajectory(JOINTS, [1.0, 2.0]), 'found 2 positions, expected 3'),
    (trajectory(JOINTS, [1.0, math.nan, 2.0]), r'found \[1, nan, 2\], expected finite'),
])
def test_other_joints_are_refused(message: JointTrajectory, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        arm_input(ARM).read(message)


def test_each_arm_has_topics_of_its_own() -> None:
    joints, rates = JointTargetInput(PANDA_JOINT_NAMES), TwistInput((0, 1, 2, 5))
    assert arm_input(joints).topic == 'panda_arm_controller/joint_trajectory'
    assert gripper_input(joints).topic == 'panda_hand_controller/commands'
    message = TwistStamped()
    message.twist.linear.y, message.twist.angular.z = 0.5, 0.7
    assert arm_input(rates).read(message).tolist() == [0, 0.5, 0, 0.7]
    with pytest.raises(ValueError, match='hand_controller/commands: found 2 numbers, expected on'):
        gripper_input(joints).read(Float64MultiArray(data=[1.0, 2.0]))
