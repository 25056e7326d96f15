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
"""Sources and observation fields of a scaffolded description, from the published topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.tools.describe.scaffold_cameras import is_camera, name_camera, write_picture
from dfp_ros.tools.describe.scaffold_joints import by_unit, Joint
from dfp_ros.tools.describe.scaffold_text import flow, line, listing, pair, unique
from dfp_ros.tools.describe.survey import PublishedTopic

JOINT_STATE = 'sensor_msgs/msg/JointState'
MOST_JOINTS = 64
_LEAST_AGE, _PERIODS = 0.2, 5
_POINT, _PLANE = ['x', 'y', 'z'], ['x', 'y']


def _pose(path: str) -> tuple[tuple[str, str, str, dict[str, Any]], ...]:
    """Return the fields of a pose: position and rotation."""
    return (
        ('position', 'm', f'{path}position', {'components': _POINT}),
        ('rotation', '1', f'{path}orientation', {'transform': 'rotation_6d'}))


def _twist(path: str) -> tuple[tuple[str, str, str, dict[str, Any]], ...]:
    """Return the fields of a twist: linear and angular velocity."""
    return (
        ('velocity', 'm/s', f'{path}linear', {'components': _POINT}),
        ('turn_rate', 'rad/s', f'{path}angular', {'components': _POINT}))


# Fields read from a message type: suffix of the field's name, unit, path, and selection.
_FIELDS: Mapping[str, tuple[tuple[str, str, str, dict[str, Any]], ...]] = {
    'geometry_msgs/msg/Pose': _pose(''),
    'geometry_msgs/msg/PoseStamped': _pose('pose.'),
    'geometry_msgs/msg/PoseWithCovarianceStamped': _pose('pose.pose.'),
    'geometry_msgs/msg/Point': (('position', 'm', '', {}),),
    'geometry_msgs/msg/PointStamped': (('position', 'm', 'point', {'components': _POINT}),),
    'geometry_msgs/msg/TransformStamped': (
        ('position', 'm', 'transform.translation', {'components': _POINT}),
        ('rotation', '1', 'transform.rotation', {'transform': 'rotation_6d'})),
    'geometry_msgs/msg/Vector3Stamped': (('vector', MARK, 'vector', {'components': _POINT}),),
    'geometry_msgs/msg/Twist': _twist(''),
    'geometry_msgs/msg/TwistStamped': _twist('twist.'),
    'geometry_msgs/msg/WrenchStamped': (
        ('force', 'N', 'wrench.force', {'components': _POINT}),
        ('torque', 'N m', 'wrench.torque', {'components': _POINT})),
    'nav_msgs/msg/Odometry': (
        ('position', 'm', 'pose.pose.position', {'components': _PLANE}),
        ('heading', '1', 'pose.pose.orientation', {'transform': 'yaw_cosine_sine'}),
        ('velocity', 'm/s', 'twist.twist.linear', {'components': _PLANE}),
        ('turn_rate', 'rad/s', 'twist.twist.angular.z', {})),
    'sensor_msgs/msg/Imu': (
        ('turn_rate', 'rad/s', 'angular_velocity', {'components': _POINT}),
        ('acceleration', 'm/s^2', 'linear_acceleration', {'components': _POINT})),
    'sensor_msgs/msg/Range': (('range', 'm', 'range', {}),),
    **{f'std_msgs/msg/{kind}': (('value', MARK, 'data', {}),) for kind in (
        'Float32', 'Float64', 'Bool', 'Int8', 'Int16', 'Int32', 'Int64', 'UInt8', 'UInt16',
        'UInt32', 'UInt64')}}
_ARRAYS = ('std_msgs/msg/Float64MultiArray', 'std_msgs/msg/Float32MultiArray')


def name_sources(published: tuple[PublishedTopic, ...]) -> dict[str, PublishedTopic]:
    """Name each readable topic uniquely; of several with the same end, the shortest by it."""
    found = [topic for topic in published if can_be_read(topic)]
    names: dict[str, PublishedTopic] = {}
    for topic in sorted(found, key=lambda topic: (topic.topic.strip('/').count('/'), topic.topic)):
        last = name_camera(topic.topic) if is_camera(topic) else topic.topic.rpartition('/')[2]
        names[unique(last if last not in names else topic.topic, names)] = topic
    order = [id(topic) for topic in found]
    return dict(sorted(names.items(), key=lambda entry: order.index(id(entry[1]))))


def can_be_read(topic: PublishedTopic) -> bool:
    """Tell whether fields are known for a message type, or it has pictures."""
    return (
        topic.type in _FIELDS or topic.type in (*_ARRAYS, JOINT_STATE) or is_camera(topic))


def write_source(name: str, topic: PublishedTopic) -> list[str]:
    """Write one source."""
    lines = line(2, f'{flow(name)}:', f'published by {listing(topic.publishers)}')
    frame = getattr(getattr(topic.message, 'header', None), 'frame_id', '')
    lines += [*pair(4, 'topic', topic.topic), *pair(4, 'type', topic.type)]
    if is_camera(topic):
        lines += write_picture(topic)
    # Joint positions have no frame, and several drivers may set different ones.
    if frame and topic.type != JOINT_STATE:
        lines += pair(4, 'frame_id', frame, 'messages in another frame stop the robot')
    if topic.is_latched and topic.rate is None:
        return [
            *lines, *line(4, '# Latched (transient local): valid at any age.'),
            *pair(4, 'qos', {
                'reliability': 'reliable', 'durability': 'transient_local', 'depth': 1})]
    if topic.rate is None:
        came = 'received no message' if not topic.count else (
            'received one message' if topic.count == 1 else 'received one message of some joints')
        return [*lines, *pair(
            4, 'max_age', MARK, f's: {came}; above this age the robot is stopped')]
    age = max(_LEAST_AGE, float(f'{_PERIODS / topic.rate:.2g}'))
    what = 'its slowest joint' if len(topic.publishers) > 1 and topic.type == JOINT_STATE else 'it'
    return [*lines, *pair(
        4, 'max_age', age,
        f's: {what} comes at {topic.rate:.3g} Hz; above this age the robot stops')]


def name_fields(sources: Mapping[str, PublishedTopic]) -> dict[str, str]:
    """Find a begin of the names of the fields of each source, which no other source has."""
    begins: dict[str, str] = {}
    for name in sources:
        base = name.removesuffix('_states').removesuffix('_state').removesuffix('_pose')
        begins[name] = unique(base, begins.values())
    return begins


def write_fields(
        name: str, base: str, topic: PublishedTopic, joints: dict[str, Joint]) -> list[str]:
    """
    Write the observation fields of one source; a camera has none.

    :param name: Its name.
    :param base: Begin of the names of its fields.
    :param topic: Its topic.
    :param joints: Joints of the URDF.
    """
    if is_camera(topic):
        return []
    if topic.type == JOINT_STATE:
        return _joint_fields(base, name, topic, joints)
    if topic.type in _ARRAYS:
        size = len(topic.message.data) if topic.message is not None else 0
        return _field(f'{base}_values', MARK, name, 'data', {
            'indices': list(range(size)) if 0 < size <= MOST_JOINTS else MARK},
            'unit of its numbers')
    lines = []
    for end, unit, path, picks in _FIELDS[topic.type]:
        # A bare Point has no field for the whole point, so its members are read one by one.
        parts = [(f'{end}_{part}', part, {}) for part in _POINT] if not path else [
            (end, path, picks)]
        for word, where, pick in parts:
            lines += _field(
                f'{base}_{word}', unit, name, where, pick,
                'unit of its numbers' if unit == MARK else '')
    return lines


def read_names(topic: PublishedTopic) -> tuple[str, ...]:
    """Return the joints of a JointState, if it names them, with a position for each."""
    names = tuple(getattr(topic.message, 'name', ()))
    positions = getattr(topic.message, 'position', ())
    if len(names) != len(positions) or len(set(names)) < len(names) or '' in names:
        return ()
    return names if len(names) <= MOST_JOINTS else ()


def _joint_fields(
        base: str, source: str, topic: PublishedTopic, joints: dict[str, Joint]) -> list[str]:
    """Write the joint positions, with separate fields for rad and m."""
    names = read_names(topic)
    if not names:
        return _field(
            f'{base}_positions', MARK, source, 'position', {'joints': MARK},
            'rad or m; joints: names as in the messages')
    groups = by_unit(names, joints)
    lines = []
    for unit, places in groups:
        word = 'positions' if len(groups) == 1 else {'rad': 'angles', 'm': 'travels'}[unit]
        lines += _field(
            f'{base}_{word}', unit or MARK, source, 'position',
            {'joints': [names[i] for i in places]},
            '' if unit else 'rad for revolute, m for prismatic joints; two fields if mixed')
    return lines


def _field(
        name: str, unit: str, source: str, path: str, picks: Mapping[str, Any],
        comment: str = '') -> list[str]:
    """Write one observation field."""
    return [
        *line(2, f'- name: {flow(name)}'), *pair(4, 'unit', unit, comment),
        *pair(4, 'source', source), *pair(4, 'path', path),
        *(text for key, value in picks.items() for text in pair(4, key, value))]
