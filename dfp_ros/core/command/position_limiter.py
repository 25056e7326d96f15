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
Position limiter: commands within position, velocity and acceleration limits.

It handles one number at a time, in plain Python: for the few numbers of a robot arm, arrays take
several times as long.
"""

from __future__ import annotations

import math

from dfp_ros.core.arrays import bounded
from dfp_ros.core.command.braking import braking_speed

# Distances below this are rounding.
_ROUNDING = 1e-12


class PositionLimiter:
    """
    Follows a requested position as closely as its limits allow.

    A position within reach of one tick is sent unchanged. Otherwise the command moves as fast as
    allowed, and slows down in time both for the requested position and for its bounds. All limits
    hold for the sent commands, tick by tick; tracking them is up to the robot's controller.

    :param low: Lowest position.
    :param high: Highest position.
    :param velocity: Largest velocity.
    :param acceleration: Largest acceleration.
    :param tick: Time between two commands in s.
    """

    def __init__(
            self, low: float, high: float, velocity: float, acceleration: float,
            tick: float) -> None:
        """Start before the first command."""
        self._low = low
        self._high = high
        self._velocity = velocity
        self._acceleration = acceleration
        self.tick = tick
        #: The last command, or None.
        self.position: float | None = None
        self._speed = 0.0
        self._asked = 0.0

    def start(self, position: float) -> None:
        """
        Start at rest.

        :param position: Measured position, finite. If it is out of bounds, commands lead back in
            at the allowed speed, and never further out.
        """
        self.position = self._asked = position
        self._speed = 0.0

    def transfer_from(self, other: PositionLimiter) -> None:
        """Continue from the last command of another."""
        self.position, self._speed, self._asked = other.position, other._speed, other._asked

    @property
    def motion(self) -> tuple[float, float]:
        """Return the speed of the last command, and the position that was requested."""
        return self._speed, self._asked

    def restate(self, position: float, speed: float, asked: float) -> None:
        """
        Go on from the last command in another form of the same rotation.

        :param position: The last command in that form.
        :param speed: Its speed.
        :param asked: The position that was requested.
        """
        self.position, self._speed, self._asked = position, speed, asked

    def move(self, asked: float, share: float) -> float:
        """
        Compute the next position.

        :param asked: Requested position, finite.
        :param share: Fraction of the largest velocity that may be used, in (0, 1].
        """
        asked = bounded(asked, self._low, self._high)
        start, fastest = self._start, self._velocity * share
        # The requested position moves: match its speed, and close the distance to it at a relative
        # speed from which that is still possible in time.
        drift = bounded((asked - self._asked) / self.tick, -fastest, fastest)
        distance = asked - drift * self.tick - start
        closing = math.copysign(
            braking_speed(abs(distance), self._acceleration, self.tick), distance)
        self._asked = asked
        sent = self._next(start, drift + closing, fastest)
        if abs(sent - asked) <= _ROUNDING * max(1, abs(asked)):
            sent = asked
        return self._send(start, sent)

    def brake(self) -> float:
        """Come to rest as fast as the acceleration allows, and hold that position."""
        start = self._start
        self._asked = self._send(start, self._next(start, 0.0, self._velocity))
        return self._asked

    def stay(self) -> None:
        """Assume that the robot comes to rest at the last command by itself."""
        if self.position is not None:
            self.start(self.position)

    @property
    def is_fast(self) -> bool:
        """Whether :meth:`stay` would be a harder stop than the acceleration allows."""
        too_far = (abs(self._speed) - self._acceleration * self.tick) * self.tick
        return too_far > _ROUNDING

    @property
    def _start(self) -> float:
        """Start of the next command."""
        assert self.position is not None, 'begin with start()'
        return self.position

    def _next(self, start: float, speed: float, fastest: float) -> float:
        """Compute the next position at a speed, or at the nearest that is allowed."""
        tick, acceleration = self.tick, self._acceleration
        low, high = min(self._low, start), max(self._high, start)
        lowest = -min(fastest, braking_speed(start - low, acceleration, tick))
        highest = min(fastest, braking_speed(high - start, acceleration, tick))
        reach = acceleration * tick
        # Acceleration is applied last: from any state that it allowed before, braking suffices.
        speed = bounded(
            bounded(speed, lowest, highest), self._speed - reach, self._speed + reach)
        return bounded(start + speed * tick, low, high)

    def _send(self, start: float, sent: float) -> float:
        """Record the sent position."""
        self._speed = (sent - start) / self.tick
        self.position = sent
        return sent
