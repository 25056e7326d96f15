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
"""Messages in and out, and what is said about types and fields that do not exist."""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from policies import cube_spec
import pytest
from robot_samples import shipped_robot

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dfp_ros.robot_description import (
    CommandEntry,
    CommandTopic,
    DescriptionError,
    RobotDescription,
)
from dfp_ros.ros_io import CommandWriter, find_message_type, SourceReader
from dfp_ros.shared_files import find_shared, SharedFileError
from dfp_ros.spec import ActionField


def robot_with(source: str, kind: str = '', **changes: Any) -> RobotDescription:
    """Change the first entry of a source, and perhaps the source's type."""
    robot = shipped_robot()
    sources = dict(robot.sources)
    if kind:
        sources[source] = replace(sources[source], type=kind)
    entries = list(robot.observation)
    first = next(i for i, entry in enumerate(entries) if entry.source == source)
    entries[first] = replace(entries[first], **changes)
    return replace(robot, sources=sources, observation=tuple(entries))


@pytest.mark.parametrize(('source', 'kind', 'changes', 'message'), [
    ('arm', 'sensor_msgs/msg/JointStat', {},
     "message type 'sensor_msgs/msg/JointStat', which is not installed; did you mean "
     "'sensor_msgs/msg/JointState'?"),
    ('arm', 'sensor_msgs/JointState', {}, "did you mean 'sensor_msgs/msg/JointState'?"),
    ('arm', '', {'path': 'positon'},
     "sensor_msgs/msg/JointState has no field 'positon'; did you mean 'position'?"),
    ('effector', '', {'path': 'pose.positon'}, "has no field 'positon'; did you mean 'position'?"),
    ('effector', '', {'components': ('x', 'y', 'w')}, "geometry_msgs/Point has no field 'w'"),
    ('effector', '', {'path': 'pose.position.x', 'components': ('y',)},
     "double before 'y' has no fields"),
    ('effector', '', {'path': 'header.frame_id', 'components': ()},
     'header.frame_id is string, expected a number'),
    ('effector', '', {'components': ()}, 'is geometry_msgs/Point, expected a number'),
    ('arm', '', {'path': 'name'}, 'name is sequence<string>, expected an array of numbers'),
    ('effector', '', {'path': 'pose.position.x', 'components': (), 'indices': (0,)},
     'pose.position.x is double, expected an array'),
    ('arm', 'std_msgs/msg/Float64MultiArray', {'path': 'data'}, "no field 'name'"),
])
def test_bad_source(source: str, kind: str, changes: dict[str, Any], message: str) -> None:
    """Types and fields that do not exist are refused, with the place and the nearest that does."""
    robot = robot_with(source, kind, **changes)
    with pytest.raises(DescriptionError) as caught:
        SourceReader(robot.sources[source], robot)
    assert message in str(caught.value)
    assert 'ur5e_cube.yaml:' in str(caught.value)


def test_reads_stamp_and_values() -> None:
    """The stamp in ns to the last digit, and the fields that the description asks for."""
    robot = shipped_robot()
    message = JointState(name=['b', 'a'], position=[1.0, 2.0], velocity=[3.0, 4.0])
    message.header.stamp = Time(sec=1_700_000_000, nanosec=123_456_789)
    sample = SourceReader(robot.sources['arm'], robot).read(message, 5)
    assert sample.stamp == 1_700_000_000_123_456_789
    assert sample.received == 5
    assert sample.values['name'] == ['b', 'a']
    np.testing.assert_array_equal(sample.values['velocity'], [3, 4])


def test_reads_a_single_field_without_header() -> None:
    """A message without a header has no stamp."""
    robot = robot_with(
        'effector', 'std_msgs/msg/Float64MultiArray', path='data', components=(),
        indices=(0, 1, 2))
    entries = [
        entry for entry in robot.observation
        if entry.source != 'effector' or entry.path == 'data']
    robot = replace(robot, observation=tuple(entries))
    sample = SourceReader(robot.sources['effector'], robot).read(
        Float64MultiArray(data=[1.0, 2.0, 3.0]), 7)
    assert sample.stamp is None
    assert sample.time == 7
    np.testing.assert_array_equal(sample.values['data'], [1, 2, 3])


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
     'linear is geometry_msgs/Vector3, expected a floating-point number'),
    ('std_msgs/msg/Float64MultiArray', '', [entry('gripper_rate', 'data')],
     'data is sequence<double>, expected a floating-point number'),
    ('std_msgs/msg/Int32', '', [entry('gripper_rate', 'data')], 'data is int32'),
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
    topic = CommandTopic('c', 'c', kind, frame, 'zero', tuple(entries), 'robot.yaml:7: commands.c')
    with pytest.raises(DescriptionError) as caught:
        CommandWriter(topic, cube_spec())
    assert message in str(caught.value)
    assert str(caught.value).startswith('robot.yaml:')


def test_several_fields_in_one_array() -> None:
    """A forward controller takes all numbers in one array, in its own order."""
    topic = CommandTopic('c', 'c', 'std_msgs/msg/Float64MultiArray', '', 'zero', (
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
            'c', 'c', kind, 'world' if 'Stamped' in kind else '', 'zero',
            (entry(action, path, indices=tuple(range(size))),), 'robot.yaml:7')
        numbers = np.arange(size, dtype=float)
        message = CommandWriter(topic, cube_spec(action=(field,))).write(numbers, 0)
        found = deserialize_message(serialize_message(message), type(message))
        np.testing.assert_array_equal(attrgetter(path)(found), numbers)


def test_finds_message_types_of_any_package() -> None:
    """Whatever is installed can be named."""
    assert find_message_type('diagnostic_msgs/msg/DiagnosticStatus', '') is DiagnosticStatus


def test_finds_shared_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is a path; a bare name is looked up; for an unknown one, the choice is listed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'own.yaml').touch()
    assert find_shared('own.yaml', 'config', '.yaml') == Path('own.yaml')
    assert find_shared('./none.yaml', 'config', '.yaml') == Path('none.yaml')
    for name in ('ur5e_cube', 'ur5e_cube.yaml'):
        assert find_shared(name, 'config', '.yaml').name == 'ur5e_cube.yaml'
        assert find_shared(name, 'config', '.yaml').is_file()
    with pytest.raises(SharedFileError, match="did you mean 'ur5e_cube'"):
        find_shared('ur5_cube', 'config', '.yaml')


@pytest.mark.parametrize('name', [
    '~nosuchuser/x.onnx', 'x' * 300, f'/{"x" * 300}.onnx', 'x' * 252])
def test_what_cannot_be_a_path(name: str) -> None:
    """A home that does not exist, and names longer than any file system takes."""
    with pytest.raises(SharedFileError, match='cannot be the path of a file'):
        find_shared(name, 'models', '.onnx')
