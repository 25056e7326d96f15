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
"""Command writer: real message types, and descriptions that do not fit them."""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testing.fixtures.robot_samples import shipped_robot
from testing.policies.small_policy import cube_spec

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message

from dfp_ros.core.description.commands import (
    CHUNK,
    CommandEntry,
    CommandTopic,
    POINT,
    Stop,
    TRAJECTORY,
)
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.messages.introspection import find_message_type
from dfp_ros.resources import find_shared
from dfp_ros.spec import ActionField, PolicySpec
from testing.processes.joint_arm import HERE
from testing.processes.moving_robot import moving


def test_writes_commands() -> None:
    """Each number of the action goes to its place; everything else stays zero."""
    twist, gripper = (CommandWriter(topic, cube_spec()) for topic in shipped_robot().commands)
    for scale in (1.0, -2.0):
        command = scale * np.array([0.1, 0.2, 0.3, 4.0, 5.0])
        message = twist.write(command, 1_700_000_000_123_456_789)
        linear, angular = message.twist.linear, message.twist.angular
        np.testing.assert_array_equal([linear.x, linear.y, linear.z, angular.z], command[:4])
        assert (angular.x, angular.y) == (0, 0)
        assert message.header.frame_id == 'world'
        assert message.header.stamp == Time(sec=1_700_000_000, nanosec=123_456_789)
        assert list(gripper.write(command, 0).data) == [command[4]]


def entry(action: str, path: str, *components: str, indices: tuple[int, ...] = ()) -> CommandEntry:
    """Make a command entry."""
    return CommandEntry(action, '', path, components, indices, 'robot.yaml:9: fields')


@pytest.mark.parametrize(('kind', 'frame', 'entries', 'message'), [
    ('geometry_msgs/msg/TwistStampd', 'w', [], "did you mean 'geometry_msgs/msg/TwistStamped'?"),
    ('geometry_msgs/msg/TwistStamped', '', [], "'frame_id' is missing"),
    ('geometry_msgs/msg/Twist', 'w', [entry('gripper_rate', 'linear.x')],
     "found the key 'frame_id', which has no place in geometry_msgs/msg/Twist: it has no header"),
    ('geometry_msgs/msg/Twist', '', [entry('effector_linear_velocity', 'liner', 'x', 'y', 'z')],
     "has no field 'liner'; did you mean 'linear'?"),
    ('geometry_msgs/msg/Twist', '', [entry('gripper_rate', 'linear')],
     'linear is geometry_msgs/Vector3, expected a number'),
    ('std_msgs/msg/Float64MultiArray', '', [entry('gripper_rate', 'data')],
     'data is sequence<double>, expected a number'),
    ('std_msgs/msg/Bool', '', [entry('gripper_rate', 'data')], 'data is boolean'),
    ('std_msgs/msg/Float64MultiArray', '', [entry('gripper_rate', 'data', indices=(2,))],
     r'data[0] is given by no field'),
    ('std_msgs/msg/Float64MultiArray', '', [
        entry('gripper_rate', 'data', indices=(0,)),
        entry('effector_yaw_rate', 'data', indices=(0,))], 'data[0] is given a second time'),
    ('geometry_msgs/msg/Twist', '', [
        entry('effector_linear_velocity', 'linear', 'x', 'y', 'z'),
        entry('effector_yaw_rate', 'linear.z')], 'linear.z is given a second time'),
    ('sensor_msgs/msg/Imu', 'w', [
        entry('effector_linear_velocity', 'orientation_covariance', indices=(0, 1, 2))],
     'orientation_covariance is double[9], but the fields give 3 numbers, expected 9'),
    ('shape_msgs/msg/SolidPrimitive', '', [
        entry('effector_linear_velocity', 'dimensions', indices=(0, 1, 2)),
        entry('gripper_rate', 'dimensions', indices=(3,))],
     'dimensions is sequence<double, 3>, but the fields give 4 numbers, expected at most 3'),
    ('std_msgs/msg/Float64MultiArray', '', [entry('gripper_rate', 'data[12]')],
     "found the path 'data[12]', expected names without brackets; for a number in an array, give "
     'path: data with indices: [12]'),
    ('geometry_msgs/msg/PoseArray', 'w', [entry('gripper_rate', 'poses[0].position.x')],
     'an array of messages cannot be commanded'),
    ('geometry_msgs/msg/TwistStamped', '\ud800', [], 'of zeros cannot be sent: UnicodeEncode'),
])
def test_bad_command(
        kind: str, frame: str, entries: list[CommandEntry], message: str) -> None:
    """Commands that would end nowhere, or leave something to chance, are refused."""
    topic = CommandTopic(
        'c', 'c', kind, frame, Stop.ZERO, tuple(entries), 'robot.yaml:7: commands.c')
    with pytest.raises(DescriptionError) as caught:
        CommandWriter(topic, cube_spec())
    assert message in str(caught.value)
    assert str(caught.value).startswith('robot.yaml:')


