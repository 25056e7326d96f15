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
    Compute observations of one robot, at one control tick after the other.

    :param entries: The observation's fields, in order.
    """

    def __init__(self, entries: Sequence[ObservationEntry]) -> None:
        """Lay out the vector."""
        self._entries = tuple(entries)
        self._fields = [ObservationField(entry) for entry in entries]
        self._places = _places([entry.width for entry in entries])
        self._has_history = any(entry.history > 1 for entry in entries)
        self._now = 0

    def reset(self) -> None:
        """Forget what was before: for where ticks were left out, or an episode begins."""
        for field in self._fields:
            field.reset()

    def build(self, samples: Mapping[str, Sample], now: int) -> NDArray[np.float32]:
        """
        Compute the observation of the next tick.

        After an error other than :class:`NotReadyError`, and where time went back, what was before
        is forgotten.

        :param samples: The sample of every source that this tick takes.
        :param now: Time of the tick in ns.
        :return: Shape (obs_dim,), float32, a new array; all of it finite.
        :raises NotFiniteError: Where a number is NaN or infinite.
        :raises NotReadyError: Where a derivative or a history needs more ticks.
        :raises ObservationError: Where a joint or an array element is not in the message, or a
            quaternion is no rotation.
        """
        if now < self._now:
            self.reset()
        self._now = now
        try:
            numbers, waiting = self._read(samples)
            # Huge numbers become infinite here, without a warning.
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
        """Read all numbers; give the names of fields that are not ready, too."""
        # In plain Python: for so few numbers, arrays take several times as long.
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
        """Put earlier ticks before this one; add the names of fields that lack some."""
        parts = []
        for field, place in zip(self._fields, self._places, strict=True):
            part: NDArray[np.float32] | None = current[place]
            if field.history is not None and field.entry.name not in waiting:
                part = field.history.add(current[place])
            if part is None:
                waiting.append(field.entry.name)
            else:
                parts.append(part)
        return np.concatenate(parts) if parts else current

    def _describe_not_finite(self, observation: NDArray[np.float32]) -> str:
        """Name the first number that is not finite."""
        first = int(np.flatnonzero(~np.isfinite(observation))[0])
        for entry, place in zip(self._entries, self._places, strict=True):
            if first < place.stop:
                return (
                    f'{entry.name}[{first - place.start}] is {observation[first]} '
                    f'({_origin(entry)})')
        raise AssertionError('every number belongs to a field')


def _places(widths: Sequence[int]) -> list[slice]:
    """Lay parts of a vector out one after the other."""
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _origin(entry: ObservationEntry) -> str:
    """Say where a field's numbers come from."""
    return ', '.join(
        f'source {reading.source!r}, {reading.path}' for reading in entry.readings) or 'a constant'
