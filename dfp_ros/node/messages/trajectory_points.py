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
"""Conversion of commands to the points of a joint trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectoryPoint

from dfp_ros.core.description.commands import CHUNK, CommandTopic
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.messages.field_setters import by_index, joint_names, make_setters, Setter

_POINT = 'trajectory_msgs/msg/JointTrajectoryPoint'
_PREFIX = 'points.'


class TrajectoryPoints:
    """
    Writes commands to points, a control period apart.

    A trajectory of several points has velocities, so that the robot does not stop at each: finite
    differences of the positions, and zero at the end, as trajectory controllers require. Without
    them, if the description says so, a controller interpolates the positions as it sees fit.

    :param topic: The topic.
    :param slices: Slice of each action field in a command.
    :param period: Control period of the policy in s.
    :param tick: Time between two commands in s. The robot has that long for the first point, which
        is as far away as its limits allow in it.
    :raises DescriptionError: If a field does not go to joints of a point.
    """

    def __init__(
            self, topic: CommandTopic, slices: Mapping[str, slice], period: float,
            tick: float = 0.0) -> None:
        """Make the first point, so that errors are raised now."""
        self._topic = topic
        self._slices = slices
        self._period = period
        self._names = joint_names(topic)
        self._entries = []
        for entry in topic.entries:
            if not entry.path.startswith(_PREFIX) or not entry.joints:
                raise DescriptionError(
                    f'{entry.where}: found the path {entry.path!r} and '
                    f'{len(entry.joints) or "no"} joints, expected points.positions (or '
                    'velocities, accelerations, effort) and joints')
            self._entries.append(replace(by_index(entry, self._names), path=entry.path[7:]))
        paths = {entry.path for entry in self._entries}
        # Velocities are computed from positions if no field commands them.
        self._adds_velocities = topic.has_velocities and topic.trajectory == CHUNK and (
            paths == {'positions'})
        self._first = topic.time_from_start or max(period, tick)
        self._points: list[tuple[JointTrajectoryPoint, list[Setter], list[Setter]]] = []
        self._add_point()

    def write(
            self, command: NDArray[np.float64], ahead: NDArray[np.float64] | None,
            lead: float = 0.0) -> list[Any]:
        """
        Fill in the points, which are the same objects each time.

        :param command: Shape (act_dim,), in the message's units.
        :param ahead: Commands after it, shape (m, act_dim), or None.
        :param lead: Additional time for a single point in s.
        """
        if self._topic.trajectory != CHUNK:
            _set_time(self._points[0][0], self._first + lead)
        commands = command[None]
        if ahead is not None and self._topic.trajectory == CHUNK:
            commands = np.concatenate([commands, ahead])
        while len(self._points) < len(commands):
            self._add_point()
        for (_, setters, _), numbers in zip(self._points, commands.tolist(), strict=False):
            for setter in setters:
                setter(numbers)
        if self._adds_velocities:
            velocities = self._velocities(commands)
            for (_, _, setters), numbers in zip(self._points, velocities, strict=False):
                for setter in setters:
                    setter(numbers)
        return [point for point, _, _ in self._points[:len(commands)]]

    def _add_point(self) -> None:
        """Append a point, with its time."""
        point = JointTrajectoryPoint()
        _set_time(point, self._first + len(self._points) * self._period)
        self._points.append((
            point, self._setters(point, ''),
            self._setters(point, 'velocities') if self._adds_velocities else []))

    def _setters(self, point: JointTrajectoryPoint, path: str) -> list[Setter]:
        """Compile the setters of a point, or of one of its arrays."""
        entries = [replace(entry, path=path or entry.path) for entry in self._entries]
        return make_setters(point, self._topic, entries, _POINT, self._slices)

    def _velocities(self, commands: NDArray[np.float64]) -> list[list[float]]:
        """Compute the velocity at each point, as the central difference of its neighbours."""
        velocities = np.zeros_like(commands)
        if len(commands) > 1:
            velocities[:-1] = np.gradient(commands, self._period, axis=0)[:-1]
        found: list[list[float]] = velocities.tolist()
        return found


def _set_time(point: JointTrajectoryPoint, seconds: float) -> None:
    """Set when a point is to be reached."""
    point.time_from_start.sec, point.time_from_start.nanosec = divmod(
        round(seconds * 1e9), 1_000_000_000)
