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
"""Conversion of recorded commands back to normalised actions in [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.description.commands import CommandEntry, CommandTopic, JOINT_NAMES, TRAJECTORY
from dfp_ros.core.description.field_path import path_fault
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.rotations import COMMAND_ENCODINGS
from dfp_ros.core.text.numbers import all_shown
from dfp_ros.core.text.printable import listed
from dfp_ros.spec import ActionField, PolicySpec
from training.data.transitions.transitions import DataError


class CommandError(ValueError):
    """A message contains no command that corresponds to an action; the text says why."""


@dataclass(frozen=True)
class ActionLayout:
    """
    Scale between normalised actions and physical commands.

    :param fields: Name, size and unit of each part, in order.
    :param scale: From actions to commands.
    """

    fields: tuple[tuple[str, int, str], ...]
    scale: ActionScale

    @classmethod
    def of_policy(cls, spec: PolicySpec) -> ActionLayout:
        """Take it from a policy's specification."""
        return cls(
            tuple((field.name, field.size, field.unit) for field in spec.action),
            ActionScale.of_policy(spec))

    @classmethod
    def of_robot(cls, robot: RobotDescription) -> ActionLayout:
        """
        Create it from a robot description: from ``limit``, or else from ``limits``.

        For ``limits``, a position has its range, which need not be symmetric, and a velocity its
        maximum speed.

        :raises DataError: If neither is given.
        """
        low: list[float] = []
        high: list[float] = []
        entries = [(topic, entry) for topic in robot.commands for entry in topic.entries]
        for topic, entry in entries:
            lowest, highest = _bounds(topic, entry)
            low += lowest
            high += highest
        return cls(
            tuple((entry.action, entry.size, entry.unit) for _, entry in entries),
            ActionScale(np.array(low), np.array(high)))

    def join(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """
        Concatenate the parts of a command, by name, in the order of the fields.

        :raises DataError: If a part is missing, or has another size.
        """
        for name, size, _ in self.fields:
            if name not in parts or len(parts[name]) != size:
                found = ', '.join(f'{name} ({len(values)})' for name, values in parts.items())
                raise DataError(
                    f'actions: found {found or "fields without names"}, expected {name} ({size}): '
                    'the robot description or the policy is not that of the recording')
        return np.concatenate([parts[name] for name, _, _ in self.fields])

    def fields_of(self, actions: np.ndarray) -> tuple[ActionField, ...]:
        """
        Describe actions.

        :param actions: Shape (size, act_dim), in [-1, 1].
        """
        found, start = [], 0
        for name, size, unit in self.fields:
            run = slice(start, start + size)
            found.append(ActionField(name, size, unit, *(
                tuple(float(value) for value in values) for values in (
                    self.scale.low[run], self.scale.high[run], actions[:, run].min(axis=0),
                    actions[:, run].max(axis=0)))))
            start += size
        return tuple(found)


def _bounds(
        topic: CommandTopic, entry: CommandEntry) -> tuple[Sequence[float], Sequence[float]]:
    """Physical values of actions of -1 and 1."""
    position, velocity = entry.limits.position, entry.limits.velocity
    if entry.limit:
        return [-value for value in entry.limit], entry.limit
    kind = topic.stop.kind
    if kind == 'position' and isinstance(position, tuple) and not entry.relative:
        return position
    if kind == 'velocity' and isinstance(velocity, tuple):
        return [-value for value in velocity], velocity
    key = 'limits.velocity' if kind == 'velocity' else 'limits.position, with low and high'
    instead = '' if kind == 'other' or entry.relative else f', or {key} in numbers,'
    raise DataError(
        f"{entry.where}: the key 'limit' is missing, the physical value of an action of 1 (and, "
        f'negated, of -1); add it{instead} or give --policy')


def read_command(topic: CommandTopic, message: Any) -> dict[str, np.ndarray]:
    """
    Extract the parts of a command from a message.

    For a trajectory, from its first point.

    :return: Values by name of the action field, SI units.
    :raises DataError: If this message type has no such field, or the action cannot be derived from
        it.
    :raises CommandError: If this message has no command, such as a trajectory without a point,
        which cancels the previous one, or only a part of it.
    """
    parts = {}
    for entry in topic.entries:
        if entry.relative:
            raise DataError(
                f'{entry.where}: {entry.action} is relative to the position of the robot, which '
                f'{topic.topic} does not contain; record ~/decision (publish_decisions: true)')
        try:
            numbers = np.array(_read_numbers(topic, entry, message), np.float64)
        except AttributeError as error:
            names = entry.components or ('xyzw' if entry.rotation else ())
            leaves = [f'{entry.path}.{name}' for name in names] or [entry.path]
            raise DataError(
                f'{entry.where}: cannot be read from {topic.type} on {topic.topic}: '
                f'{path_fault(message, leaves) or error}') from error
        except CommandError as error:
            raise CommandError(f'{topic.topic}: {error}') from error
        if not np.isfinite(numbers).all():
            raise CommandError(
                f'{topic.topic}: {entry.path}: found {all_shown(numbers)}, expected finite '
                'numbers')
        parts[entry.action] = (numbers - (entry.offset or 0)) / (entry.scale or 1)
    return parts


def _read_numbers(topic: CommandTopic, entry: CommandEntry, message: Any) -> Sequence[float]:
    """Extract the numbers of one field, in the message's units."""
    if entry.rotation:
        quaternion = attrgetter(entry.path)(message)
        w, x, y, z = (getattr(quaternion, name) for name in 'wxyz')
        return COMMAND_ENCODINGS[entry.rotation].encode((w, x, y, z))
    if entry.joints or entry.indices:
        return _read_elements(topic, entry, message)
    leaves = [f'{entry.path}.{name}' for name in entry.components] or [entry.path]
    return [attrgetter(leaf)(message) for leaf in leaves]


def _read_elements(topic: CommandTopic, entry: CommandEntry, message: Any) -> Sequence[float]:
    """Extract elements of an array, by joint or by index."""
    holder, path = message, entry.path
    if topic.type == TRAJECTORY:
        if not len(message.points):
            raise CommandError('found a trajectory without a point, which cancels the one before')
        holder, path = message.points[0], path.removeprefix('points.')
    array = attrgetter(path)(holder)
    if not entry.joints:
        if max(entry.indices) >= len(array):
            raise CommandError(
                f'{entry.path}: found {len(array)} numbers, expected at least '
                f'{max(entry.indices) + 1}')
        return [array[index] for index in entry.indices]
    names = list(getattr(message, JOINT_NAMES[topic.type]))
    for joint in entry.joints:
        if names.count(joint) != 1:
            raise CommandError(
                f'found {"no command for" if joint not in names else "two commands for"} joint '
                f'{joint!r}; there are {listed(names) or "none"}')
    if len(array) != len(names):
        raise CommandError(
            f'{entry.path}: found {len(array)} numbers, expected one for each of the {len(names)} '
            f'joints')
    return [array[names.index(joint)] for joint in entry.joints]