def test_several_fields_in_one_array() -> None:
    """A forward controller takes all numbers in one array, in its own order."""
    topic = CommandTopic('c', 'c', 'std_msgs/msg/Float64MultiArray', '', Stop.ZERO, (
        entry('gripper_rate', 'data', indices=(1,)),
        entry('effector_linear_velocity', 'data', indices=(3, 0, 2))), 'robot.yaml:7')
    message = CommandWriter(topic, cube_spec()).write(np.array([1.0, 2, 3, 4, 5]), 0)
    assert list(message.data) == [2, 5, 3, 1]


def test_arrays_of_limited_size() -> None:
    """An array that is filled, and one that is not longer than it may be."""
    for kind, path, action, size in (
            ('geometry_msgs/msg/AccelWithCovarianceStamped', 'accel.covariance', 'many', 36),
            ('shape_msgs/msg/SolidPrimitive', 'dimensions', 'few', 2)):
        low, high = (-1.0,) * size, (1.0,) * size
        field = ActionField(action, size, 'm/s', low, high, low, high)
        topic = CommandTopic(
            'c', 'c', kind, 'world' if 'Stamped' in kind else '', Stop.ZERO,
            (entry(action, path, indices=tuple(range(size))),), 'robot.yaml:7')
        numbers = np.arange(size, dtype=float)
        message = CommandWriter(topic, cube_spec(action=(field,))).write(numbers, 0)
        found = deserialize_message(serialize_message(message), type(message))
        np.testing.assert_array_equal(attrgetter(path)(found), numbers)


def test_finds_message_types_of_any_package() -> None:
    """Every installed message type can be used."""
    assert find_message_type('diagnostic_msgs/msg/DiagnosticStatus', '') is DiagnosticStatus


def spec_of(**fields: int) -> PolicySpec:
    """Describe a policy by the sizes of its action fields; its period is 0.05 s."""
    return cube_spec(action=tuple(
        ActionField(name, size, '', *((bound,) * size for bound in (-9.0, 9.0, -1.0, 1.0)))
        for name, size in fields.items()))


def to(action: str, path: str, **changes: Any) -> CommandEntry:
    """Make a command entry with more keys."""
    return replace(entry(action, path), **changes)


def topic_of(kind: str, *entries: CommandEntry, **changes: Any) -> CommandTopic:
    """Make a topic."""
    return replace(
        CommandTopic('c', 'c', kind, '', Stop.HOLD, entries, 'robot.yaml:7: commands.c'),
        **changes)


def sent(writer: CommandWriter, *arguments: Any) -> Any:
    """Write a message, and read it back as a robot does; it is sent as it is written."""
    written = deserialize_message(
        serialize_message(writer.write(*arguments)), writer.message_type)
    payload = writer.serialize(*arguments)
    content = payload if isinstance(payload, bytes) else serialize_message(payload)
    assert deserialize_message(content, writer.message_type) == written
    return written


ARM_AND_FINGER = (
    to('arm', 'points.positions', joints=('elbow', 'wrist'), scale=(2.0, 2.0)),
    to('finger', 'points.positions', joints=('finger',), offset=(0.5,)))


def test_a_trajectory_of_one_point() -> None:
    """The next command, by joint name, in the interface's unit, a control period ahead."""
    writer = CommandWriter(topic_of(TRAJECTORY, *ARM_AND_FINGER), spec_of(finger=1, arm=2))
    message = sent(writer, np.array([0.1, 1.0, 2.0]), 3_000_000_004, np.ones((4, 3)))
    assert message.joint_names == ['elbow', 'wrist', 'finger']
    assert message.header.stamp == Time(sec=3, nanosec=4)
    point, = message.points
    assert list(point.positions) == [2.0, 4.0, 0.6]
    assert list(point.velocities) == []
    assert point.time_from_start == Duration(sec=0, nanosec=50_000_000)


def test_a_trajectory_with_more_time() -> None:
    """Of a single point; the next one has none of it."""
    writer = CommandWriter(topic_of(TRAJECTORY, *ARM_AND_FINGER), spec_of(finger=1, arm=2))
    for lead, ms in ((0.3, 350), (0.0, 50)):
        point, = writer.write(np.zeros(3), 0, None, lead).points
        assert point.time_from_start == Duration(sec=0, nanosec=ms * 10**6)


@pytest.mark.parametrize(('given', 'tick', 'first'), [
    (None, 200, 200), (None, 10, 50), (0.03, 200, 30)])
