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
"""Command topics of a scaffolded description, from the subscribers on a robot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import re
from typing import Any

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.tools.describe.scaffold_joints import by_unit, Joint
from dfp_ros.tools.describe.scaffold_sources import JOINT_STATE, MOST_JOINTS, read_names
from dfp_ros.tools.describe.scaffold_text import flow, line, listing, pair, unique
from dfp_ros.tools.describe.survey import PublishedTopic, TakenTopic

TRAJECTORY, TWIST = 'trajectory_msgs/msg/JointTrajectory', 'geometry_msgs/msg/Twist'
_ARRAY = 'std_msgs/msg/Float64MultiArray'
_STOPS = {'position': 'hold', 'velocity': 'ramp'}
_UNITS = {'position': {'rad': 'rad', 'm': 'm'}, 'velocity': {'rad': 'rad/s', 'm': 'm/s'}}
# Units to ask for, if the interface is not one of these.
_ASKED = {'effort': 'N m or N', 'acceleration': 'rad/s^2 or m/s^2'}
_LARGEST = {
    'position': 'largest speed', 'velocity': 'largest speed', 'effort': 'largest effort'}
# Fields of a JointState beside the positions.
_FIELDS = ('velocity', 'effort')
_ACCELERATION = 'maximum change of speed per second'


def name_commands(taken: tuple[TakenTopic, ...]) -> dict[str, TakenTopic]:
    """Name each topic: after the controller, if the topic's name contains it."""
    names: dict[str, TakenTopic] = {}
    for topic in taken:
        first, _, rest = topic.topic.strip('/').partition('/')
        names[unique(first if rest else topic.topic, names)] = topic
    return names


def name_actions(names: Iterable[str]) -> dict[str, str]:
    """Find a begin of the names of the fields of each command, which no other command has."""
    begins: dict[str, str] = {}
    for name in names:
        action = 'base' if name == 'cmd_vel' else name.removesuffix('_controller') or name
        begins[name] = unique(action, begins.values())
    return begins


def write_command(
        name: str, action: str, topic: TakenTopic, sources: Mapping[str, PublishedTopic],
        joints: dict[str, Joint]) -> list[str]:
    """
    Write one command topic.

    :param name: Its name in the description.
    :param action: Begin of the names of its fields.
    :param topic: The topic.
    :param sources: Sources by name, one of which measures the position.
    :param joints: Joints of the URDF.
    """
    lines = line(2, f'{flow(name)}:', f'{listing(topic.subscribers)} listens')
    if topic.publishers:
        lines += line(4, (
            f'# {listing(topic.publishers)} publishes it now: end that before a policy does.'))
    lines += [*pair(4, 'topic', topic.topic), *pair(4, 'type', topic.type)]
    if topic.type.startswith(TWIST):
        return [*lines, *_twist(action, '' if topic.type == TWIST else 'twist.', topic.type)]
    if topic.type in (TRAJECTORY, _ARRAY, JOINT_STATE):
        return [*lines, *_joints(action, topic, sources, joints)]
    if topic.type.startswith('geometry_msgs/msg/Pose'):
        return [*lines, *_pose(action)]
    return [
        *lines, *_unknown_kind(), *line(4, 'fields:'), *pair(6, '- action', action),
        *pair(8, 'unit', MARK), *pair(8, 'path', 'data'),
        *pair(8, 'limit', MARK, 'command for an action of 1')]


def _unknown_kind() -> list[str]:
    """Leave the kind open, because the stop command depends on it."""
    return [
        *pair(4, 'kind', MARK, 'meaning of the numbers: position, velocity or other'),
        *pair(4, 'stop', MARK, 'position: hold; velocity: ramp or zero; other: keep')]


def _twist(name: str, path: str, kind: str) -> list[str]:
    """Write the linear and angular velocity of a base or a servo."""
    lines = pair(4, 'frame_id', MARK, 'frame of the velocities') if kind != TWIST else []
    lines += [*pair(4, 'kind', 'velocity'), *pair(4, 'stop', 'ramp'), *line(4, 'fields:')]
    for word, unit, member, wheels in (
            ('velocity', 'm/s', 'linear', '[x]'), ('turn_rate', 'rad/s', 'angular', '[z]')):
        lines += [
            *pair(6, '- action', f'{name}_{word}'), *pair(8, 'unit', unit),
            *pair(8, 'path', f'{path}{member}'), *pair(
                8, 'components', MARK,
                f'components of [x, y, z] that it takes; {wheels} for two driven wheels'),
            *_limits(None, None, MARK, f'largest speed, in {unit}')]
    return lines


