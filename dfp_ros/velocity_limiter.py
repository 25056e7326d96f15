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
"""Velocity commands within bounds, without jerks, and slow enough to stop before a wall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfp_ros.braking import bounded, braking_speed, UNBOUNDED, Vector


class VelocityLimiter:
    """
    Sends the velocities that it is asked for, or the nearest that are allowed.

    :param low: Smallest velocity, shape (n,), 0 or less.
    :param high: Largest velocity, shape (n,), 0 or more.
    :param acceleration: Largest change a second, shape (n,).
    :param wall_low: Lowest position that the robot may be driven to, shape (n,).
    :param wall_high: Highest position that the robot may be driven to, shape (n,).
    :param ramps: Whether it stops by slowing down, shape (n,); else by zero at once.
    :param tick: Time between two commands in s.
    """

    def __init__(
            self, low: Vector, high: Vector, acceleration: Vector, wall_low: Vector,
            wall_high: Vector, ramps: NDArray[np.bool_], tick: float) -> None:
        """Start at rest."""
        self._low = low
        self._high = high
        self._acceleration = acceleration
        self._wall_low = wall_low
        self._wall_high = wall_high
        self._has_wall = (wall_low > -UNBOUNDED) | (wall_high < UNBOUNDED)
        self._ramps = ramps
        self.tick = tick
        #: What was sent last, shape (n,).
        self.velocity = np.zeros_like(low)

    def start(self) -> None:
        """Begin at rest."""
        self.velocity = np.zeros_like(self._low)

    def take_over(self, other: VelocityLimiter) -> None:
        """Go on from what another has sent last."""
        self.velocity = other.velocity

    def move(self, asked: Vector, position: Vector, share: float) -> Vector:
        """
        Send the next velocity.

        :param asked: Shape (n,), finite.
        :param position: Where the robot is, shape (n,), NaN where that is not known: towards a
            wall at an unknown distance, it brakes.
        :param share: Share of the bounds that may be used, in (0, 1].
        :return: Shape (n,).
        """
        lowest, highest = self._low * share, self._high * share
        if self._has_wall.any():
            position = np.where(self._has_wall, position, 0)
            lowest = np.maximum(lowest, -self._to_wall(position - self._wall_low, -self.velocity))
            highest = np.minimum(highest, self._to_wall(self._wall_high - position, self.velocity))
        return self._send(bounded(asked, lowest, highest))

    def stop(self, ramp: bool) -> Vector:
        """
        Come to rest, and stay at rest.

        :param ramp: Slow down as the acceleration allows, even where zero at once is right else.
        """
        slower = self._send(np.zeros_like(self.velocity))
        self.velocity = np.where(self._ramps | ramp, slower, 0)
        return self.velocity

    def _to_wall(self, gap: Vector, velocity: Vector) -> Vector:
        """
        Find the largest velocity towards a wall.

        The robot was seen a moment ago: what was sent last is on its way by now.
        """
        gap = np.nan_to_num(gap - np.maximum(velocity, 0) * self.tick, nan=0.0)
        return braking_speed(np.maximum(gap, 0), self._acceleration, self.tick)

    def _send(self, velocity: Vector) -> Vector:
        """Change to a velocity as far as the acceleration allows."""
        reach = self._acceleration * self.tick
        self.velocity = bounded(velocity, self.velocity - reach, self.velocity + reach)
        return self.velocity
