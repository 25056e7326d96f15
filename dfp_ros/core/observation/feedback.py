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
"""Where the robot is, in the numbers of its commands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import ObservationError, Sample
from dfp_ros.spec import PolicySpec


class FeedbackReader:
    """
    Reads where the robot is.

    :param robot: The robot's description.
    :param spec: The policy's specification; they fit.
    """

    def __init__(self, robot: RobotDescription, spec: PolicySpec) -> None:
        """Look up what is measured, and where in a command it is."""
        self._unknown = np.full(spec.action_size, np.nan)
        self._builders = [
            (spec.action_slices[entry.action], ObservationBuilder([entry.measured]))
            for topic in robot.commands for entry in topic.entries if entry.measured is not None]

    @property
    def is_needed(self) -> bool:
        """Whether anything is measured."""
        return bool(self._builders)

    def read(self, samples: Mapping[str, Sample]) -> NDArray[np.float64]:
        """
        Read it.

        :param samples: The newest sample of each source; those that are missing are left out.
        :return: Shape (act_dim,), in the unit of the commands, NaN where it is unknown.
        """
        measured = self._unknown.copy()
        for place, builder in self._builders:
            try:
                # The newest samples are all that counts, whatever the time.
                measured[place] = builder.build(samples, 0)
            except (ObservationError, KeyError):
                # What is wrong with it, the observation says; here it is unknown.
                continue
        return measured
