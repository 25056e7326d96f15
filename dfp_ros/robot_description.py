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
"""
What a robot publishes and takes, from its YAML file, as plain data.

The file names the topics that an observation is made of, what each of its fields is and how it is
scaled, and the topics that an action goes to. See ``config/ur5e_cube.yaml`` for every key. Which
message types and message fields exist is for :mod:`dfp_ros.ros_io` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import os
from types import MappingProxyType

from dfp_ros.spec import PolicySpec, require_equal_fields, SpecMismatch
from dfp_ros.yaml_section import DescriptionError, read_yaml, Section

__all__ = [
    'CommandEntry', 'CommandTopic', 'DescriptionError', 'load_robot_description',
    'ObservationEntry', 'require_fit', 'RobotDescription', 'Source']

YAW = 'yaw_cosine_sine'
ZERO = 'zero'
_QUATERNION = ('w', 'x', 'y', 'z')


@dataclass(frozen=True)
class Source:
    """
    A topic that observations come from.

    :param name: What the description calls it.
    :param topic: Topic name, relative unless it starts with a slash.
    :param type: Message type, for example ``sensor_msgs/msg/JointState``.
    :param max_age: Age in s above which the robot is stopped.
    :param where: File, line and key, for messages.
    """

    name: str
    topic: str
    type: str
    max_age: float
    where: str


@dataclass(frozen=True)
class ObservationEntry:
    """
    A field of the observation: ``(what the message has + offset) * scale``.

    :param name: The field's name, as in the policy's specification.
    :param unit: The field's unit after scaling, as in the policy's specification.
    :param source: Name of the source.
    :param path: Message field, dotted, for example ``pose.position``.
    :param components: Members of that message field in the order wanted, or empty.
    :param joints: Joint names in the order wanted, or empty.
    :param indices: Elements of that array in the order wanted, or empty.
    :param transform: Empty, or :data:`YAW` for (cos, sin) of a quaternion's yaw.
    :param offset: One a number, in the message's unit.
    :param scale: One a number.
    :param where: File, line and key, for messages.
    """

    name: str
    unit: str
    source: str
    path: str
    components: tuple[str, ...]
    joints: tuple[str, ...]
    indices: tuple[int, ...]
    transform: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    where: str

    @property
    def size(self) -> int:
        """How many numbers the field has."""
        return len(self.offset)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Message fields that are read, down to numbers, arrays and lists of names."""
        if self.components:
            return tuple(f'{self.path}.{component}' for component in self.components)
        return ('name', self.path) if self.joints else (self.path,)

    @property
    def is_quaternion(self) -> bool:
        """Whether what is read is a rotation, which must have length 1."""
        return sorted(self.components) == sorted(_QUATERNION)


