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
"""Commands to actions: the way back from what was sent to numbers in [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from dfp_ros.command_description import CommandTopic
from dfp_ros.robot_description import RobotDescription
from dfp_ros.spec import PolicySpec
from training.transitions import DataError


@dataclass(frozen=True)
class ActionScale:
    """
    What the numbers of an action mean.

    :param fields: Name, size and unit of each part, in order.
    :param low: Physical value at action -1, shape (act_dim,).
    :param high: Physical value at action +1, shape (act_dim,).
    """

    fields: tuple[tuple[str, int, str], ...]
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of_policy(cls, spec: PolicySpec) -> ActionScale:
        """Take it from a policy's specification."""
        return cls(
            tuple((field.name, field.size, field.unit) for field in spec.action),
            np.array([value for field in spec.action for value in field.low]),
            np.array([value for field in spec.action for value in field.high]))

    @classmethod
    def of_robot(cls, robot: RobotDescription) -> ActionScale:
        """
        Take it from the limits in a robot's description.

        :raises DataError: Where one is missing.
        """
        entries = [entry for topic in robot.commands for entry in topic.entries]
        for entry in entries:
            if not entry.limit:
                raise DataError(
                    f"{entry.where}: the key 'limit' is missing, which says what an action of 1 "
                    'commands; add it, or give --policy')
        high = np.array([value for entry in entries for value in entry.limit])
        return cls(tuple((entry.action, entry.size, entry.unit) for entry in entries), -high, high)

    def to_action(self, command: np.ndarray) -> np.ndarray:
        """
        Scale a command back.

        :param command: Shape (act_dim,), SI units.
        :return: Shape (act_dim,); within [-1, 1] where the command was within its bounds.
        """
        scaled: np.ndarray = (command - self.low) / (self.high - self.low) * 2 - 1
        return scaled

    def join(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """
        Put the parts of a command, by name, in order.

        :raises DataError: Where one is missing, or of another size.
        """
        for name, size, _ in self.fields:
            if name not in parts or len(parts[name]) != size:
                found = ', '.join(f'{name} ({len(values)})' for name, values in parts.items())
                raise DataError(
                    f'actions: found {found or "fields without names"}, expected {name} ({size}): '
                    'robot description or policy are not those of the recording')
        return np.concatenate([parts[name] for name, _, _ in self.fields])


def read_command(topic: CommandTopic, message: Any) -> dict[str, np.ndarray]:
    """
    Take the parts of a command out of the message that carries them.

    :return: By name of the action field, SI units.
    :raises DataError: Where the message has no such field or too few numbers.
    """
    parts = {}
    for entry in topic.entries:
        try:
            if entry.indices:
                array = attrgetter(entry.path)(message)
                numbers = [array[index] for index in entry.indices]
            else:
                leaves = [f'{entry.path}.{name}' for name in entry.components] or [entry.path]
                numbers = [attrgetter(leaf)(message) for leaf in leaves]
        except (AttributeError, IndexError) as error:
            raise DataError(
                f'{entry.where}: cannot be read from {topic.type} on {topic.topic}: {error}'
            ) from error
        parts[entry.action] = np.array(numbers, np.float64)
    return parts
