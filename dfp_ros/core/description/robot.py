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
Robot description: sources, observation and commands of a robot, read from its YAML file.

The file names the topics of the observation, its fields and their scaling, and the command topics.
``config/ur5e_cube.yaml`` shows every key. :mod:`dfp_ros.node.messages.introspection` checks that
message types and message fields exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import os
from types import MappingProxyType

from dfp_ros.core.description.commands import CHUNK, CommandTopic, read_command
from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.description.images import ImageEntry, read_images
from dfp_ros.core.description.joint_layout import joint_layout, JointLayout
from dfp_ros.core.description.observation import ObservationEntry, read_observation
from dfp_ros.core.description.postures import Posture, read_postures
from dfp_ros.core.description.sources import read_source, require_own_cameras, Source
from dfp_ros.core.description.takeover import read_takeover, Takeover
from dfp_ros.core.description.urdf import JointLimits
from dfp_ros.core.description.yaml_section import DescriptionError, read_text, read_yaml
from dfp_ros.spec import PolicySpec, require_equal_fields, SpecMismatch

#: Largest size of an observation or an action.
MOST_NUMBERS = 10_000


@dataclass(frozen=True)
class RobotDescription:
    """
    Interface of a robot to a policy.

    :param name: The robot's name.
    :param sources: Sources by name.
    :param observation: Fields of the observation, in order.
    :param commands: Command topics.
    :param joints: Joint limits by name, from its URDF; None without one.
    :param sha256: Hash of its file, 64 hexadecimal digits; empty if it has none.
    :param takeover: How a person commands the robot; None if nobody can.
    :param postures: Postures by name.
    :param images: Pictures of the observation, in order.
    """

    name: str
    sources: Mapping[str, Source]
    observation: tuple[ObservationEntry, ...]
    commands: tuple[CommandTopic, ...]
    joints: Mapping[str, JointLimits] | None = None
    sha256: str = ''
    takeover: Takeover | None = None
    postures: Mapping[str, Posture] = field(default_factory=dict)
    images: tuple[ImageEntry, ...] = ()

    @property
    def every_source(self) -> Mapping[str, Source]:
        """Return all sources by name, those of a person's commands last."""
        if self.takeover is None:
            return self.sources
        return {**self.sources, **self.takeover.sources}

    @property
    def needs_urdf(self) -> bool:
        """Whether some limits are taken from the URDF."""
        return any(
            entry.limits.needs_urdf for topic in self.commands for entry in topic.entries)

    @property
    def wants_ahead(self) -> bool:
        """Whether some topic takes commands beyond the next one."""
        return any(topic.trajectory == CHUNK for topic in self.commands)

    def readings(self, source: str) -> list[FieldSelector]:
        """List all field selectors of a source: for observation, feedback and a person."""
        measured = [
            entry.measured for topic in self.commands for entry in topic.entries
            if entry.measured is not None]
        by_person = () if self.takeover is None else self.takeover.readings
        return [
            reading for reading in (
                *(each for entry in (*self.observation, *measured) for each in entry.readings),
                *by_person) if reading.source == source]

    def images_of(self, source: str) -> tuple[ImageEntry, ...]:
        """List the pictures that are made from a source."""
        return tuple(image for image in self.images if image.source == source)

    @property
    def layouts(self) -> dict[str, JointLayout]:
        """Joint layouts of the sources that are read by joints."""
        found = {name: joint_layout(self.readings(name)) for name in self.every_source}
        return {name: layout for name, layout in found.items() if layout is not None}


def count_slots(robot: RobotDescription) -> dict[str, int]:
    """Count the slots of each source that is read by joints."""
    return {name: len(layout.slots) for name, layout in robot.layouts.items()}


