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
"""Computation of the observation vector from stamped samples."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.description.observation import ObservationEntry
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.sample import NotFiniteError, NotReadyError, ObservationError, Sample

__all__ = ['NotFiniteError', 'NotReadyError', 'ObservationBuilder', 'ObservationError', 'Sample']


class ObservationBuilder:
    """
    Computes the observations of one robot, tick by tick.

    :param entries: The observation's fields, in order.
    """

    def __init__(self, entries: Sequence[ObservationEntry]) -> None:
        """Lay out the vector."""
        self._entries = tuple(entries)
        self._fields = [ObservationField(entry) for entry in entries]
        self._slices = _slices([entry.width for entry in entries])
        self._has_history = any(entry.history > 1 for entry in entries)
        self._now = 0

    def reset(self) -> None:
        """Clear histories and derivatives, after missed ticks or at the start of an episode."""
        for field in self._fields:
            field.reset()

    def build(self, samples: Mapping[str, Sample], now: int) -> NDArray[np.float32]:
        """
        Compute the observation of the next tick.

        Histories and derivatives are cleared after an error other than :class:`NotReadyError`, and
        after a step of time backwards.

        :param samples: The sample of each source for this tick.
        :param now: Time of the tick in ns.
        :return: Shape (obs_dim,), float32, a new array; all numbers are finite.
        :raises NotFiniteError: If a number is NaN or infinite.
        :raises NotReadyError: If a derivative or a history needs more ticks.
        :raises ObservationError: If a joint or an array element is not in the message, or a
            quaternion is not a rotation.
        """
        if now < self._now:
            self.reset()
        self._now = now
        try:
            numbers, waiting = self._read(samples)
            # Numbers beyond the range of float32 become infinite here, without a warning.
            packed = array('f', numbers)
            observation = np.frombuffer(packed, np.float32)
            if not all(map(math.isfinite, packed)):
                raise NotFiniteError(self._describe_not_finite(observation))
        except ObservationError:
            self.reset()
            raise
        if self._has_history:
            observation = self._with_history(observation, waiting)
        if waiting:
            raise NotReadyError(
                f'{waiting[0]} needs more ticks, or a newer message, for its derivative or its '
                'history')
        return observation

    def _read(self, samples: Mapping[str, Sample]) -> tuple[list[float], list[str]]:
        """Read all numbers, and the names of the fields that are not ready."""
        # Plain Python: for so few numbers, arrays take several times as long.
        numbers: list[float] = []
        waiting = []
        for field in self._fields:
            try:
                found = field.read(samples)
            except ObservationError:
                raise
            except (TypeError, ValueError, OverflowError) as error:
                entry = field.entry
                raise ObservationError(f'{entry.name}: {_origin(entry)}: {error}') from error
            if found is None:
                waiting.append(field.entry.name)
                found = [0.0] * field.entry.width
            numbers += found
        return numbers, waiting

    def _with_history(
            self, current: NDArray[np.float32], waiting: list[str]) -> NDArray[np.float32]:
        """Prepend earlier ticks; add the names of fields whose history is incomplete."""
        parts = []
        for field, part_slice in zip(self._fields, self._slices, strict=True):
            part: NDArray[np.float32] | None = current[part_slice]
            if field.history is not None and field.entry.name not in waiting:
                part = field.history.add(current[part_slice])
            if part is None:
                waiting.append(field.entry.name)
            else:
                parts.append(part)
        return np.concatenate(parts) if parts else current

    def _describe_not_finite(self, observation: NDArray[np.float32]) -> str:
        """Describe the first number that is not finite."""
        first = int(np.flatnonzero(~np.isfinite(observation))[0])
        for entry, part_slice in zip(self._entries, self._slices, strict=True):
            if first < part_slice.stop:
                return (
                    f'{entry.name}[{first - part_slice.start}] is {observation[first]} '
                    f'({_origin(entry)})')
        raise AssertionError('every number belongs to a field')


def _slices(widths: Sequence[int]) -> list[slice]:
    """Return consecutive slices of a vector."""
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _origin(entry: ObservationEntry) -> str:
    """Describe the origin of a field's numbers."""
    return ', '.join(
        f'source {reading.source!r}, {reading.path}' for reading in entry.readings) or 'a constant'
