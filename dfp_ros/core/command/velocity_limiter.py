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

from collections import deque
import copy
import math

from dfp_ros.core.arrays import bounded, UNBOUNDED
from dfp_ros.core.command.braking import braking_speed

# Relative rounding error of sums of steps.
_ROUNDING = 1e-9
# Commands that are remembered for feedback that is older than a tick.
_MOST = 1000


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

    :ivar has_wall: Whether there is a position limit.
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
        self.has_wall = wall_low > -UNBOUNDED or wall_high < UNBOUNDED
        self._ramps = ramps
        self.tick = tick
        #: The last command.
        self.velocity = 0.0
        # Those before it, with the lengths of their ticks, if there is a position limit.
        self._before: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def start(self) -> None:
        """Start at rest."""
        self.velocity = 0.0
        self._before.clear()

    def halt(self) -> float:
        """Come to rest at once."""
        return self._set(0.0)

    def copy(self) -> VelocityLimiter:
        """Make an independent limiter with the same state."""
        made = copy.copy(self)
        made._before = self._before.copy()
        return made

    @property
    def is_fast(self) -> bool:
        """Whether zero at once would be a harder stop than a ramp."""
        allowed = self._acceleration * self.tick
        return self._ramps and abs(self.velocity) > allowed * (1 + _ROUNDING)

    def transfer_from(self, other: VelocityLimiter) -> None:
        """Continue from the last command of another."""
        self.velocity, self._before = other.velocity, other._before.copy()

    def move(self, asked: float, position: float, share: float, age: float = 0.0) -> float:
        """
        Compute the next velocity.

        :param asked: Requested velocity, finite.
        :param position: Measured position, NaN if unknown: towards a position limit at an unknown
            distance, it brakes.
        :param share: Fraction of the bounds that may be used, in (0, 1].
        :param age: How long ago the position was measured in s; a tick or less counts as one.
        """
        lowest, highest = self._low * share, self._high * share
        if self.has_wall:
            moved = self._moved(age)
            lowest = max(lowest, -self._to_wall(position - self._wall_low, -moved))
            highest = min(highest, self._to_wall(self._wall_high - position, moved))
        return self._send(bounded(asked, lowest, highest))

    def stop(self, ramp: bool) -> float:
        """
        Come to rest, and remain at rest.

        :param ramp: Slow down as the acceleration allows, even if its stop is zero at once.
        """
        return self._send(0.0) if self._ramps or ramp else self.halt()

    def _moved(self, age: float) -> float:
        """Sum up the motion of the last command, and of those since the feedback."""
        moved, left = self.velocity * self.tick, age - self.tick
        for velocity, tick in reversed(self._before):
            if left <= _ROUNDING:
                break
            moved, left = moved + velocity * tick, left - tick
        return moved

    def _to_wall(self, gap: float, moved: float) -> float:
        """
        Compute the largest velocity towards a position limit.

        :param gap: Distance of the feedback from it.
        :param moved: Motion towards it since then.
        """
        if math.isnan(gap):
            return 0.0
        gap -= max(moved, 0)
        return braking_speed(max(gap, 0), self._acceleration, self.tick)

    def _send(self, velocity: float) -> float:
        """Change towards a velocity as far as the acceleration allows."""
        reach = self._acceleration * self.tick
        return self._set(bounded(velocity, self.velocity - reach, self.velocity + reach))

    def _set(self, velocity: float) -> float:
        """Note a command."""
        if self.has_wall:
            self._before.append((self.velocity, self.tick))
        self.velocity = velocity
        return velocity
