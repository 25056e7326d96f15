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
"""Position feedback: the measured position, in the numbers of the commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.sample import Sample
from dfp_ros.spec import PolicySpec

# No robot is further away than an observation can say; numbers above it, and NaN, are no position.
_LARGEST = float(np.finfo(np.float32).max)


class FeedbackReader:
    """
    Reads the measured position, in double precision.

    :param robot: The robot's description.
    :param spec: The policy's specification; they fit.
    """

    def __init__(self, robot: RobotDescription, spec: PolicySpec) -> None:
        """Collect the feedback of each command field, and its slice of a command."""
        self._unknown = np.full(spec.action_size, np.nan)
        self._fields = [
            (spec.action_slices[entry.action], ObservationField(entry.measured))
            for topic in robot.commands for entry in topic.entries if entry.measured is not None]

    @property
    def is_needed(self) -> bool:
        """Whether anything is measured."""
        return bool(self._fields)

    def read(self, samples: Mapping[str, Sample]) -> NDArray[np.float64]:
        """
        Read it; only the newest samples count, regardless of the time.

        :param samples: The newest sample of each source, without missing ones.
        :return: Shape (act_dim,), in the unit of the commands, NaN if unknown.
        """
        measured = self._unknown.copy()
        for part, field in self._fields:
            numbers = read_feedback(field, samples)
            if numbers is not None:
                measured[part] = numbers
        return measured

    def ages(self, samples: Mapping[str, Sample], now: int) -> list[float]:
        """
        Measure how long ago it was measured, as far as is known.

        :param samples: As for :meth:`read`.
        :param now: Time in ns, on the clock of the samples.
        :return: In s, act_dim numbers; 0 if it is unknown, or from the future.
        """
        ages = [0.0] * len(self._unknown)
        for part, field in self._fields:
            times = [
                samples[reading.source].time for reading in field.entry.readings
                if reading.source in samples]
            if times:
                ages[part] = [max(0, now - min(times)) * 1e-9] * (part.stop - part.start)
        return ages


def read_feedback(
        field: ObservationField, samples: Mapping[str, Sample],
) -> Sequence[float] | NDArray[np.float64] | None:
    """
    Read one field of the feedback.

    :param field: The field.
    :param samples: As for :meth:`FeedbackReader.read`.
    :return: Its numbers; None if it is unknown.
    """
    try:
        numbers = field.read(samples)
    except (KeyError, TypeError, ValueError, OverflowError):
        # The observation reports the fault.
        field.reset()
        return None
    if numbers is None:
        return None
    if not all(abs(number) <= _LARGEST for number in numbers):
        field.reset()
        return None
    return numbers if field.history is None else field.history.add(np.array(numbers))
