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
"""Position commands that a robot can follow: within bounds, without jumps, able to stop."""

from __future__ import annotations

import numpy as np

from dfp_ros.braking import bounded, braking_speed, Vector

# Distances below this are rounding.
_ROUNDING = 1e-12


class PositionLimiter:
    """
    Follows the positions that it is asked for, as well as its limits allow.

    What it can reach at once it sends as it was asked. Else it goes as fast as it may, and slows
    down in time both for what it is asked for and for its bounds. All limits hold for
    what is sent, tick by tick; whether the robot follows is for its own controller to see.

    :param low: Lowest position, shape (n,).
    :param high: Highest position, shape (n,).
    :param velocity: Largest change a second, shape (n,).
    :param acceleration: Largest change of that a second, shape (n,).
    :param tick: Time between two commands in s.
    """

    def __init__(
            self, low: Vector, high: Vector, velocity: Vector, acceleration: Vector,
            tick: float) -> None:
        """Start before the first command."""
        self._low = low
        self._high = high
        self._velocity = velocity
        self._acceleration = acceleration
        self.tick = tick
        #: What was sent last, shape (n,), or None.
        self.position: Vector | None = None
        self._speed = np.zeros_like(low)
        self._asked = np.zeros_like(low)

    def start(self, position: Vector) -> None:
        """
        Begin at rest.

        :param position: Where the robot is, shape (n,), finite. Where that is out of bounds,
            commands lead back in at the speed that is allowed, and never further out.
        """
        self.position = position.copy()
        self._speed = np.zeros_like(position)
        self._asked = position.copy()

    def take_over(self, other: PositionLimiter) -> None:
        """Go on from what another has sent last."""
        self.position, self._speed, self._asked = other.position, other._speed, other._asked

    def move(self, asked: Vector, share: float) -> Vector:
        """
        Send the next position.

        :param asked: Where to, shape (n,), finite.
        :param share: Share of the largest velocity that may be used, in (0, 1].
        :return: Shape (n,).
        """
        asked = bounded(asked, self._low, self._high)
        fastest = self._velocity * share
        # What is asked for moves by itself: fall in with its speed, and close the distance to it
        # at a speed from which one can still fall in with it.
        drift = bounded((asked - self._asked) / self.tick, -fastest, fastest)
        distance = asked - drift * self.tick - self._start
        closing = np.sign(distance) * braking_speed(
            np.abs(distance), self._acceleration, self.tick)
        self._asked = asked
        return self._send(drift + closing, fastest, asked)

    def brake(self) -> Vector:
        """
        Come to rest as fast as the acceleration allows, and stay there.

        :return: Shape (n,).
        """
        sent = self._send(np.zeros_like(self._speed), self._velocity, None)
        self._asked = sent
        return sent

    def stay(self) -> None:
        """Take it that the robot comes to rest at what was sent last, by itself."""
        if self.position is not None:
            self.start(self.position)

    @property
    def _start(self) -> Vector:
        """Where the next command starts from."""
        assert self.position is not None, 'begin with start()'
        return self.position

    def _send(self, speed: Vector, fastest: Vector, asked: Vector | None) -> Vector:
        """Go on at a speed, or at the nearest that is allowed."""
        start = self._start
        low, high = np.minimum(self._low, start), np.maximum(self._high, start)
        lowest = -np.minimum(fastest, self._braking_speed(start - low))
        highest = np.minimum(fastest, self._braking_speed(high - start))
        reach = self._acceleration * self.tick
        # Acceleration comes last: from what was allowed before, braking is enough.
        speed = bounded(
            bounded(speed, lowest, highest), self._speed - reach, self._speed + reach)
        sent = bounded(start + speed * self.tick, low, high)
        if asked is not None:
            sent = np.where(
                np.abs(sent - asked) <= _ROUNDING * np.maximum(1, np.abs(asked)), asked, sent)
        self.position = sent
        self._speed = (sent - start) / self.tick
        return sent

    def _braking_speed(self, gap: Vector) -> Vector:
        """Find the largest speed from which one can stop within a distance."""
        return braking_speed(gap, self._acceleration, self.tick)
