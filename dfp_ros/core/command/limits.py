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
"""Limits of commands: position, velocity, acceleration, and how each output is stopped."""

from __future__ import annotations

from dataclasses import dataclass
import math

from dfp_ros.core.arrays import Flags, UNBOUNDED, Vector
from dfp_ros.core.description.commands import Stop


@dataclass(frozen=True)
class Limits:
    """
    Limits of commands, one number for each of the action's, in SI units.

    A single number applies to all.

    :param low: Smallest command, shape (act_dim,).
    :param high: Largest command, shape (act_dim,).
    :param stop: How each output is stopped, act_dim of them.
    :param velocity: Largest velocity of positions, shape (act_dim,).
    :param acceleration: Largest acceleration, of velocities and of positions, shape (act_dim,).
    :param position_low: Lowest position that commands may lead to, shape (act_dim,).
    :param position_high: Highest position that commands may lead to, shape (act_dim,).
    :param start_margin: How far outside of these a measured position is no place to start from,
        shape (act_dim,).
    :param relative: Whether a position is relative to the measured one, shape (act_dim,).
    :param turn: Size of a full turn of a measured angle, which its reading may leave out, shape
        (act_dim,); infinite for any other number.
    :param turn_zero: What is measured at a reading of 0, if an offset calibrates it, shape
        (act_dim,).
    :param rotations: Slices of the numbers that are rotations, and their representations.
    """

    low: Vector
    high: Vector
    stop: tuple[Stop, ...] | Stop = Stop.ZERO
    velocity: Vector | float = UNBOUNDED
    acceleration: Vector | float = UNBOUNDED
    position_low: Vector | float = -UNBOUNDED
    position_high: Vector | float = UNBOUNDED
    start_margin: Vector | float = math.inf
    relative: Flags | bool = False
    rotations: tuple[tuple[slice, str], ...] = ()
    turn: Vector | float = math.inf
    turn_zero: Vector | float = 0.0
