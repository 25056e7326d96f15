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
"""Postures of a robot description: named commands that a robot can be brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dfp_ros.core.description.commands import CommandEntry, CommandTopic
from dfp_ros.core.description.yaml_section import Section
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import listed, quoted


@dataclass(frozen=True)
class Posture:
    """
    A command for every output; velocities are zero.

    :param name: Its name.
    :param values: Numbers of each action field, in its unit.
    :param where: File, line and key, for messages.
    """

    name: str
    values: Mapping[str, tuple[float, ...]]
    where: str


def read_postures(
        section: Section, commands: Sequence[CommandTopic]) -> Mapping[str, Posture]:
    """
    Read the postures of a robot.

    :param section: Postures by name.
    :param commands: The command topics.
    :raises DescriptionError: At the first error.
    """
    return MappingProxyType({
        name: _read_posture(name, item, commands) for name, item in section.entries().items()})


def _read_posture(name: str, section: Section, commands: Sequence[CommandTopic]) -> Posture:
    """Read one posture, which has to leave no output open."""
    given = section.entries()
    outputs = [(topic, entry) for topic in commands for entry in topic.entries]
    for key, item in given.items():
        if key not in [entry.action for _, entry in outputs]:
            raise item.error(
                f'found {quoted(key)}, which is no action of commands; '
                + nearest(key, [entry.action for _, entry in outputs]))
    values: dict[str, tuple[float, ...]] = {}
    for topic, entry in outputs:
        is_velocity = topic.stop_of(entry).kind == 'velocity'
        if entry.relative:
            raise section.error(
                f'{entry.action} is relative to the measured position, so that no number of it is '
                'a place; have a policy file bring this robot to a posture')
        if entry.action not in given and not is_velocity:
            raise section.error(
                f'the output {entry.action!r} is missing; expected a value for each output that '
                'is no velocity')
        numbers = (
            _read_numbers(given[entry.action], entry) if entry.action in given
            else (0.0,) * entry.size)
        if is_velocity and any(numbers):
            raise given[entry.action].error(
                f'found a velocity for {entry.action}, which would never end; expected 0, or '
                'leave it out')
        values[entry.action] = numbers
    return Posture(name, MappingProxyType(values), section.where)


def _read_numbers(section: Section, entry: CommandEntry) -> tuple[float, ...]:
    """Read the numbers of an output, as a list or by joint."""
    if not section.is_mapping:
        return section.numbers(entry.size)
    joints = entry.urdf_joints
    if not joints:
        raise section.error(
            f'found keys with values, but commands names no joints of {entry.action}; expected a '
            f'list of {entry.size} numbers')
    given = section.entries()
    for joint, item in given.items():
        if joint not in joints:
            raise item.error(f'found {quoted(joint)}; {nearest(joint, joints)}')
    if missing := [joint for joint in joints if joint not in given]:
        raise section.error(f'joints are missing: {listed(missing)}')
    return tuple(given[joint].number() for joint in joints)
