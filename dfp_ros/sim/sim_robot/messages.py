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
"""Conversion of simulated states and results to messages."""

from __future__ import annotations

import array
from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, Vector3Stamped
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState, Joy

from dfp_ros.sim.simulation.cell_state import (
    EpisodeResult,
    LiftState,
    ObjectPose,
    PANDA_JOINT_NAMES,
    RobotState,
    Slide,
)

JOINT_NAMES = (
    'shoulder_pan_joint', 'shoulder_lift_joint', 'elbow_joint', 'wrist_1_joint', 'wrist_2_joint',
    'wrist_3_joint')
PANDA_FINGER_NAMES = ('panda_finger_joint1', 'panda_finger_joint2')
GRIPPER_NAME = 'gripper_opening'
WORLD = 'world'


@singledispatch
def messages(state: Any, stamp: Time) -> dict[str, Any]:
    """
    Convert the measurements of a cell at one instant to messages with one stamp.

    :param state: State of a class in :mod:`dfp_ros.sim.simulation.cell_state`.
    :return: Messages by topic.
    """
    raise TypeError(f'state: found {type(state).__name__}, which has no messages')


@messages.register
def _(state: RobotState, stamp: Time) -> dict[str, Any]:
    found: dict[str, Any] = {
        'joint_states': joint_state(
            stamp, JOINT_NAMES, state.joint_positions, state.joint_velocities),
        'gripper_state': gripper_state(stamp, state),
        'effector_pose': pose(stamp, state.effector),
        **{f'cube_{i}_pose': pose(stamp, cube) for i, cube in enumerate(state.cubes)}}
    if state.buttons:
        found['button_states'] = slides(stamp, {
            f'button_{i}': button for i, button in enumerate(state.buttons)})
        found['button_lamps'] = lamps(stamp, state.buttons)
    if state.furniture:
        found['furniture_states'] = slides(stamp, state.furniture)
    return found


@messages.register
def _(state: LiftState, stamp: Time) -> dict[str, Any]:
    return {
        # A Panda's driver publishes the fingers' joints with the arm's.
        'joint_states': joint_state(
            stamp, PANDA_JOINT_NAMES + PANDA_FINGER_NAMES,
            np.concatenate([state.joint_positions, state.finger_positions]),
            np.concatenate([state.joint_velocities, state.finger_velocities])),
        'gripper_state': joint_state(
            stamp, PANDA_FINGER_NAMES, state.finger_positions, state.finger_velocities),
        'effector_pose': pose(stamp, state.effector),
        'cube_0_pose': pose(stamp, state.cube),
        'gripper_to_cube': vector(stamp, state.gripper_to_cube)}


def joint_state(
        stamp: Time, names: tuple[str, ...], positions: NDArray[np.float64],
        velocities: NDArray[np.float64]) -> JointState:
    """Make a message with positions and velocities of joints."""
    message = JointState(name=names)
    message.header.stamp = stamp
    message.position = array.array('d', positions.tobytes())
    message.velocity = array.array('d', velocities.tobytes())
    return message


def slides(stamp: Time, parts: Mapping[str, Slide]) -> JointState:
    """Make a message with positions and velocities of sliding parts, by their names."""
    return joint_state(
        stamp, tuple(parts), np.array([part.position for part in parts.values()]),
        np.array([part.velocity for part in parts.values()]))


def lamps(stamp: Time, buttons: Iterable[Slide]) -> Joy:
    """Make a message with the lamps of all buttons: one for each state of each button."""
    message = Joy(buttons=[int(lamp) for button in buttons for lamp in button.lamps])
    message.header.stamp = stamp
    return message


def vector(stamp: Time, values: NDArray[np.float64]) -> Vector3Stamped:
    """Make a vector in the world frame."""
    message = Vector3Stamped()
    message.header.stamp = stamp
    message.header.frame_id = WORLD
    message.vector.x, message.vector.y, message.vector.z = values.tolist()
    return message


def gripper_state(stamp: Time, state: RobotState) -> JointState:
    """Make the gripper a joint: opening, its rate, and the contact in place of the effort."""
    message = JointState(
        name=[GRIPPER_NAME], position=[state.gripper_opening], velocity=[state.gripper_velocity],
        effort=[state.gripper_contact])
    message.header.stamp = stamp
    return message


def pose(stamp: Time, of: ObjectPose) -> PoseStamped:
    """Make a pose in the world frame."""
    message = PoseStamped()
    message.header.stamp = stamp
    message.header.frame_id = WORLD
    where, turn = message.pose.position, message.pose.orientation
    where.x, where.y, where.z = of.position.tolist()
    turn.w, turn.x, turn.y, turn.z = of.quaternion.tolist()
    return message


def image(stamp: Time, frame: NDArray[np.uint8]) -> Image:
    """
    Make a camera image.

    :param frame: Shape (height, width, 3), red green blue.
    """
    message = Image(
        height=frame.shape[0], width=frame.shape[1], encoding='rgb8', is_bigendian=0,
        step=3 * frame.shape[1])
    message.header.stamp = stamp
    message.header.frame_id = 'camera'
    message.data = array.array('B', frame.tobytes())
    return message


def episode(
        number: int, result: EpisodeResult, environment: str, real_time_factor: float,
        overruns: int) -> DiagnosticStatus:
    """
    Make the result of an episode.

    :param number: Number of earlier episodes.
    :param real_time_factor: Achieved ratio of simulated time to wall time; 0 in lockstep.
    :param overruns: Number of slices computed later than their deadline.
    """
    verdict = 'solved' if result.success else 'not solved'
    values = {
        'episode': number, 'seed': result.seed, 'success': str(result.success).lower(),
        'steps': result.steps, 'return': result.total_reward,
        'duration': f'{result.duration:.6g}', 'real_time_factor': f'{real_time_factor:.4f}',
        'overruns': overruns}
    return DiagnosticStatus(
        level=DiagnosticStatus.OK if result.success else DiagnosticStatus.WARN,
        name='episode', message=f'{verdict} in {result.steps} steps', hardware_id=environment,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