def _pose(name: str) -> list[str]:
    """Write the target pose of a servo."""
    lines = [
        *pair(4, 'frame_id', MARK, 'frame of the pose'), *pair(4, 'kind', 'position'),
        *pair(4, 'stop', 'hold'), *line(4, 'fields:')]
    for word, unit, path, picks, measured in (
            ('position', 'm', 'pose.position', {'components': ['x', 'y', 'z']},
             {'components': ['x', 'y', 'z']}),
            ('rotation', '1', 'pose.orientation', {'rotation': 'rotation_6d'},
             {'transform': 'rotation_6d'})):
        lines += [
            *pair(6, '- action', f'{name}_{word}'), *pair(8, 'unit', unit), *pair(8, 'path', path),
            *(text for key, value in picks.items() for text in pair(8, key, value)),
            *pair(8, 'measured', {'source': MARK, 'path': path, **measured},
                  'source: measured pose in the same frame'),
            *pair(8, 'limit', MARK, 'command for an action of 1'), *line(8, 'limits:')]
        if word == 'position':
            lines += pair(10, 'position', {'low': MARK, 'high': MARK})
        lines += pair(10, 'velocity', MARK, 'maximum change per second')
    return lines


def _joints(
        name: str, topic: TakenTopic, sources: Mapping[str, PublishedTopic],
        joints: dict[str, Joint]) -> list[str]:
    """Write the fields of a joint controller."""
    is_array = topic.type == _ARRAY
    # A trajectory has positions, also for a controller that turns them into velocities or efforts.
    interface = 'position' if topic.type == TRAJECTORY else (
        topic.interface or _named_interface(topic.topic))
    path = {
        TRAJECTORY: 'points.positions', _ARRAY: 'data',
        JOINT_STATE: interface if interface in _FIELDS else 'position'}[topic.type]
    said_by = '' if topic.interface or topic.type == TRAJECTORY else "by the topic's name"
    lines = (
        [*pair(4, 'kind', interface, said_by), *pair(4, 'stop', _STOPS[interface])]
        if interface in _STOPS else _unknown_kind())
    lines += line(4, 'fields:')
    names = topic.joints if len(topic.joints) <= MOST_JOINTS else ()
    is_known = interface in _UNITS
    groups = by_unit(names, joints) if names else [('', ())]
    for unit, indices in groups:
        members = [names[i] for i in indices]
        word = {'rad': '_angles', 'm': '_travels'}[unit] if len(groups) > 1 else ''
        said = _UNITS[interface].get(unit) if is_known else None
        lines += [
            *pair(6, '- action', name + (word or '_targets')),
            *pair(8, 'unit', said or MARK, '' if said else _ASKED.get(
                interface, 'rad or m; velocities: rad/s or m/s; efforts: N m or N')),
            *pair(8, 'path', path)]
        if is_array:
            lines += pair(8, 'indices', list(indices) if names else MARK,
                          '' if names else 'indices of the elements, such as [0, 1, 2]')
        else:
            lines += pair(8, 'joints', members or MARK, '' if names else 'joints that it takes')
        if interface in ('position', ''):
            lines += pair(
                8, 'measured', {
                    'source': _source_of(members, sources), 'path': 'position',
                    'joints': members or MARK},
                '' if is_known else 'measured position; delete it for velocities and efforts')
        # What the numbers of the URDF limit is known only if the kind is.
        known = [joints.get(member, Joint()) for member in members] if is_known else []
        low, high = (_all([getattr(joint, side) for joint in known]) for side in ('low', 'high'))
        velocity = _all([joint.velocity for joint in known])
        lines += _limits(
            low, high, velocity or MARK,
            'from the URDF' if velocity else _LARGEST.get(
                interface, 'largest speed, or largest effort'),
            is_velocity=interface not in ('position', ''))
    return lines


def _named_interface(topic: str) -> str:
    """Find the one interface that a topic's name has as a word; empty if there is none."""
    words = re.split('[/_]', topic)
    named = [interface for interface in _STOPS if interface in words]
    others = [word for word in ('effort', 'acceleration') if word in words]
    return named[0] if len(named) == 1 and not others else ''


def _limits(
        low: list[float] | None, high: list[float] | None, velocity: Any, comment: str,
        is_velocity: bool = True) -> list[str]:
    """Write the limits of a field, which also define the command of an action of 1."""
    lines = line(8, 'limits:')
    if not is_velocity:
        is_given = low is not None and high is not None
        lines += pair(
            10, 'position', {
                'low': low if is_given else MARK, 'high': high if is_given else MARK},
            'from the URDF' if is_given else
            'position bounds; delete them for velocities and efforts')
    return [
        *lines, *pair(10, 'velocity', velocity, comment),
        *pair(10, 'acceleration', MARK, _ACCELERATION)]


def _source_of(members: Sequence[str], sources: Mapping[str, PublishedTopic]) -> str:
    """Find the source that has all of the joints."""
    states = {
        name: read_names(topic) for name, topic in sources.items() if topic.type == JOINT_STATE}
    if members:
        fitting = [name for name, names in states.items() if set(members) <= set(names)]
    else:
        fitting = list(states)
    return fitting[0] if len(fitting) == 1 else MARK


def _all(values: Sequence[float | None]) -> list[float] | None:
    """Return the numbers if none is missing."""
    found = [value for value in values if value is not None]
    return found if found and len(found) == len(values) else None
