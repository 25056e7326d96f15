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
"""Messages of every common type, over the wire and into an observation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import (
    Point,
    PointStamped,
    Pose,
    PoseArray,
    PoseStamped,
    Quaternion,
    TwistStamped,
    WrenchStamped,
)
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Imu, JointState, Joy, LaserScan, MultiDOFJointState, Range
from std_msgs.msg import Bool, Float32, Float32MultiArray, Float64, Float64MultiArray, Int16

from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import ObservationError
from dfp_ros.node.messages.introspection import field_type
from dfp_ros.node.messages.source_reader import SourceReader
from testing.fixtures.descriptions import described


def full_name(kind: Any) -> str:
    """Name a message type as descriptions do."""
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def with_values(message: Any, **values: Any) -> Any:
    """Set fields of a message by path, with ``__`` for a dot."""
    for path, value in values.items():
        *owners, name = path.split('__')
        part = message
        for owner in owners:
            part = getattr(part, owner)
        setattr(part, name, value)
    return message


POSES = [
    Pose(position=Point(x=float(i), y=0.5, z=-1.0), orientation=Quaternion(w=1.0))
    for i in range(4)]
TURNED = Quaternion(w=np.cos(0.3), z=np.sin(0.3))


@pytest.mark.parametrize(('message', 'keys', 'expected'), [
    (JointState(name=['a', 'b', 'c'], position=[1.0, 2.0, 3.0], effort=[4.0, 5.0, 6.0]),
     'path: effort, joints: [c, a]', [6, 4]),
    (with_values(Imu(), angular_velocity__y=2.0, angular_velocity__z=3.0),
     'path: angular_velocity, components: [z, y]', [3, 2]),
    (with_values(Imu(), orientation=TURNED), 'path: orientation, transform: yaw', [0.6]),
    (with_values(Imu(), orientation_covariance=np.arange(9.0)),
     'path: orientation_covariance, indices: [8, 4]', [8, 4]),
    (with_values(Imu(), orientation_covariance=np.arange(9.0)),
     'path: "orientation_covariance[4]"', [4]),
    (with_values(WrenchStamped(), wrench__force__x=1.0, wrench__force__z=-2.0),
     'path: wrench.force, components: [x, y, z]', [1, 0, -2]),
    (with_values(PoseStamped(), pose=POSES[2]), 'path: pose.position, components: [x, y]',
     [2, 0.5]),
    (with_values(PointStamped(), point__y=7.0), 'path: point.y', [7]),
    (with_values(TwistStamped(), twist__angular__z=0.5), 'path: twist.angular.z', [0.5]),
    (with_values(Odometry(), pose__pose=POSES[3], twist__twist__linear__x=0.25),
     'path: pose.pose.position, components: [x, y]', [3, 0.5]),
    (with_values(Odometry(), twist__twist__linear__x=0.25), 'path: twist.twist.linear.x', [0.25]),
    (with_values(Odometry(), pose__pose__orientation=TURNED),
     'path: pose.pose.orientation, transform: yaw_cosine_sine', [np.cos(0.6), np.sin(0.6)]),
    (Float64MultiArray(data=[1.0, 2.0, 3.0]), 'path: data, indices: [2, 0]', [3, 1]),
    (Float32MultiArray(data=[1.0, 2.0, 3.0]), 'path: "data[1]"', [2]),
    (Float64(data=0.125), 'path: data', [0.125]),
    (Float32(data=0.125), 'path: data', [0.125]),
    (Int16(data=-7), 'path: data', [-7]),
    (Bool(data=True), 'path: data', [1]),
    (Bool(data=False), 'path: data, offset: -0.5, scale: 2.0', [-1]),
    (Joy(axes=[0.5, -0.5], buttons=[0, 1, 1]), 'path: axes, indices: [1, 0]', [-0.5, 0.5]),
    (Joy(axes=[0.5], buttons=[0, 1, 1]), 'path: buttons, indices: [2, 0]', [1, 0]),
    (Range(range=0.75), 'path: range', [0.75]),
    (Range(range=np.inf), 'path: range, clip: [0, 4]', [4]),
    (LaserScan(ranges=[1.0, np.inf, 3.0]), 'path: ranges, indices: [0, 1], clip: [0, 8]', [1, 8]),
    (PoseArray(poses=POSES), 'path: "poses[2].position.x"', [2]),
    (PoseArray(poses=POSES), 'path: "poses[3].position", components: [z, x]', [-1, 3]),
    (MultiDOFJointState(joint_names=['a', 'b'], transforms=[]), 'path: "transforms[1].rotation.w"',
     'field: transforms\\[1\\].rotation.w is not in the message of source .it.'),
    (PoseArray(poses=POSES[:2]), 'path: "poses[2].position", components: [x]',
     'poses\\[2\\].position.x is not in the message'),
    (Float32MultiArray(data=[1.0]), 'path: data, indices: [1]', 'has 1 numbers, expected at'),
])
def test_reads(tmp_path: Path, message: Any, keys: str, expected: Any) -> None:
    """Numbers by field, index, component and joint; a message that is too short is no zero."""
    robot = described(tmp_path, full_name(type(message)), keys)
    reader = SourceReader(robot.sources['it'], robot)
    received = deserialize_message(serialize_message(message), reader.message_type)
    samples = {'it': reader.read(received, 5)}
    builder = ObservationBuilder(robot.observation)
    if isinstance(expected, str):
        with pytest.raises(ObservationError, match=expected):
            builder.build(samples, 5)
    else:
        np.testing.assert_allclose(builder.build(samples, 5), expected, atol=1e-6)


@pytest.mark.parametrize(('kind', 'keys', 'message'), [
    ('geometry_msgs/msg/PoseArray', 'path: poses', 'poses is sequence<geometry_msgs/Pose>'),
    ('geometry_msgs/msg/PoseArray', 'path: poses.position', 'has no fields'),
    ('geometry_msgs/msg/PoseArray', 'path: "poses[0].positon.x"', "did you mean 'position'?"),
    ('geometry_msgs/msg/PoseArray', 'path: "header[0].stamp"', 'std_msgs/Header before [0] is no'),
    ('sensor_msgs/msg/Imu', 'path: "orientation_covariance[9]"',
     'double[9] has no element 9; they are counted from 0'),
    ('diagnostic_msgs/msg/DiagnosticStatus', 'path: level', 'level is octet, expected a number'),
    ('sensor_msgs/msg/MultiDOFJointState', 'path: transforms, joints: [a]', "no field 'name'"),
    ('sensor_msgs/msg/JointState', 'path: position, joints: [a], names: velocity',
     'velocity is sequence<double>, expected a list of joint names'),
])
def test_paths_that_a_type_does_not_have(
        tmp_path: Path, kind: str, keys: str, message: str) -> None:
    """They are refused before a message comes, with file, line and key."""
    robot = described(tmp_path, kind, keys)
    with pytest.raises(DescriptionError) as caught:
        SourceReader(robot.sources['it'], robot)
    assert message in str(caught.value)
    assert 'robot.yaml:12: observation[0]: ' in str(caught.value)


def test_the_clock_that_counts(tmp_path: Path) -> None:
    """With `receive`, a stamp is not looked at; `header` needs one."""
    message = PointStamped()
    message.header.stamp.sec = 3
    kind = full_name(PointStamped)
    for time, stamp in (('both', 3_000_000_000), ('header', 3_000_000_000), ('receive', None)):
        robot = described(tmp_path, kind, 'path: point.x', f', time: {time}')
        assert SourceReader(robot.sources['it'], robot).read(message, 5).stamp == stamp
    robot = described(tmp_path, 'std_msgs/msg/Float64', 'path: data', ', time: header')
    with pytest.raises(DescriptionError, match=r'robot.yaml:4: sources.it: .* has no header'):
        SourceReader(robot.sources['it'], robot)


@pytest.mark.parametrize('path', ['__class__.x', 'a..b', '', 'x[-1]', '_x', 'x y'])
def test_what_is_no_path(path: str) -> None:
    """It is refused with its place in the description."""
    with pytest.raises(DescriptionError, match=r'^robot.yaml:7: commands.base: found '):
        field_type(Point, 'geometry_msgs/msg/Point', path, 'robot.yaml:7: commands.base')
