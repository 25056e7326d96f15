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
Velocity commands within bounds, without jerks, and slow enough to stop before a wall.

One number at a time, as :mod:`dfp_ros.core.command.position_limiter`.
"""

from __future__ import annotations

import math

from dfp_ros.core.arrays import bounded, UNBOUNDED
from dfp_ros.core.command.braking import braking_speed

# What sums of steps may be off by, as a share.
_ROUNDING = 1e-9


class VelocityLimiter:
    """
    Sends the velocity that it is asked for, or the nearest that is allowed.

    :param low: Smallest velocity, 0 or less.
    :param high: Largest velocity, 0 or more.
    :param acceleration: Largest change a second.
    :param wall_low: Lowest position that the robot may be driven to.
    :param wall_high: Highest position that the robot may be driven to.
    :param ramps: Whether it stops by slowing down; else by zero at once.
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
        #: What was sent last.
        self.velocity = 0.0

    def start(self) -> None:
        """Begin at rest."""
        self.velocity = 0.0

    @property
    def is_fast(self) -> bool:
        """Return whether zero at once would be harder than a stop that slows down may be."""
        allowed = self._acceleration * self.tick
        return self._ramps and abs(self.velocity) > allowed * (1 + _ROUNDING)

    def transfer_from(self, other: VelocityLimiter) -> None:
        """Go on from what another has sent last."""
        self.velocity = other.velocity

    def move(self, asked: float, position: float, share: float) -> float:
        """
        Send the next velocity.

        :param asked: Finite.
        :param position: Where the robot is, NaN where that is not known: towards a wall at an
            unknown distance, it brakes.
        :param share: Share of the bounds that may be used, in (0, 1].
        """
        lowest, highest = self._low * share, self._high * share
        if self._has_wall:
            lowest = max(lowest, -self._to_wall(position - self._wall_low, -self.velocity))
            highest = min(highest, self._to_wall(self._wall_high - position, self.velocity))
        return self._send(bounded(asked, lowest, highest))

    def stop(self, ramp: bool) -> float:
        """
        Come to rest, and stay at rest.

        :param ramp: Slow down as the acceleration allows, even where zero at once is right else.
        """
        slower = self._send(0.0)
        self.velocity = slower if self._ramps or ramp else 0.0
        return self.velocity

    def _to_wall(self, gap: float, velocity: float) -> float:
        """
        Find the largest velocity towards a wall.

        The robot was seen a moment ago: what was sent last is on its way by now.
        """
        if math.isnan(gap):
            return 0.0
        gap -= max(velocity, 0) * self.tick
        return braking_speed(max(gap, 0), self._acceleration, self.tick)

    def _send(self, velocity: float) -> float:
        """Change to a velocity as far as the acceleration allows."""
        reach = self._acceleration * self.tick
        self.velocity = bounded(velocity, self.velocity - reach, self.velocity + reach)
        return self.velocity