@dataclass(frozen=True)
class CommandEntry:
    """
    Where a field of the action goes in a command message.

    :param action: The action field's name, as in the policy's specification.
    :param unit: Its unit, as in the policy's specification.
    :param path: Message field, dotted, for example ``twist.linear``.
    :param components: Members of that message field, one a number of the action, or empty.
    :param indices: Elements of that array, one a number of the action, or empty.
    :param where: File, line and key, for messages.
    :param limit: What an action of 1 commands, one a number; empty where the description leaves
        that to the policy. Recordings without a policy need it.
    """

    action: str
    unit: str
    path: str
    components: tuple[str, ...]
    indices: tuple[int, ...]
    where: str
    limit: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers of the action it takes."""
        return max(1, len(self.components), len(self.indices))


@dataclass(frozen=True)
class CommandTopic:
    """
    A topic that commands go to.

    :param name: What the description calls it.
    :param topic: Topic name, relative unless it starts with a slash.
    :param type: Message type, for example ``geometry_msgs/msg/TwistStamped``.
    :param frame_id: Frame of the command (REP-103), empty for a message without header.
    :param stop: What stops the robot there; :data:`ZERO` is for velocities.
    :param entries: What goes where in the message.
    :param where: File, line and key, for messages.
    """

    name: str
    topic: str
    type: str
    frame_id: str
    stop: str
    entries: tuple[CommandEntry, ...]
    where: str


@dataclass(frozen=True)
class RobotDescription:
    """
    A robot, as far as a policy is concerned.

    :param name: The robot's name.
    :param sources: Sources by name.
    :param observation: Fields of the observation, in order.
    :param commands: Command topics.
    """

    name: str
    sources: Mapping[str, Source]
    observation: tuple[ObservationEntry, ...]
    commands: tuple[CommandTopic, ...]


def load_robot_description(path: str | os.PathLike[str]) -> RobotDescription:
    """
    Read a robot description.

    :param path: YAML file.
    :raises DescriptionError: At the first thing that is wrong, with file, line, key and remedy.
    """
    top = read_yaml(path).mapping(('robot', 'sources', 'observation', 'commands'))
    sources = {
        name: _source(name, section) for name, section in top['sources'].entries().items()}
    observation = tuple(_observation(item, sources) for item in top['observation'].items())
    commands = tuple(_command(name, item) for name, item in top['commands'].entries().items())
    for section, names in (
            (top['observation'], [entry.name for entry in observation]),
            (top['commands'], [entry.action for topic in commands for entry in topic.entries])):
        for name in names:
            if names.count(name) > 1:
                raise section.error(f'found the field {name!r} twice')
    topics = [topic.topic for topic in commands]
    for name in topics:
        if topics.count(name) > 1:
            raise top['commands'].error(
                f'found the topic {name!r} twice; put all its fields under one entry')
    if not commands:
        raise top['commands'].error('found no command topic, expected at least one')
    return RobotDescription(
        top['robot'].text(), MappingProxyType(sources), observation, commands)


def require_fit(spec: PolicySpec, robot: RobotDescription) -> None:
    """
    Compare a policy with a robot: names, sizes, order and units of all fields.

    :raises SpecMismatch: At the first field that differs.
    """
    whose = f'robot {robot.name!r}'
    entries = [entry for topic in robot.commands for entry in topic.entries]
    # Action fields find their topic by name, so their order is the policy's.
    order = {member.name: i for i, member in enumerate(spec.action)}
    entries.sort(key=lambda entry: order.get(entry.action, len(order)))
    require_equal_fields(
        spec, [(entry.name, entry.size) for entry in robot.observation],
        [(entry.action, entry.size) for entry in entries], whose)
    units = [member.unit for member in spec.observation]
    units += [member.unit for member in spec.action]
    places = [(entry.name, entry.unit, entry.where) for entry in robot.observation]
    places += [(entry.action, entry.unit, entry.where) for entry in entries]
    for trained, (name, unit, where) in zip(units, places, strict=True):
        if trained != unit:
            raise SpecMismatch(
                f'{where}: {name} is in {unit!r}, policy {spec.name!r} was trained with '
                f'{trained!r}; change scale and unit together')


def _source(name: str, section: Section) -> Source:
    """Read one source."""
    keys = section.mapping(('topic', 'type', 'max_age'))
    return Source(
        name, keys['topic'].text(), keys['type'].text(), keys['max_age'].positive(),
        section.where)


def _observation(section: Section, sources: Mapping[str, Source]) -> ObservationEntry:
    """Read one field of the observation."""
    keys = section.mapping(
        ('name', 'unit', 'source', 'path'),
        ('components', 'joints', 'indices', 'transform', 'offset', 'scale'))
    _at_most_one(section, keys, ('components', 'joints', 'indices', 'transform'))
    components = keys['components'].texts() if 'components' in keys else ()
    joints = keys['joints'].texts() if 'joints' in keys else ()
    indices = keys['indices'].indices() if 'indices' in keys else ()
    transform = keys['transform'].choice([YAW]) if 'transform' in keys else ''
    if transform:
        components = _QUATERNION
        size = 2
    else:
        size = max(1, len(components), len(joints), len(indices))
    offset = keys['offset'].numbers(size) if 'offset' in keys else (0.0,) * size
    scale = keys['scale'].numbers(size) if 'scale' in keys else (1.0,) * size
    return ObservationEntry(
        keys['name'].text(), keys['unit'].text(), keys['source'].choice(sources),
        keys['path'].text(), components, joints, indices, transform, offset, scale,
        section.where)


def _command(name: str, section: Section) -> CommandTopic:
    """Read one command topic."""
    keys = section.mapping(('topic', 'type', 'stop', 'fields'), ('frame_id',))
    entries = []
    for item in keys['fields'].items():
        field = item.mapping(('action', 'unit', 'path'), ('components', 'indices', 'limit'))
        _at_most_one(item, field, ('components', 'indices'))
        entry = CommandEntry(
            field['action'].text(), field['unit'].text(), field['path'].text(),
            field['components'].texts() if 'components' in field else (),
            field['indices'].indices() if 'indices' in field else (), item.where)
        if 'limit' in field:
            limit = field['limit'].numbers(entry.size)
            if min(limit) <= 0:
                raise field['limit'].error(f'found {min(limit)}, expected numbers above 0')
            entry = replace(entry, limit=limit)
        entries.append(entry)
    return CommandTopic(
        name, keys['topic'].text(), keys['type'].text(),
        keys['frame_id'].text() if 'frame_id' in keys else '', keys['stop'].choice([ZERO]),
        tuple(entries), section.where)


def _at_most_one(
        section: Section, keys: Mapping[str, Section], exclusive: tuple[str, ...]) -> None:
    """Refuse keys that contradict each other."""
    found = [key for key in exclusive if key in keys]
    if len(found) > 1:
        raise section.error(f'found {" and ".join(found)}, expected at most one of them')
