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
"""Command topics of the simulated robots, and the conversion of their messages to SI units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from geometry_msgs.msg import TwistStamped
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from dfp_ros.core.text.numbers import all_shown
from dfp_ros.sim.sim_robot.messages import WORLD
from dfp_ros.sim.simulation.cell_state import JointTargetInput, TwistInput


@dataclass(frozen=True)
class CommandInput:
    """
    Command topic of a robot.

    :param topic: Name of the topic.
    :param type: Message class.
    :param read: Converts a message to numbers, or raises ValueError.
    """

    topic: str
    type: type
    read: Callable[[Any], NDArray[np.float64]]


def arm_input(arm: TwistInput | JointTargetInput) -> CommandInput:
    """Return the command topic of an arm."""
    if isinstance(arm, JointTargetInput):
        return CommandInput(
            'panda_arm_controller/joint_trajectory', JointTrajectory,
            partial(trajectory_positions, joints=arm.joints))
    return CommandInput('twist_command', TwistStamped, partial(twist_rates, which=arm.rates))


def gripper_input(arm: TwistInput | JointTargetInput) -> CommandInput:
    """Return the command topic of an arm's gripper."""
    topic = (
        'panda_hand_controller/commands' if isinstance(arm, JointTargetInput)
        else 'gripper_command')
    return CommandInput(topic, Float64MultiArray, partial(gripper_rate, topic=topic))


def trajectory_positions(
        message: JointTrajectory, joints: tuple[str, ...]) -> NDArray[np.float64]:
    """
    Read target positions by joint name, in any order.

    Only the first point counts. Its time is ignored: the simulated joints move there as fast as
    their springs pull them.

    :param joints: The robot's joints.
    :return: Shape (joints,), rad, in the robot's order.
    :raises ValueError: If the joints differ, or a number is missing or not finite.
    """
    names = list(message.joint_names)
    if sorted(names) != sorted(joints):
        missing = [name for name in joints if name not in names]
        other = [name for name in names if name not in joints]
        found = f'no {missing[0]!r}' if missing else f'{other[0]!r}' if other else f'{names}'
        raise ValueError(
            f'joint_trajectory: joint_names: found {found}, expected each of {", ".join(joints)} '
            'once')
    if not message.points:
        raise ValueError('joint_trajectory: found no point, expected at least one')
    positions = message.points[0].positions
    if len(positions) != len(joints):
        raise ValueError(
            f'joint_trajectory: found {len(positions)} positions, expected {len(joints)}')
    return _finite(
        'joint_trajectory', [positions[names.index(joint)] for joint in joints])


def twist_rates(message: TwistStamped, which: tuple[int, ...]) -> NDArray[np.float64]:
    """
    Read the velocities that the effector can follow.

    :param which: Their indices among x, y, z in m/s and the rates about them in rad/s.
    :return: As many numbers.
    :raises ValueError: If the frame differs, or a number is not finite.
    """
    frame = message.header.frame_id
    if frame not in ('', WORLD):
        raise ValueError(f'twist_command: found the frame {frame!r}, expected {WORLD!r}')
    linear, angular = message.twist.linear, message.twist.angular
    rates = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
    return _finite('twist_command', [rates[i] for i in which])


def gripper_rate(message: Float64MultiArray, topic: str) -> NDArray[np.float64]:
    """
    Read the gripper's closing rate, in closures per second.

    :param topic: Name of the topic for error messages.
    :return: Shape (1,).
    :raises ValueError: If there is not exactly one number, or it is not finite.
    """
    if len(message.data) != 1:
        raise ValueError(f'{topic}: found {len(message.data)} numbers, expected one')
    return _finite(topic, list(message.data))


def _finite(topic: str, values: list[float]) -> NDArray[np.float64]:
    """Convert to an array, and check that all numbers are finite."""
    if not np.all(np.isfinite(values)):
        raise ValueError(f'{topic}: found {all_shown(values)}, expected finite numbers')
    return np.array(values)
