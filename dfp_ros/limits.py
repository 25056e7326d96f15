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

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_ros.braking import bounded, UNBOUNDED, Vector
from dfp_ros.command_description import Stop
from dfp_ros.position_limiter import PositionLimiter
from dfp_ros.rotation import nearest_form
from dfp_ros.safety import Reason
from dfp_ros.setting import setting
from dfp_ros.spec import PolicySpec
from dfp_ros.velocity_limiter import VelocityLimiter

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
        Scale one action.

        :param action: Shape (act_dim,).
        :return: Shape (act_dim,), float64, SI units.
        """
        return self.low + (action.astype(np.float64) + 1) / 2 * self._range

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


class CommandLimiter:
    """
    Keeps commands within limits, and stops.

    Whatever it is asked for, what it sends is finite, within bounds, and no further from what it
    sent last than velocity and acceleration allow; only a stop by zero is sudden.
    Positions start from where the robot is.

    :param limits: The limits.
    :param tick: Time between two commands in ns.
    :param ramp_in: Time after a reset in which the speed that is allowed grows, in s.
    """

    def __init__(self, limits: Limits, tick: int, ramp_in: float = 0.0) -> None:
        """Start before the first command."""
        shape, seconds = limits.low.shape, tick * 1e-9
        stops = limits.stop if isinstance(limits.stop, tuple) else (limits.stop,) * shape[0]
        kinds = np.array([stop.kind for stop in stops])
        self._positions = np.flatnonzero(kinds == 'position')
        self._velocities = np.flatnonzero(kinds == 'velocity')
        self._low, self._high = limits.low, limits.high
        # Rounding may put an action of 1 a last digit above the bound.
        self._slack = 1e-9 * (limits.high - limits.low)
        self._rotations = limits.rotations
        self._relative = np.broadcast_to(limits.relative, shape)
        velocity, acceleration, place_low, place_high = (
            np.clip(np.broadcast_to(bound, shape), -UNBOUNDED, UNBOUNDED) for bound in (
                limits.velocity, limits.acceleration, limits.place_low, limits.place_high))
        where = self._positions
        self._position = PositionLimiter(
            place_low[where], place_high[where], velocity[where], acceleration[where], seconds)
        where = self._velocities
        ramps = np.array([stops[i] is Stop.RAMP for i in where], np.bool_)
        self._velocity = VelocityLimiter(
            limits.low[where], limits.high[where], acceleration[where], place_low[where],
            place_high[where], ramps, seconds)
        self._share_each_tick = min(1.0, seconds / ramp_in) if ramp_in > 0 else 1.0
        self._unknown = np.full(shape, np.nan)
        self.reset()

    def reset(self) -> None:
        """Begin as new, at rest: what was sent before does not bind what is sent next."""
        self._sent: Vector | None = None
        self._share = 0.0
        self._velocity.start()

    def take_over(self, other: CommandLimiter) -> None:
        """Go on from what another limiter, for the same robot, sent last."""
        self._sent, self._share = other._sent, other._share
        self._position.take_over(other._position)
        self._velocity.take_over(other._velocity)

    def limit(
            self, asked: Vector, measured: Vector | None = None, speed: float = 1.0
    ) -> tuple[Vector | None, Reason]:
        """
        Bound one command.

        :param asked: Shape (act_dim,), SI units. Where it is not finite, the robot is stopped.
        :param measured: Where the robot is, shape (act_dim,), NaN where that is unknown.
        :param speed: Share of the speed that may be used, in (0, 1].
        :return: The command to send, and the reasons for a difference. None where positions have
            nowhere to start from: nothing may be sent.
        """
        measured = self._unknown if measured is None else measured
        if not np.isfinite(asked).all():
            return self.stop(measured), Reason.NOT_FINITE_ACTION
        base = np.where(self._relative, measured, 0.0)
        if not np.isfinite(base).all() or not self._start(measured):
            return self.stop(measured), Reason.UNMEASURED
        self._share = min(1.0, self._share + self._share_each_tick)
        share = self._share * speed
        wanted = bounded(asked, self._low, self._high)
        reason = Reason.CLIPPED if (np.abs(asked - wanted) > self._slack).any() else Reason.NONE
        wanted += base
        for place, rotation in self._rotations:
            here = measured if self._sent is None else self._sent
            wanted[place] = nearest_form(rotation, wanted[place], here[place])
        sent = wanted.copy()
        if len(self._positions):
            sent[self._positions] = self._position.move(wanted[self._positions], share)
        if len(self._velocities):
            sent[self._velocities] = self._velocity.move(
                wanted[self._velocities], measured[self._velocities], share)
        if (np.abs(wanted - sent) > self._slack).any():
            reason |= Reason.LIMITED
        self._sent = sent
        return sent, reason

    def stop(self, measured: Vector | None = None, ramp: bool = False) -> Vector | None:
        """
        Stop, or go on stopping, each output in its own way.

        :param measured: Where the robot is, shape (act_dim,), NaN where that is unknown; it
            matters before the first command.
        :param ramp: Slow velocities down, even where zero at once would stop them.
        :return: The command to send, shape (act_dim,), or None where nothing was sent yet and
            there is nothing to stay at.
        """
        measured = self._unknown if measured is None else measured
        if not self._start(measured):
            return None
        sent = measured.copy() if self._sent is None else self._sent.copy()
        if len(self._positions):
            sent[self._positions] = self._position.brake()
        sent[self._velocities] = self._velocity.stop(ramp)
        if not np.isfinite(sent).all():
            return None
        self._sent = sent
        return sent

    def halt(self) -> Vector | None:
        """
        Stop with a single command, the last before silence: no velocity may stay above zero.

        :return: The command to send, shape (act_dim,), or None where nothing was sent yet.
        """
        if self._sent is None:
            return self.stop()
        self._position.stay()
        self._velocity.start()
        sent = self._sent.copy()
        sent[self._velocities] = 0
        self._sent = sent
        return sent

    def ahead(
            self, commands: Vector, measured: Vector | None, period: int, speed: float = 1.0
    ) -> Vector:
        """
        See what would be sent if nothing else came; nothing changes by it.

        :param commands: What is asked for next, shape (m, act_dim), SI units.
        :param measured: Where the robot is, as for :meth:`limit`.
        :param period: Time between them in ns.
        :param speed: As for :meth:`limit`.
        :return: Shape (n, act_dim); n is less than m where a command cannot be sent.
        """
        future = copy.copy(self)
        future._position, future._velocity = copy.copy(self._position), copy.copy(self._velocity)
        future._position.tick = future._velocity.tick = period * 1e-9
        commands = commands[np.logical_and.accumulate(np.isfinite(commands).all(1))]
        sent = [future.limit(command, measured, speed)[0] for command in commands]
        # There is nothing to send for any of them, or for none.
        return np.array([command for command in sent if command is not None]).reshape(
            -1, len(self._low))

    def _start(self, measured: Vector) -> bool:
        """Let positions begin where the robot is; tell whether they have begun."""
        if self._sent is not None or not len(self._positions):
            return True
        start = measured[self._positions]
        if not np.isfinite(start).all():
            return False
        self._position.start(start)
        return True
