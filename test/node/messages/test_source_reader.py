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
"""Source reader: real message types, and descriptions that do not fit them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from testing.fixtures.robot_samples import ARM, shipped_robot

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.messages.source_reader import SourceReader


def robot_with(source: str, kind: str = '', **changes: Any) -> RobotDescription:
    """Change the first entry of a source, and perhaps the source's type."""
    robot = shipped_robot()
    sources = dict(robot.sources)
    if kind:
        sources[source] = replace(sources[source], type=kind)
    entries = list(robot.observation)
    first = next(
        i for i, entry in enumerate(entries)
        if entry.reading is not None and entry.reading.source == source)
    entries[first] = replace(entries[first], reading=replace(entries[first].reading, **changes))
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
    names = list(reversed(ARM))
    message = JointState(name=names, position=[1.0] * 6, velocity=list(map(float, range(6))))
    message.header.stamp = Time(sec=1_700_000_000, nanosec=123_456_789)
    sample = SourceReader(robot.sources['arm'], robot).read(message, 5)
    assert sample.stamp == 1_700_000_000_123_456_789
    assert sample.received == 5
    assert sample.values['name'] == names
    np.testing.assert_array_equal(sample.values['velocity'], range(6))


def test_reads_a_single_field_without_header() -> None:
    """A message without a header has no stamp."""
    robot = robot_with(
        'effector', 'std_msgs/msg/Float64MultiArray', path='data', components=(),
        indices=(0, 1, 2))
    entries = [
        entry for entry in robot.observation
        if entry.reading.source != 'effector' or entry.reading.path == 'data']
    robot = replace(robot, observation=tuple(entries))
    sample = SourceReader(robot.sources['effector'], robot).read(
        Float64MultiArray(data=[1.0, 2.0, 3.0]), 7)
    assert sample.stamp is None
    assert sample.time == 7
    np.testing.assert_array_equal(sample.values['data'], [1, 2, 3])


def test_reads_the_frame_where_one_is_expected() -> None:
    """Only messages with a header have a frame."""
    robot = shipped_robot()
    message = JointState(position=[], velocity=[])
    message.header.frame_id = 'base'
    framed = replace(robot.sources['arm'], frame_id='world')
    assert SourceReader(framed, robot).read(message, 5).values['header.frame_id'] == 'base'
    assert 'header.frame_id' not in SourceReader(robot.sources['arm'], robot).read(
        message, 5).values
    other = robot_with(
        'effector', 'std_msgs/msg/Float64MultiArray', path='data', components=(), indices=(0,))
    other = replace(other, observation=tuple(
        entry for entry in other.observation
        if entry.reading.source != 'effector' or entry.reading.path == 'data'))
    with pytest.raises(DescriptionError, match='found frame_id, but std_msgs/msg/Float64Multi'):
        SourceReader(replace(other.sources['effector'], frame_id='world'), other)
