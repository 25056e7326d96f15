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
"""What a command may be at most, and what stops the robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_ros.safety import Reason
from dfp_ros.spec import PolicySpec

Vector = NDArray[np.float64]


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

    def command(self, action: NDArray[np.float32]) -> Vector:
        """
        Scale one action, or several.

        :param action: Shape (act_dim,) or (m, act_dim).
        :return: The same shape, float64, SI units.
        """
        return self.low + (action.astype(np.float64) + 1) / 2 * self._range


@dataclass(frozen=True)
class Limits:
    """
    What commands are kept within, one number for each of the action's, in SI units.

    :param low: Smallest command, shape (act_dim,).
    :param high: Largest command, shape (act_dim,).
    """

    low: Vector
    high: Vector


class CommandLimiter:
    """
    Keeps commands within limits, and stops.

    What it sends is finite and within the limits, whatever it is asked for.

    :param limits: The limits.
    """

    def __init__(self, limits: Limits, tick: int = 0) -> None:
        """Start before the first command."""
        self._limits = limits

    def reset(self) -> None:
        """Begin as new: what was sent before does not bind what is sent next."""

    def take_over(self, other: CommandLimiter) -> None:
        """Go on from what another limiter sent last."""

    def limit(
            self, asked: Vector, measured: Vector | None = None, speed: float = 1.0
    ) -> tuple[Vector | None, Reason]:
        """
        Bound one command.

        :param asked: Shape (act_dim,), SI units; it must be finite.
        :param measured: Where the robot is, shape (act_dim,), NaN where that is unknown.
        :param speed: Share of the speed that may be used, in (0, 1].
        :return: The command to send, and the reasons for a difference.
        """
        sent = np.clip(asked, self._limits.low * speed, self._limits.high * speed)
        # Rounding may put an action of 1 a last digit above the bound.
        slack = 1e-9 * (self._limits.high - self._limits.low)
        return sent, Reason.CLIPPED if (np.abs(asked - sent) > slack).any() else Reason.NONE

    def stop(self, measured: Vector | None = None, ramp: bool = False) -> Vector | None:
        """
        Stop, or go on stopping.

        :param measured: Where the robot is, shape (act_dim,), NaN where that is unknown.
        :param ramp: Slow velocities down, even where zero at once would stop them.
        :return: The command to send, shape (act_dim,).
        """
        return np.zeros_like(self._limits.low)

    def ahead(self, commands: Vector, measured: Vector | None, period: int) -> Vector:
        """
        See what would be sent if nothing else came; nothing changes by it.

        :param commands: What is asked for next, shape (m, act_dim), SI units.
        :param measured: Where the robot is, as for :meth:`limit`.
        :param period: Time between them in ns.
        :return: Shape (n, act_dim); n is less than m where a command is not finite.
        """
        return np.clip(commands, self._limits.low, self._limits.high)