def test_a_trajectory_at_another_rate(given: float | None, tick: int, first: int) -> None:
    """A step as far as the limits allow in a tick is not to be done in a part of it."""
    writer = CommandWriter(
        topic_of(TRAJECTORY, *ARM_AND_FINGER, trajectory=CHUNK, time_from_start=given),
        spec_of(finger=1, arm=2), tick * 10**6)
    message = sent(writer, np.zeros(3), 0, np.zeros((1, 3)))
    assert [point.time_from_start for point in message.points] == [
        Duration(sec=0, nanosec=ms * 10**6) for ms in (first, first + 50)]


@pytest.mark.parametrize(('rate', 'first'), [(5.0, 200), (100.0, 50)])
def test_the_trajectories_of_a_node_at_another_rate(
        tmp_path: Path, rate: float, first: int) -> None:
    """Its control loop has them made for its ticks."""
    loop, _ = moving(tmp_path, 0, rate=rate)
    point, = loop.writers[0].write(HERE, 0).points
    assert point.time_from_start == Duration(sec=0, nanosec=first * 10**6)


def test_a_trajectory_of_the_rest_of_the_chunk() -> None:
    """A point a period, with the velocities of the way and rest at its end; then fewer again."""
    writer = CommandWriter(
        topic_of(TRAJECTORY, *ARM_AND_FINGER, trajectory=CHUNK, time_from_start=1.2,
                 is_stamped=False), spec_of(finger=1, arm=2))
    ahead = np.array([[0.2, 1.1, 2.0], [0.3, 1.3, 2.0]])
    message = sent(writer, np.array([0.1, 1.0, 2.0]), 3_000_000_004, ahead)
    assert message.header.stamp == Time()
    np.testing.assert_allclose(
        [point.positions for point in message.points],
        [[2.0, 4.0, 0.6], [2.2, 4.0, 0.7], [2.6, 4.0, 0.8]])
    np.testing.assert_allclose(
        [point.velocities for point in message.points],
        [[4, 0, 2], [6, 0, 2], [0, 0, 0]], atol=1e-12)
    assert [point.time_from_start for point in message.points] == [
        Duration(sec=1, nanosec=nanoseconds * 10**6) for nanoseconds in (200, 250, 300)]
    for none in (None, ahead[:0]):
        point, = sent(writer, np.array([0.1, 1.0, 2.0]), 0, none).points
        assert list(point.velocities) == [0, 0, 0]


@pytest.mark.parametrize('trajectory', [POINT, CHUNK])
def test_a_trajectory_whose_velocities_are_commanded_too(trajectory: str) -> None:
    """Each number goes where the description says, and none is computed."""
    writer = CommandWriter(topic_of(
        TRAJECTORY, to('arm', 'points.positions', joints=('a', 'b')),
        to('speed', 'points.velocities', joints=('b', 'a')), trajectory=trajectory),
        spec_of(arm=2, speed=2))
    message = sent(writer, np.array([1.0, 2.0, 3.0, 4.0]), 0)
    [point] = message.points
    assert (message.joint_names, list(point.positions), list(point.velocities)) == (
        ['a', 'b'], [1, 2], [4, 3])


@pytest.mark.parametrize(('robot', 'policy'), [
    ('ur5e_cube', 'cube_single'), ('ur5e_cube', 'cube_play'), ('panda_lift', 'lift'),
    ('panda_joint', 'lift_joint')])
def test_shipped_robots_are_sent_bytes(robot: str, policy: str) -> None:
    """Preserialised bytes; the numbers of one command leave nothing behind for the next."""
    spec = read_spec(find_shared(policy, 'models', '.onnx'))
    commands = np.random.default_rng(0).normal(size=(20, spec.action_size))
    for topic in load_robot_description(find_shared(robot, 'config', '.yaml')).commands:
        writer = CommandWriter(topic, spec)
        for i, command in enumerate(commands):
            stamp = i * 1_234_567_891
            payload = writer.serialize(command, stamp)
            assert isinstance(payload, bytes)
            assert deserialize_message(payload, writer.message_type) == writer.write(
                command, stamp)


def test_joint_states_by_name() -> None:
    """Positions and velocities of the same joints, each in the order of the names."""
    writer = CommandWriter(topic_of(
        'sensor_msgs/msg/JointState', to('p', 'position', joints=('a', 'b')),
        to('v', 'velocity', joints=('b', 'a'))), spec_of(p=2, v=2))
    message = sent(writer, np.array([1.0, 2, 3, 4]), 0)
    assert message.name == ['a', 'b']
    assert (list(message.position), list(message.velocity)) == ([1, 2], [4, 3])


