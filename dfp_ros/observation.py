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
"""From named, stamped samples to the observation vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.observation_description import ObservationEntry
from dfp_ros.yaml_section import nearest

# How far a rotation may be from length 1. Drivers that publish float32 are within 1e-6; a message
# that nobody filled in is at 0.
_QUATERNION_TOLERANCE = 0.01


class ObservationError(ValueError):
    """The samples do not give an observation; the message names field and source."""


class NotFiniteError(ObservationError):
    """A number of the observation is NaN or infinite; the message names it."""


@dataclass(frozen=True)
class Sample:
    """
    The newest message of a source, as plain data.

    :param stamp: Header stamp in ns, None for a message without header.
    :param received: When it arrived, in ns of the same clock.
    :param values: Message fields by path: numbers, arrays of numbers, lists of names.
    """

    stamp: int | None
    received: int
    values: Mapping[str, Any]

    @property
    def time(self) -> int:
        """When it was measured, as far as is known, in ns."""
        return self.received if self.stamp is None else self.stamp


class ObservationBuilder:
    """
    Compute observations of one robot.

    :param entries: The observation's fields, in order.
    """

    def __init__(self, entries: Sequence[ObservationEntry]) -> None:
        """Lay out the vector."""
        self._layout: list[tuple[ObservationEntry, slice]] = []
        start = 0
        for entry in entries:
            self._layout.append((entry, slice(start, start + entry.size)))
            start += entry.size
        self._raw = np.zeros(start)
        self._offset = np.array([value for entry in entries for value in entry.offset])
        self._scale = np.array([value for entry in entries for value in entry.scale])
        # Joint order is looked up when a message comes with other names than the last one had.
        self._joint_order: dict[str, tuple[list[str], NDArray[np.intp]]] = {}

    def reset(self) -> None:
        """Forget what was before: call it where ticks were left out, or time began anew."""

    def build(self, samples: Mapping[str, Sample], now: int) -> NDArray[np.float32]:
        """
        Compute the observation.

        :param samples: The sample of every source that this tick takes.
        :param now: Time of the tick in ns.
        :return: Shape (obs_dim,), float32, a new array; all of it finite.
        :raises NotFiniteError: Where a number is NaN or infinite.
        :raises ObservationError: Where a joint or an array element is not in the message, or a
            quaternion is no rotation.
        """
        for entry, place in self._layout:
            self._raw[place] = self._read(entry, samples[entry.source].values)
        with np.errstate(over='ignore', invalid='ignore'):
            observation: NDArray[np.float32] = (
                (self._raw + self._offset) * self._scale).astype(np.float32)
        if not np.isfinite(observation).all():
            raise NotFiniteError(self._describe_not_finite(observation))
        return observation

    def _read(self, entry: ObservationEntry, values: Mapping[str, Any]) -> Sequence[float] | Any:
        """Take one field's numbers out of a sample, in the message's units."""
        if entry.components:
            numbers = [values[leaf] for leaf in entry.leaves]
            if entry.is_quaternion:
                _check_rotation(entry, numbers)
            return _yaw_cosine_sine(*numbers) if entry.transform else numbers
        value = values[entry.path]
        if entry.joints:
            return _take(entry, value, self._joint_indices(entry, values['name']))
        if entry.indices:
            return _take(entry, value, entry.indices)
        return value

    def _joint_indices(self, entry: ObservationEntry, names: list[str]) -> NDArray[np.intp]:
        """Find where a message has the joints of a field."""
        known = self._joint_order.get(entry.name)
        if known is not None and known[0] == names:
            return known[1]
        for joint in entry.joints:
            if joint not in names:
                raise ObservationError(
                    f'{entry.where}: joint {joint!r} is not in the messages of source '
                    f'{entry.source!r}; {nearest(joint, names)}')
        order = np.array([names.index(joint) for joint in entry.joints], np.intp)
        self._joint_order[entry.name] = (list(names), order)
        return order

    def _describe_not_finite(self, observation: NDArray[np.float32]) -> str:
        """Name the first number that is not finite."""
        first = int(np.flatnonzero(~np.isfinite(observation))[0])
        for entry, place in self._layout:
            if place.start <= first < place.stop:
                return (
                    f'{entry.name}[{first - place.start}] is {observation[first]} (source '
                    f'{entry.source!r}, {entry.path})')
        raise AssertionError('every number belongs to a field')


def _take(
        entry: ObservationEntry, array: Sequence[float],
        order: Sequence[int] | NDArray[np.intp]) -> Any:
    """Pick elements of a message's array."""
    if max(order) >= len(array):
        raise ObservationError(
            f'{entry.where}: {entry.path} of source {entry.source!r} has {len(array)} numbers, '
            f'expected at least {max(order) + 1}; this source does not publish them')
    return np.asarray(array)[np.asarray(order)]


def _check_rotation(entry: ObservationEntry, quaternion: Sequence[float]) -> None:
    """Refuse four numbers that are no rotation, such as a message that nobody filled in."""
    length = math.sqrt(sum(value * value for value in quaternion))
    if not math.isfinite(length):
        raise NotFiniteError(
            f'{entry.name}: {entry.path} of source {entry.source!r} is {list(quaternion)}')
    if abs(length - 1) > _QUATERNION_TOLERANCE:
        raise ObservationError(
            f'{entry.name}: {entry.path} of source {entry.source!r} is a quaternion of length '
            f'{length:.4g}, expected 1')


def _yaw_cosine_sine(w: float, x: float, y: float, z: float) -> tuple[float, float]:
    """Rotation about the vertical axis (Z-Y-X angles, REP-103), as a point on the unit circle."""
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return math.cos(yaw), math.sin(yaw)
