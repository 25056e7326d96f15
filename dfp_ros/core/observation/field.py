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
"""Value of one field of the observation at a tick, in the units of the messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

from dfp_ros.core.arrays import bounded
from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.description.observation import FILL, ObservationEntry
from dfp_ros.core.frames import point_in_frame, rotation_in_frame
from dfp_ros.core.observation.field_extractor import FieldExtractor
from dfp_ros.core.observation.history import Derivative, History
from dfp_ros.core.observation.sample import NotFiniteError, ObservationError, Sample
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS
from dfp_ros.core.text.numbers import all_shown
from dfp_ros.core.units import read_unit

# Tolerance of the length of a quaternion. Drivers that publish float32 are within 1e-6; the
# quaternion of a message that was not filled in has length 0.
_QUATERNION_TOLERANCE = 0.01


class ObservationField:
    """
    Computes one field.

    :param entry: Its description.

    :ivar entry: Its description.
    :ivar history: Its values at the last ticks, None without a history.
    """

    def __init__(self, entry: ObservationEntry) -> None:
        """Look up everything that is constant."""
        self.entry = entry
        self._encode = (
            OBSERVATION_ENCODINGS[entry.transform].encode if entry.transform else None)
        frame = entry.frame
        self._reading = self._reader(entry.reading)
        self._minus = self._reader(entry.minus)
        self._orientation = self._reader(frame.orientation if frame else None)
        self._position = self._reader(frame.position if frame else None)
        fill = entry.at_start == FILL
        self.history = History(entry.history, fill) if entry.history > 1 else None
        self._derivative = Derivative(
            entry.width, _turns(entry), fill) if entry.derivative else None

    def reset(self) -> None:
        """Clear history and derivative."""
        for memory in (self.history, self._derivative):
            if memory is not None:
                memory.reset()

    def read(self, samples: Mapping[str, Sample]) -> list[float] | None:
        """
        Compute the field's numbers at a tick; very large ones may be infinite.

        :param samples: Samples by source.
        :return: Numbers in order, or None if they cannot be known yet.
        :raises ObservationError: If the samples do not have them.
        """
        entry, found = self.entry, self._find(samples)
        if found is None:
            return None
        numbers = [
            (number + offset) * scale
            for number, offset, scale in zip(found, entry.offset, entry.scale, strict=True)]
        if not entry.low:
            return numbers
        return [
            bounded(number, low, high)
            for number, low, high in zip(numbers, entry.low, entry.high, strict=True)]

    def _find(self, samples: Mapping[str, Sample]) -> Sequence[float] | None:
        """Compute the field's numbers without offset and scale; None as in :meth:`read`."""
        if self._reading is None:
            return (0.0,) * self.entry.width
        numbers = self._numbers(self._reading, samples)
        if self._orientation is not None:
            numbers = self._seen_from(self._orientation, samples, numbers)
        if self._encode is not None:
            numbers = self._encode(numbers)
        elif self.entry.order:
            numbers = [numbers[i] for i in self.entry.order]
        if self._minus is not None:
            numbers = [
                number - other for number, other in zip(
                    numbers, self._numbers(self._minus, samples), strict=True)]
        if self._derivative is not None:
            rate = self._derivative.rate(self._times(self._reading.reading, samples), numbers)
            return None if rate is None else rate.tolist()
        found: Sequence[float] = numbers
        return found

    def _reader(self, reading: FieldSelector | None) -> FieldExtractor | None:
        """Make the extractor of a field selector."""
        return None if reading is None else FieldExtractor(reading, self.entry.name)

    def _numbers(self, reader: FieldExtractor, samples: Mapping[str, Sample]) -> Any:
        """Read numbers of one source."""
        reading = reader.reading
        sample = samples.get(reading.source)
        if sample is None:
            raise ObservationError(
                f'{self.entry.name}: there is no sample of source {reading.source!r}')
        if sample.problem:
            raise ObservationError(
                f'{self.entry.name}: source {reading.source!r}: {sample.problem}')
        numbers = reader.read(sample.values)
        if reader.is_quaternion:
            self._check_rotation(reading, numbers)
        return numbers

    @staticmethod
    def _times(reading: FieldSelector, samples: Mapping[str, Sample]) -> int | tuple[int, ...]:
        """Return the measurement times of the numbers; each joint may have its own."""
        sample = samples[reading.source]
        if sample.joints is None or not reading.joints:
            return sample.time
        index, joints = sample.joints.layout.index, sample.joints
        times = tuple(joints.time(index[reading.path, joint]) for joint in reading.joints)
        return times[0] if len({*times}) == 1 else times

    def _seen_from(
            self, orientation: FieldExtractor, samples: Mapping[str, Sample], numbers: Any) -> Any:
        """Transform a point or a rotation into its reference frame."""
        frame = self._numbers(orientation, samples)
        if self._position is None:
            return rotation_in_frame(numbers, frame)
        return point_in_frame(numbers, self._numbers(self._position, samples), frame)

    def _check_rotation(self, reading: FieldSelector, quaternion: Sequence[float]) -> None:
        """Refuse a quaternion that is not a rotation, as in a message that was not filled in."""
        w, x, y, z = quaternion
        length = math.sqrt(w * w + x * x + y * y + z * z)
        if not math.isfinite(length):
            raise NotFiniteError(
                f'{self.entry.name}: {reading.path} of source {reading.source!r} is '
                f'{all_shown(quaternion)}')
        if abs(length - 1) > _QUATERNION_TOLERANCE:
            raise ObservationError(
                f'{self.entry.name}: {reading.path} of source {reading.source!r} is a quaternion '
                f'of length {length:.4g}, expected 1')


def _turns(entry: ObservationEntry) -> list[float]:
    """Return the size of a full turn in each number before offset and scale; infinite for none."""
    unit = read_unit(entry.unit)
    if entry.transform:
        return [math.tau if OBSERVATION_ENCODINGS[entry.transform].is_angle else math.inf] * (
            entry.width)
    # The rate of a rate is no rate of an angle.
    return [unit.turn / abs(scale) if unit.is_rate else math.inf for scale in entry.scale]