def test_a_pose_with_a_rotation() -> None:
    """A position, and a rotation that is always one."""
    writer = CommandWriter(topic_of(
        'geometry_msgs/msg/PoseStamped',
        to('place', 'pose.position', components=('x', 'y', 'z')),
        to('turn', 'pose.orientation', rotation='quaternion_wxyz'), frame_id='base'),
        spec_of(place=3, turn=4))
    message = sent(writer, np.array([1.0, 2, 3, 0, 0, 0, -4]), 0)
    place, turn = message.pose.position, message.pose.orientation
    assert (message.header.frame_id, place.x, place.y, place.z) == ('base', 1, 2, 3)
    assert (turn.x, turn.y, turn.z, turn.w) == (0, 0, -1, 0)
    with pytest.raises(ValueError, match='no direction'):
        writer.write(np.zeros(7), 0)


def test_integers_and_constants() -> None:
    """A gripper that takes a byte, in a message with a mode, a name and a force."""
    writer = CommandWriter(
        topic_of('std_msgs/msg/UInt8', to('grip', 'data', scale=(255.0,))), spec_of(grip=1))
    for value, expected in ((0.0, 0), (0.5, 128), (1.0, 255), (1.2, 255), (-0.1, 0)):
        assert sent(writer, np.array([value]), 0).data == expected
    writer = CommandWriter(topic_of(
        'sensor_msgs/msg/BatteryState', to('grip', 'voltage'), frame_id='hand',
        fixed={'location': 'left', 'current': 2, 'present': True, 'power_supply_health': 3}),
        spec_of(grip=1))
    message = sent(writer, np.array([0.5]), 0)
    assert (message.location, message.current, message.present, message.power_supply_health) == (
        'left', 2.0, True, 3)
    assert message.voltage == 0.5


@pytest.mark.parametrize(('topic', 'message'), [
    (topic_of(TRAJECTORY, to('p', 'positions', joints=('a', 'b'))),
     "found the path 'positions' and 2 joints, expected points.positions"),
    (topic_of(TRAJECTORY, to('p', 'points.positions', indices=(0, 1))), 'and no joints'),
    (topic_of(TRAJECTORY, to('p', 'points.position', joints=('a', 'b'))),
     "has no field 'position'; did you mean 'positions'?"),
    (topic_of('std_msgs/msg/Float64MultiArray', to('p', 'data', joints=('a', 'b'))),
     'has no list of joint names; use indices'),
    (topic_of('sensor_msgs/msg/JointState', to('p', 'position', joints=('a', 'b')),
              to('q', 'velocity', joints=('b',))), 'velocity[0] is given by no field'),
    (topic_of('geometry_msgs/msg/Pose', to('r', 'position', rotation='axis_angle')),
     "has no field 'w'"),
    (topic_of('std_msgs/msg/Float64', to('q', 'data'), is_stamped=False),
     "found the key 'stamp', which has no place in std_msgs/msg/Float64"),
    (topic_of('std_msgs/msg/Float64', to('q', 'data'), fixed={'data': 1.0}),
     'fixed: data is given by a field, too'),
    (topic_of('geometry_msgs/msg/PoseStamped', to('r', 'pose.orientation', rotation='axis_angle'),
              frame_id='base', fixed={'pose.orientation.w': 1.0}),
     'fixed: pose.orientation.w is given by a field, too'),
    (topic_of('geometry_msgs/msg/PointStamped', to('q', 'point.x'), frame_id='base',
              fixed={'header.frame_id': 'tool'}),
     'fixed: header.frame_id is given by frame_id, too'),
    (topic_of('geometry_msgs/msg/PointStamped', to('q', 'point.x'), frame_id='base',
              fixed={'header.stamp.sec': 1}), 'fixed: header.stamp.sec is given by stamp, too'),
    (topic_of('std_msgs/msg/Header', to('q', 'stamp.sec'), fixed={'frame_id': 4}),
     'fixed: found 4 for frame_id, which is string'),
    (topic_of('std_msgs/msg/Header', to('q', 'stamp.nanosec'), fixed={'stamp.sec': True}),
     'fixed: found True for stamp.sec, which is int32'),
    (topic_of('std_msgs/msg/Header', to('q', 'stamp.nanosec'), fixed={'stamp.sec': 2**31}),
     'fixed: found 2147483648 for stamp.sec'),
    (topic_of('std_msgs/msg/Header', to('q', 'stamp.sec'), fixed={'frame': 'a'}),
     "has no field 'frame'; did you mean 'frame_id'?"),
])
def test_more_that_cannot_be(topic: CommandTopic, message: str) -> None:
    """Joints, rotations and fixed values that have no place are refused."""
    with pytest.raises(DescriptionError) as caught:
        CommandWriter(topic, spec_of(p=2, q=1, r=3))
    assert message in str(caught.value)
    assert str(caught.value).startswith('robot.yaml:')
