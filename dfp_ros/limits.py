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
"""What a command may be at most, how fast it may change, and what stops the robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_ros.braking import UNBOUNDED, Vector
from dfp_ros.command_description import Stop
from dfp_ros.setting import setting
from dfp_ros.spec import PolicySpec

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LimitSettings:
    """Settings of the limits; the limits themselves are the robot description's."""

    ramp_in: float = setting(
        0.0, 'Seconds after activation in which the speed that is allowed grows from nothing to '
        'the whole.', bounds=(0.0, 60.0))
    data_envelope: bool = setting(
        False, 'Keep commands within the smallest and largest of the data that the policy was '
        'trained with, where those are narrower than the other limits.')
    urdf_wait: float = setting(
        5.0, 'Seconds to wait for a URDF on robot_description, where the robot description takes '
        'limits from it. Used when the node is configured.', bounds=(0.0, 60.0))
    stop_within: float = setting(
        0.5, 'Seconds that the node may take, when it is deactivated, ended or reset, to slow a '
        'moving robot down within its acceleration before it sends the last command; nothing '
        'else happens meanwhile. 0 is for the last command at once.', bounds=(0.0, 1.0))


class ActionScale:
    """
    From actions in [-1, 1] to physical commands, as the policy file states them.

    :param spec: The policy's specification.
    """

    def __init__(self, spec: PolicySpec) -> None:
        """Put the ranges of all fields in a row."""
        self.low = np.array([value for member in spec.action for value in member.low])
        self.high = np.array([value for member in spec.action for value in member.high])
        self._range = self.high - self.low
        # As they are added to and multiplied with: each call of numpy costs a tick microseconds.
        self._one, self._half_range = np.ones_like(self.low), self._range / 2

    def command(self, action: NDArray[np.float32]) -> Vector:
        """
        Scale one action, or several.

        :param action: Shape (..., act_dim).
        :return: Shape (..., act_dim), float64, SI units.
        """
        return self.low + (action + self._one) * self._half_range

    def action(self, command: Vector) -> NDArray[np.float32]:
        """
        Find the action of a command; 0 where the range has no width.

        :param command: Shape (act_dim,), SI units.
        :return: Shape (act_dim,), float32.
        """
        width = np.where(self._range > 0, self._range, np.inf)
        action: NDArray[np.float32] = (
            2 * (command - self.low) / width - (self._range > 0)).astype(np.float32)
        return action


@dataclass(frozen=True)
class Limits:
    """
    What commands are kept within, one number for each of the action's, in SI units.

    A single number stands for all.

    :param low: Smallest command, shape (act_dim,).
    :param high: Largest command, shape (act_dim,).
    :param stop: What stops each, act_dim of them.
    :param velocity: Largest change a second of positions, shape (act_dim,).
    :param acceleration: Largest change a second of velocities, given or made by positions, shape
        (act_dim,).
    :param place_low: Lowest position that commands may lead to, shape (act_dim,).
    :param place_high: Highest position that commands may lead to, shape (act_dim,).
    :param relative: Where a position is given from where the robot is, shape (act_dim,).
    :param rotations: Which of the numbers are a rotation, and of what form.
    """

    low: Vector
    high: Vector
    stop: tuple[Stop, ...] | Stop = Stop.ZERO
    velocity: Vector | float = UNBOUNDED
    acceleration: Vector | float = UNBOUNDED
    place_low: Vector | float = -UNBOUNDED
    place_high: Vector | float = UNBOUNDED
    relative: Flags | bool = False
    rotations: tuple[tuple[slice, str], ...] = ()
