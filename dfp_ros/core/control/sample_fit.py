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
"""Which of several messages a decision was made from, by the observation that was recorded."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.pictures.picture import Picture


class SampleFit:
    """
    Tells messages of one source with the same stamp apart, as two publishers send them.

    :param robot: The robot description.
    :param source: Name of the source.
    """

    def __init__(self, robot: RobotDescription, source: str) -> None:
        """Find what of the observation comes from this source alone, and from one tick."""
        self._source = source
        self._images = [image.name for image in robot.images_of(source)]
        self._fields: list[tuple[ObservationField, slice]] = []
        end = 0
        for entry in robot.observation:
            end += entry.size
            if not entry.derivative and {each.source for each in entry.readings} == {source}:
                # Of a history, the newest tick.
                self._fields.append((ObservationField(entry), slice(end - entry.width, end)))

    def of(self, decision: RecordedDecision) -> Callable[[Sample], bool]:
        """Make the test whether a sample gives what a decision has of its source."""
        def fits(sample: Sample) -> bool:
            return self._has_numbers(sample, decision) and self._has_pictures(sample, decision)
        return fits

    def _has_numbers(self, sample: Sample, decision: RecordedDecision) -> bool:
        """Compare all numbers, in the precision of the observation."""
        observation = decision.observation
        if observation is None:
            return True
        for field, part in self._fields:
            try:
                found = field.read({self._source: sample})
            except (KeyError, TypeError, ValueError, OverflowError):
                return False
            if found is None or not np.array_equal(
                    np.frombuffer(array('f', found), np.float32), observation[part]):
                return False
        return True

    def _has_pictures(self, sample: Sample, decision: RecordedDecision) -> bool:
        """Compare all pictures, by their hashes."""
        for name in self._images:
            picture, expected = sample.values.get(name), decision.pictures.get(name)
            if expected is not None and (
                    not isinstance(picture, Picture) or picture.number != expected):
                return False
        return True