def load_robot_description(
        path: str | os.PathLike[str], content: bytes | None = None) -> RobotDescription:
    """
    Read a robot description.

    :param path: YAML file.
    :param content: Its content, if it has been read already.
    :raises DescriptionError: At the first error, with file, line, key and remedy.
    """
    if content is None:
        content = read_text(path)
    top = read_yaml(path, content).mapping(
        ('robot', 'sources', 'observation', 'commands'), ('images', 'takeover', 'postures'))
    sources = {
        name: read_source(name, section) for name, section in top['sources'].entries().items()}
    observation = tuple(read_observation(item, sources) for item in top['observation'].items())
    commands = tuple(
        read_command(name, item, sources)
        for name, item in top['commands'].entries().items())
    for section, names in (
            (top['observation'], [entry.name for entry in observation]),
            (top['commands'], [entry.action for topic in commands for entry in topic.entries])):
        for name in names:
            if names.count(name) > 1:
                raise section.error(f'found the field {name!r} twice')
    topics = [topic.topic for topic in commands]
    # Without a namespace, cmd and /cmd are one topic.
    taken: dict[str, str] = {}
    for name in topics:
        key = name.removeprefix('/')
        if key in taken:
            also = '' if taken[key] == name else f', once as {taken[key]!r}'
            raise top['commands'].error(
                f'found the topic {name!r} twice{also}; put all its fields under one entry')
        taken[key] = name
    for name, fields in (('observation', observation), ('commands', [
            entry for topic in commands for entry in topic.entries])):
        if sum(entry.size for entry in fields) > MOST_NUMBERS:
            raise top[name].error(
                f'found {sum(entry.size for entry in fields)} numbers, expected at most '
                f'{MOST_NUMBERS}')
    for source in sources.values():
        if source.topic in topics:
            raise top['sources'].entries()[source.name].error(
                f'found the topic {source.topic!r}, which a command goes to; a source has to be '
                'measured by the robot')
    require_own_cameras(sources.values())
    if not commands:
        raise top['commands'].error('found no command topic, expected at least one')
    robot = RobotDescription(
        top['robot'].text(), MappingProxyType(sources), observation, commands,
        sha256=hashlib.sha256(content).hexdigest(),
        takeover=read_takeover(
            top['takeover'], sources, commands) if 'takeover' in top else None,
        postures=read_postures(top['postures'], commands) if 'postures' in top else {},
        images=read_images(top['images'], sources) if 'images' in top else ())
    for source in robot.every_source.values():
        if source.picture is not None and (readings := robot.readings(source.name)):
            raise DescriptionError(
                f'{readings[0].where}: found the source {source.name!r}, which is a camera; its '
                'pictures are listed under images, and no number is read from its messages')
    return robot


def require_fit(spec: PolicySpec, robot: RobotDescription) -> None:
    """
    Require that a policy fits a robot: names, sizes, order and units of all fields and pictures.

    :raises SpecMismatch: At the first field that differs.
    """
    owner = f'robot {robot.name!r}'
    entries = [entry for topic in robot.commands for entry in topic.entries]
    # Action fields find their topic by name, so their order is the policy's. One that the policy
    # does not have is likely to be the one that the robot does not have, and stands in its place.
    order = {member.name: i for i, member in enumerate(spec.action)}
    free = iter([order[name] for name in order if all(each.action != name for each in entries)])
    for entry in entries:
        if entry.action not in order:
            order[entry.action] = next(free, len(spec.action))
    entries.sort(key=lambda entry: order[entry.action])
    require_equal_fields(
        spec, [(entry.name, entry.size) for entry in robot.observation],
        [(entry.action, entry.size) for entry in entries], owner,
        [image.field for image in robot.images])
    units = [member.unit for member in spec.observation]
    units += [member.unit for member in spec.action]
    fields = [(entry.name, entry.unit, entry.where) for entry in robot.observation]
    fields += [(entry.action, entry.unit, entry.where) for entry in entries]
    for trained, (name, unit, where) in zip(units, fields, strict=True):
        if trained != unit:
            raise SpecMismatch(
                f'{where}: {name} is in {unit!r}, policy {spec.name!r} was trained with '
                f'{trained!r}; change scale and unit together')
