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
"""From commands to messages: real message types, and descriptions that do not fit them."""

from operator import attrgetter

import numpy as np
from policies import cube_spec
import pytest
from robot_samples import shipped_robot

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message

from dfp_ros.command_description import CommandEntry, CommandTopic, Stop
from dfp_ros.command_writer import CommandWriter
from dfp_ros.message_types import find_message_type
from dfp_ros.spec import ActionField
from dfp_ros.yaml_section import DescriptionError


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
    """Whatever is installed can be named."""
    assert find_message_type('diagnostic_msgs/msg/DiagnosticStatus', '') is DiagnosticStatus
