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
"""Affine scale between normalised actions and commands in units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import Vector
from dfp_ros.spec import PolicySpec


class ActionScale:
    """
    From actions in [-1, 1] to physical commands, and back.

    :param low: Command at action -1, shape (act_dim,), SI units.
    :param high: Command at action +1, shape (act_dim,), SI units.
    """

    def __init__(self, low: Vector, high: Vector) -> None:
        """Compute the range once."""
        self.low, self.high = low, high
        self._range = self.high - self.low
        # Precomputed, as each call of NumPy takes microseconds of a tick.
        self._one, self._half_range = np.ones_like(self.low), self._range / 2

    @classmethod
    def of_policy(cls, spec: PolicySpec) -> ActionScale:
        """Take the ranges of all fields from a policy's specification, one after the other."""
        return cls(
            np.array([value for member in spec.action for value in member.low]),
            np.array([value for member in spec.action for value in member.high]))

    def command(self, action: NDArray[np.float32]) -> Vector:
        """
        Scale one action, or several.

        :param action: Shape (..., act_dim).
        :return: Shape (..., act_dim), float64, SI units.
        """
        scaled: Vector = self.low + (action + self._one) * self._half_range
        return scaled

    def action(self, command: Vector) -> Vector:
        """
        Find the action of a command; 0 if the range has no width.

        :param command: Shape (act_dim,), SI units.
        :return: Shape (act_dim,), float64; within [-1, 1] if the command was within its range.
        """
        has_width = self._range > 0
        width = np.where(has_width, self._range, np.inf)
        action: Vector = 2 * (command - self.low) / width - has_width
        return action
