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
"""The two robots of the fault tests: one with velocity and one with position commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from testing import ROOT
from testing.fixtures.robot_samples import ARM, rest_messages
from testing.policies.small_policy import CUBE_ACTION, cube_spec

Vector = NDArray[np.float64]
_HERE = ROOT / 'testing'
_JOINTS = ('base', 'shoulder', 'elbow')


@dataclass(frozen=True)
class CommandTopic:
    """
    Command topic of a robot.

    :param kind: Message type.
    :param read: Extracts the command from a message, in SI units.
    :param place: Slice of the action.
    """

    kind: Any
    read: Callable[[Any], Vector]
    place: slice


@dataclass(frozen=True)
class FaultRobot:
    """
    Robot of the fault tests.

    :param name: Display name.
    :param description: Its description file.
    :param spec: Specification of its policy; 50 Hz.
    :param topics: Sources by topic.
    :param messages: Makes a message of each source for a stamp, with the robot at rest.
    :param commands: The command topics; the first has the decision's stamp.
    :param low: Smallest command, of each element of the action.
    :param high: Largest command.
    :param place: Index of the observation that slows :mod:`testing.policies.slow_policy` down.
    :param slow_topic: Topic of that element.
    :param slow: Puts the element into its message.
    :param max_age: Maximum age of all sources, in s.
    :param measured: Measured position; None if commands are velocities.
    :param velocity: Largest velocity of a position command.
    :param acceleration: Largest acceleration of a position command.
    """

    name: str
    description: Path
    spec: PolicySpec
    topics: Mapping[str, str]
    messages: Callable[[Any], dict[str, Any]]
    commands: Mapping[str, CommandTopic]
    low: Vector
    high: Vector
    place: int
    slow_topic: str
    slow: Callable[[Any, float], None]
    max_age: float
    measured: Vector | None = None
    velocity: float = np.inf
    acceleration: float = np.inf

    @property
    def tick(self) -> float:
        """Control period in s."""
        return self.spec.period


def _twist(message: TwistStamped) -> Vector:
    linear, angular = message.twist.linear, message.twist.angular
    return np.array([linear.x, linear.y, linear.z, angular.z])


def _cube_messages(stamp: Any) -> dict[str, Any]:
    """Make messages of a robot whose joints are all at different positions."""
    messages = rest_messages(stamp)
    messages['joint_states'].position = [0.1 * (i + 1) for i in range(len(ARM))]
    messages['joint_states'].velocity = [0.01 * (i + 1) for i in range(len(ARM))]
    return messages


def _arm_messages(stamp: Any) -> dict[str, Any]:
    arm = JointState(name=list(_JOINTS), position=[0.3, -0.4, 0.5])
    target = PoseStamped()
    target.pose.position.x, target.pose.position.y = 0.4, -0.2
    for message in (arm, target):
        message.header.stamp = stamp
    return {'joint_states': arm, 'target_pose': target}


def _slow_cube(message: JointState, number: float) -> None:
    message.effort = [number]


def _slow_arm(message: PoseStamped, number: float) -> None:
    message.pose.position.z = number


_bounds = np.concatenate([np.full(size, bound) for _, size, _, bound in CUBE_ACTION])

CUBE = FaultRobot(
    'velocities', _HERE.parent / 'config' / 'ur5e_cube.yaml', cube_spec(period=0.02),
    {'joint_states': 'arm', 'gripper_state': 'gripper', 'effector_pose': 'effector',
     'cube_0_pose': 'cube_0'},
    _cube_messages,
    {'twist_command': CommandTopic(TwistStamped, _twist, slice(0, 4)),
     'gripper_command': CommandTopic(
         Float64MultiArray, lambda message: np.array(message.data), slice(4, 5))},
    -_bounds, _bounds, 18, 'gripper_state', _slow_cube, 0.2)

POSITION_ARM = FaultRobot(
    'positions', _HERE / 'data' / 'position_arm.yaml',
    PolicySpec(
        name='test', environment='none', period=0.02, horizon=5,
        observation=(
            ObservationField('joint_positions', 3, 'rad', (-1.0,) * 3, (1.0,) * 3),
            ObservationField('target_position', 3, 'm', (-1.0,) * 3, (1.0,) * 3)),
        action=(ActionField(
            'joint_positions', 3, 'rad', (-2.0,) * 3, (2.0,) * 3, (-1.0,) * 3, (1.0,) * 3),)),
    {'joint_states': 'arm', 'target_pose': 'target'},
    _arm_messages,
    {'joint_trajectory': CommandTopic(
        JointTrajectory, lambda message: np.array(message.points[0].positions), slice(0, 3))},
    np.full(3, -1.5), np.full(3, 1.5), 5, 'target_pose', _slow_arm, 0.1,
    np.array([0.3, -0.4, 0.5]), 1.0, 10.0)

ROBOTS = (CUBE, POSITION_ARM)
