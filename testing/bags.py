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
"""Synthetic recordings written without ROS: a moving robot, commands, decisions and marks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.decision_row import DecisionRow
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import Reason
from testing.robot_samples import ARM, shipped_robot

STORE = get_typestore(Stores.ROS2_JAZZY)
START = 1_700_000_000_000_000_000
MS = 1_000_000
PERIOD = 50 * MS
ARRAY, STRING = 'std_msgs/msg/Float64MultiArray', 'std_msgs/msg/String'
POSE, JOINTS = 'geometry_msgs/msg/PoseStamped', 'sensor_msgs/msg/JointState'
TWIST = 'geometry_msgs/msg/TwistStamped'
TYPES = {
    '/joint_states': JOINTS, '/gripper_state': JOINTS, '/effector_pose': POSE,
    '/cube_0_pose': POSE, '/twist_command': TWIST, '/gripper_command': ARRAY,
    '/dfp_policy/decision': ARRAY, '/episode_marks': STRING}
Message = tuple[int, str, Any]


def make(kind: str, **values: Any) -> Any:
    """Make a message of a type, given without its package."""
    return next(STORE.types[name] for name in STORE.types if name.endswith(f'/{kind}'))(**values)


def header(stamp: int) -> Any:
    """Make a header."""
    return make(
        'Header', stamp=make('Time', sec=stamp // 10**9, nanosec=stamp % 10**9),
        frame_id='world')


def state(time: int, value: float, stamp: int | None = None) -> list[Message]:
    """
    Make the messages of all sources.

    :param time: Time of reception.
    :param value: Number that they carry.
    :param stamp: Their stamp; by default, a millisecond earlier.
    """
    top = header(time - MS if stamp is None else stamp)
    pose = make(
        'PoseStamped', header=top, pose=make(
            'Pose', position=make('Point', x=0.4, y=value, z=0.2),
            orientation=make('Quaternion', x=0.0, y=0.0, z=0.0, w=1.0)))
    none = np.zeros(0)
    return [
        (time, '/joint_states', make(
            'JointState', header=top, name=list(ARM), position=np.full(6, value),
            velocity=np.zeros(6), effort=none)),
        (time, '/gripper_state', make(
            'JointState', header=top, name=['gripper_opening'], position=np.zeros(1),
            velocity=none, effort=np.zeros(1))),
        (time, '/effector_pose', pose), (time, '/cube_0_pose', pose)]


def array(data: Iterable[float], parts: Iterable[tuple[str, int]] = ()) -> Any:
    """Make a Float64MultiArray."""
    dim = [make('MultiArrayDimension', label=label, size=size, stride=size)
           for label, size in parts]
    return make(
        'Float64MultiArray', layout=make('MultiArrayLayout', dim=dim, data_offset=0),
        data=np.array(list(data), np.float64))


def command(time: int, action: Iterable[float]) -> list[Message]:
    """Make the commands of an action of the shipped robot."""
    x, y, z, yaw, grip = action
    zero = make('Vector3', x=0.0, y=0.0, z=0.0)
    return [
        (time, '/twist_command', make(
            'TwistStamped', header=header(time), twist=make(
                'Twist', linear=make('Vector3', x=x, y=y, z=z),
                angular=make('Vector3', x=zero.x, y=zero.y, z=6 * yaw)))),
        (time, '/gripper_command', array([20 * grip]))]


def mark(time: int, word: str) -> list[Message]:
    """Make an episode mark."""
    return [(time, '/episode_marks', make('String', data=word))]


def decision(
        number: int, time: int, stamp: int, value: float, action: float = 0.5,
        held: bool = False, lockstep: bool = False) -> list[Message]:
    """
    Make a decision, received at ``time``, from samples with a stamp and a value.

    The command is half of the policy's answer.
    """
    robot = shipped_robot()
    row = DecisionRow(robot.sources, 28, [
        (entry.action, entry.size) for topic in robot.commands for entry in topic.entries])
    samples = {name: Sample(stamp, stamp, {}) for name in robot.sources}
    seen = observation(value)
    raw = np.full(5, action)
    found = Decision(
        State.HOLD if held else State.RUNNING, Reason.STALE if held else Reason.NONE, '',
        raw / 2 * (1, 1, 1, 6, 20), seen, raw.astype(np.float32), raw * (1, 1, 1, 6, 20))
    return [(time, '/dfp_policy/decision', array(
        row.write(number, time, lockstep, found, samples), row.parts))]


def observation(value: float) -> np.ndarray:
    """Compute the observation of :func:`state` without a recording."""
    pose = {
        'pose.position.x': 0.4, 'pose.position.y': value, 'pose.position.z': 0.2,
        'pose.orientation.w': 1.0, 'pose.orientation.x': 0.0, 'pose.orientation.y': 0.0,
        'pose.orientation.z': 0.0}
    return ObservationBuilder(shipped_robot().observation).build({
        'arm': Sample(1, 1, {
            'name': list(ARM), 'position': [value] * 6, 'velocity': [0.0] * 6}),
        'gripper': Sample(1, 1, {
            'name': ['gripper_opening'], 'position': [0.0], 'effort': [0.0]}),
        'effector': Sample(1, 1, pose), 'cube_0': Sample(1, 1, pose)}, 1)


def write_bag(
        path: Path, messages: Iterable[Message], storage: str = 'mcap',
        types: dict[str, str] = TYPES, ordered: bool = True) -> Path:
    """
    Write a bag.

    :param messages: Time of reception, topic, message.
    :param types: Message types by topic; all of them become connections.
    :param ordered: Whether to write them in order of time.
    """
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        fill(
            writer, sorted(messages, key=lambda each: each[0]) if ordered else messages, types)
    return path


def fill(
        writer: Writer, messages: Iterable[Message], types: dict[str, str] = TYPES) -> None:
    """Write messages, in the order given; see :func:`write_bag`."""
    connections = {
        topic: writer.add_connection(topic, kind, typestore=STORE)
        for topic, kind in types.items()}
    for time, topic, message in messages:
        writer.write(connections[topic], time, STORE.serialize_cdr(message, types[topic]))


def demonstration(steps: int = 10, begin: int = START, end: str = 'success') -> list[Message]:
    """
    Record a synthetic episode: states at 100 Hz, commands at 20 Hz, a mark before and after.

    At step i, the state's value is i / 100 and the action is i / 100 in every dimension.
    """
    messages = state(begin - 5 * MS, 0.0) + mark(begin, 'start')
    for i in range(steps):
        at = begin + i * PERIOD
        # Two states per step, so that the newest one must be chosen.
        messages += state(at - 7 * MS, (i - 0.5) / 100) if i else []
        messages += state(at - 2 * MS, i / 100)
        messages += command(at + 5 * MS, [i / 100] * 5)
    return messages + mark(begin + steps * PERIOD - 10 * MS, end)
