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
"""Extraction of the numbers that a field selector names from samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dfp_ros.core.description.field_selector import _FEW, FieldSelector
from dfp_ros.core.observation.sample import ObservationError
from dfp_ros.core.text.errors import nearest


class FieldExtractor:
    """
    Extracts the numbers of a field selector from samples.

    :param reading: The field selector.
    :param name: Name of the field, for messages.

    :ivar reading: The field selector.
    :ivar is_quaternion: Whether the numbers are a quaternion.
    """

    def __init__(self, reading: FieldSelector, name: str) -> None:
        """Start without a message."""
        self.reading = reading
        self.is_quaternion = reading.is_quaternion
        self._name = name
        self._leaves = reading.leaves
        # The joint order is looked up again if the names differ from those of the last message.
        self._joint_names: list[str] | None = None
        self._joint_order: tuple[int, ...] = ()

    def read(self, values: Mapping[str, Any]) -> list[float]:
        """
        Extract the numbers from a sample.

        :param values: The sample's values.
        :return: Numbers in the required order, in the message's units.
        :raises ObservationError: If the message lacks them, or does not say which they are.
        """
        reading = self.reading
        found: list[Any] = [values.get(leaf) for leaf in self._leaves]
        for value in found:
            if value is None:
                missing = next(leaf for leaf in self._leaves if values.get(leaf) is None)
                raise ObservationError(
                    f'{self._name}: {missing} is not in the message of source {reading.source!r}')
        if reading.components:
            return found
        if reading.joints:
            order = self._joint_indices(found[0])
            if len(found[1]) not in (0, len(found[0])):
                raise ObservationError(
                    f'{reading.where}: {reading.path} of source {reading.source!r} has '
                    f'{len(found[1])} numbers for {len(found[0])} names, expected as many')
            return self._take(found[1], order)
        return self._take(found[0], reading.indices) if reading.indices else [float(found[0])]

    def _joint_indices(self, names: list[str]) -> tuple[int, ...]:
        """Find the indices of the joints in a message."""
        if names != self._joint_names:
            for joint in self.reading.joints:
                if joint not in names:
                    # Of a long list, only the first names are searched, to bound the time.
                    raise ObservationError(
                        f'{self.reading.where}: joint {joint!r} is not in the messages of source '
                        f'{self.reading.source!r}; {nearest(joint, names[:_FEW])}')
                if names.count(joint) > 1:
                    raise ObservationError(
                        f'{self.reading.where}: a message of source {self.reading.source!r} '
                        f'names joint {joint!r} twice')
            self._joint_order = tuple(names.index(joint) for joint in self.reading.joints)
            self._joint_names = list(names)
        return self._joint_order

    def _take(self, array: Sequence[float], order: Sequence[int]) -> list[float]:
        """Pick elements of a message's array."""
        try:
            # Arrays of a fixed size are NumPy's, whose elements would keep their own type.
            return [float(array[i]) for i in order]
        except IndexError as error:
            reading = self.reading
            raise ObservationError(
                f'{reading.where}: {reading.path} of source {reading.source!r} has {len(array)} '
                f'numbers, expected at least {max(order) + 1}; this source does not publish them'
            ) from error
