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
"""
Velocity limiter: commands within bounds and acceleration, which stop before a position limit.

It handles one number at a time, like :mod:`dfp_ros.core.command.position_limiter`.
"""

from __future__ import annotations

import math

from dfp_ros.core.arrays import bounded, UNBOUNDED
from dfp_ros.core.command.braking import braking_speed

# Relative rounding error of sums of steps.
_ROUNDING = 1e-9


class VelocityLimiter:
    """
    Sends a requested velocity, or the nearest that is allowed.

    :param low: Smallest velocity, 0 or less.
    :param high: Largest velocity, 0 or more.
    :param acceleration: Largest acceleration.
    :param wall_low: Lower position limit.
    :param wall_high: Upper position limit.
    :param ramps: Whether it stops by a ramp; else by zero at once.
    :param tick: Time between two commands in s.
    """

    def __init__(
            self, low: float, high: float, acceleration: float, wall_low: float,
            wall_high: float, ramps: bool, tick: float) -> None:
        """Start at rest."""
        self._low = low
        self._high = high
        self._acceleration = acceleration
        self._wall_low = wall_low
        self._wall_high = wall_high
        self._has_wall = wall_low > -UNBOUNDED or wall_high < UNBOUNDED
        self._ramps = ramps
        self.tick = tick
        #: The last command.
        self.velocity = 0.0

    def start(self) -> None:
        """Start at rest."""
        self.velocity = 0.0

    @property
    def is_fast(self) -> bool:
        """Whether zero at once would be a harder stop than a ramp."""
        allowed = self._acceleration * self.tick
        return self._ramps and abs(self.velocity) > allowed * (1 + _ROUNDING)

    def transfer_from(self, other: VelocityLimiter) -> None:
        """Continue from the last command of another."""
        self.velocity = other.velocity

    def move(self, asked: float, position: float, share: float) -> float:
        """
        Compute the next velocity.

        :param asked: Requested velocity, finite.
        :param position: Measured position, NaN if unknown: towards a position limit at an unknown
            distance, it brakes.
        :param share: Fraction of the bounds that may be used, in (0, 1].
        """
        lowest, highest = self._low * share, self._high * share
        if self._has_wall:
            lowest = max(lowest, -self._to_wall(position - self._wall_low, -self.velocity))
            highest = min(highest, self._to_wall(self._wall_high - position, self.velocity))
        return self._send(bounded(asked, lowest, highest))

    def stop(self, ramp: bool) -> float:
        """
        Come to rest, and remain at rest.

        :param ramp: Slow down as the acceleration allows, even if its stop is zero at once.
        """
        slower = self._send(0.0)
        self.velocity = slower if self._ramps or ramp else 0.0
        return self.velocity

    def _to_wall(self, gap: float, velocity: float) -> float:
        """
        Compute the largest velocity towards a position limit.

        The feedback is from before the last command, whose motion is added.
        """
        if math.isnan(gap):
            return 0.0
        gap -= max(velocity, 0) * self.tick
        return braking_speed(max(gap, 0), self._acceleration, self.tick)

    def _send(self, velocity: float) -> float:
        """Change towards a velocity as far as the acceleration allows."""
        reach = self._acceleration * self.tick
        self.velocity = bounded(velocity, self.velocity - reach, self.velocity + reach)
        return self.velocity
