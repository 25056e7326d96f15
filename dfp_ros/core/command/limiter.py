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
"""Command limiter: limits of position, velocity and acceleration, and stopping of the robot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import copy
import math

import numpy as np

from dfp_ros.core.arrays import bounded, UNBOUNDED, Vector
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.command.position_limiter import PositionLimiter
from dfp_ros.core.command.velocity_limiter import VelocityLimiter
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.rotations import AXIS_ANGLE, nearest_form, shorter_form
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.turns import turns_left_out

# How far past an end of its range a joint may be pushed, in turns.
_PAST = 0.1


class CommandLimiter:
    """
    Enforces the limits of commands, and stops the robot.

    For any requested command, the sent one is finite, within bounds, and differs from the last by
    no more than velocity and acceleration allow; only a stop by zero is abrupt. Positions start
    from the measured position.

    :param limits: The limits.
    :param tick: Time between two commands in ns.
    :param ramp_in: Time after a reset in which the allowed speed rises, in s.
    """

    def __init__(self, limits: Limits, tick: int, ramp_in: float = 0.0) -> None:
        """Start before the first command."""
        shape, seconds = limits.low.shape, tick * 1e-9
        stops = limits.stop if isinstance(limits.stop, tuple) else (limits.stop,) * shape[0]
        self._low, self._high = limits.low.tolist(), limits.high.tolist()
        # By rounding, an action of 1 may exceed the bound in the last digit.
        self._slack = (1e-9 * (limits.high - limits.low)).tolist()
        self._rotations = limits.rotations
        self._relative = np.broadcast_to(limits.relative, shape).tolist()
        velocity, acceleration, position_low, position_high = (
            np.clip(np.broadcast_to(bound, shape), -UNBOUNDED, UNBOUNDED).tolist() for bound in (
                limits.velocity, limits.acceleration, limits.position_low, limits.position_high))
        margin = np.broadcast_to(limits.start_margin, shape).tolist()
        # With their index in a command; other outputs are sent unchanged.
        self._positions = [
            (i, PositionLimiter(
                position_low[i], position_high[i], velocity[i], acceleration[i], seconds))
            for i, stop in enumerate(stops) if stop.kind == 'position']
        # Ranges of measured positions that commands start from.
        self._starts = [
            (i, position_low[i] - margin[i], position_high[i] + margin[i])
            for i, _ in self._positions]
        turns, zeros = (
            np.broadcast_to(each, shape).tolist() for each in (limits.turn, limits.turn_zero))
        # With the range that a joint can be in, if it was pushed past an end of its own.
        self._turns = [
            (i, turn, zeros[i], position_low[i] - _PAST * turn, position_high[i] + _PAST * turn)
            for i, turn in enumerate(turns) if math.isfinite(turn)]
        #: Why commands could not start from the measured position; empty if they could.
        self.start_fault = ''
        self._velocities = [
            (i, VelocityLimiter(
                self._low[i], self._high[i], acceleration[i], position_low[i], position_high[i],
                stop is Stop.RAMP, seconds))
            for i, stop in enumerate(stops) if stop.kind == 'velocity']
        #: Whether the ages of measured positions matter.
        self.needs_ages = any(velocity.has_wall for _, velocity in self._velocities)
        self._share_each_tick = min(1.0, seconds / ramp_in) if ramp_in > 0 else 1.0
        self._unknown = [math.nan] * shape[0]
        self.reset()

    def reset(self) -> None:
        """Restart at rest: the next command does not depend on the last."""
        self._sent: list[float] | None = None
        # The last measured position of joints without end, and the turns added to it.
        self._places: dict[int, tuple[float, float]] = {}
        self._share = 0.0
        for _, velocity in self._velocities:
            velocity.start()

    def transfer_from(self, other: CommandLimiter) -> None:
        """Continue from the last command of another limiter of the same robot."""
        self._sent, self._share, self._places = other._sent, other._share, other._places.copy()
        for (_, position), (_, last) in zip(self._positions, other._positions, strict=True):
            position.transfer_from(last)
        for (_, velocity), (_, before) in zip(self._velocities, other._velocities, strict=True):
            velocity.transfer_from(before)

    def go_on_from(self, other: CommandLimiter) -> None:
        """Continue from the last command of a copy; turns were measured here meanwhile."""
        places = self._places
        self.transfer_from(other)
        self._places = places

    def return_to(self, last: list[float] | None, places: Iterable[int]) -> None:
        """
        Assume that outputs did not get the command: they are where the one before led.

        :param last: The command before, act_dim numbers in SI units; None if there was none.
        :param places: Indices of the outputs.
        """
        if last is None or self._sent is None:
            return
        unsent = {*places}
        self._sent = [
            before if i in unsent else sent
            for i, (before, sent) in enumerate(zip(last, self._sent, strict=True))]
        for i, position in self._positions:
            if i in unsent:
                position.start(last[i])
        for i, velocity in self._velocities:
            if i in unsent:
                velocity.return_to(last[i])

    def limit(
            self, asked: Vector, measured: Vector | None = None, speed: float = 1.0,
            anchor: Vector | None = None, ages: Sequence[float] | None = None,
    ) -> tuple[Vector | None, Reason]:
        """
        Limit one command.

        :param asked: Shape (act_dim,), SI units. If it is not finite, the robot is stopped.
        :param measured: Position feedback, shape (act_dim,), NaN if unknown.
        :param speed: Fraction of the velocity limits, in (0, 1].
        :param anchor: Position that relative commands are relative to, shape (act_dim,), NaN if
            unknown; None for the measured one.
        :param ages: How long ago each position was measured in s, act_dim of them; None for a tick
            at most.
        :return: The command to send, and the reasons for a difference. None if positions have no
            feedback to start from, or one that is no place of the robot: nothing may be sent.
        """
        numbers: list[float] = asked.tolist()
        here = self._unknown if measured is None else measured.tolist()
        if not all(map(math.isfinite, numbers)):
            return self.stop(measured), Reason.NOT_FINITE_ACTION
        base = [
            position if is_relative else 0.0 for position, is_relative in zip(
                here if anchor is None else anchor.tolist(), self._relative, strict=True)]
        if not all(map(math.isfinite, base)) or not self._start(here):
            return self.stop(measured), Reason.UNMEASURED
        self._shorten()
        self._share = min(1.0, self._share + self._share_each_tick)
        share = self._share * speed
        wanted = [
            bounded(number, low, high)
            for number, low, high in zip(numbers, self._low, self._high, strict=True)]
        reason = Reason.CLIPPED if self._differ(numbers, wanted) else Reason.NONE
        wanted = [number + start for number, start in zip(wanted, base, strict=True)]
        for part, rotation in self._rotations:
            reference = here if self._sent is None else self._sent
            wanted[part] = nearest_form(
                rotation, np.array(wanted[part]), np.array(reference[part])).tolist()
        sent = wanted.copy()
        for i, position in self._positions:
            sent[i] = position.move(wanted[i], share)
        for i, velocity in self._velocities:
            sent[i] = velocity.move(wanted[i], here[i], share, 0.0 if ages is None else ages[i])
        if self._differ(wanted, sent):
            reason |= Reason.LIMITED
        self._sent = sent
        return np.array(sent), reason

    def unwrap(self, measured: Vector | None) -> Vector | None:
        """
        Add the full turns that a driver leaves out of the position of a joint without end.

        A joint that is measured at -179 degrees, one step after 179, has turned by two. A command
        relative to the measured position would otherwise lead through a whole turn backwards.

        :param measured: Position feedback, shape (act_dim,), NaN if unknown; call this for each.
        :return: The feedback, continued from the one at the first command. A reset begins anew, so
            that all that follows one depends on nothing before it.
        """
        if measured is None or not self._turns:
            return measured
        unwrapped = measured.copy()
        for i, turn, zero, low, high in self._turns:
            place, before = float(measured[i]), self._places.get(i)
            if not math.isfinite(place):
                continue
            added = 0.0
            if before is not None and self._sent is not None:
                # By several turns at once, a driver that counts them has begun anew.
                added = before[1] + turn * turns_left_out(
                    before[0] - zero, place - zero, turn) if (
                        abs(before[0] - place) <= 1.5 * turn) else 0.0
                if not low <= place + added <= high and low <= place <= high:
                    # It was put elsewhere meanwhile, as by the reset of a simulation.
                    added = 0.0
            self._places[i] = place, added
            unwrapped[i] += added
        return unwrapped

    @property
    def last(self) -> list[float] | None:
        """Return the last command, act_dim numbers in SI units; None before the first."""
        return self._sent

    def base_of(self, measured: Vector | None) -> list[float]:
        """
        Return what each command is relative to: the measured position, or 0.

        :param measured: Position feedback, shape (act_dim,), NaN if unknown, which counts as that
            of the last command.
        """
        here = self._unknown if measured is None else measured.tolist()
        last = here if self._sent is None else self._sent
        return [
            0.0 if not is_relative else before if math.isnan(position) else position
            for position, before, is_relative in zip(here, last, self._relative, strict=True)]

    def steer(
            self, asked: Vector, measured: Vector | None = None,
            ages: Sequence[float] | None = None) -> tuple[Vector | None, Reason]:
        """
        Limit a command for some of the outputs, and bring the others to rest.

        They stop as their stop says, but no velocity is cut off: it is ramped down.

        :param asked: Shape (act_dim,), SI units, NaN for outputs that are not commanded or whose
            command has no place to move on from, and infinite for those whose command needs a
            feedback that is missing.
        :param measured: As for :meth:`limit`.
        :param ages: As for :meth:`limit`.
        :return: As for :meth:`limit`; also None if an output has nothing to keep, or to move on
            from.
        """
        here = self._unknown if measured is None else measured.tolist()
        numbers: list[float] = asked.tolist()
        is_asked = [number == number for number in numbers]
        base = [
            position if is_relative and wanted else 0.0 for position, is_relative, wanted in zip(
                here, self._relative, is_asked, strict=True)]
        if any(map(math.isinf, numbers)) or not all(map(math.isfinite, base)):
            self.start_fault = ''
            return self.stop(measured), Reason.UNMEASURED
        if not self._start(here):
            return self.stop(measured), Reason.UNMEASURED
        self._shorten()
        last = (here if self._sent is None else self._sent).copy()
        if self._sent is None:
            for i, velocity in self._velocities:
                last[i] = velocity.velocity
        unknown = [
            i for i, (before, wanted) in enumerate(zip(last, is_asked, strict=True))
            if not wanted and math.isnan(before)]
        if unknown:
            self.start_fault = (
                f'command[{unknown[0]}] has stop: keep, was never commanded since the reset and '
                'is not measured, so that there is nothing to keep or to move on from; let the '
                'policy command it first, or the person by meaning: target')
            return None, Reason.UNMEASURED
        self._share = min(1.0, self._share + self._share_each_tick)
        share = self._share
        wanted = [
            bounded(number, low, high) for number, low, high in zip(
                numbers, self._low, self._high, strict=True)]
        for i, is_commanded in enumerate(is_asked):
            if not is_commanded:
                numbers[i] = wanted[i] = 0.0
        reason = Reason.CLIPPED if self._differ(numbers, wanted) else Reason.NONE
        wanted = [number + start for number, start in zip(wanted, base, strict=True)]
        for part, rotation in self._rotations:
            if is_asked[part.start]:
                wanted[part] = nearest_form(
                    rotation, np.array(wanted[part]), np.array(last[part])).tolist()
        sent = [
            number if is_commanded else before
            for number, before, is_commanded in zip(wanted, last, is_asked, strict=True)]
        for i, position in self._positions:
            sent[i] = position.move(wanted[i], share) if is_asked[i] else position.brake()
        for i, velocity in self._velocities:
            sent[i] = velocity.move(
                wanted[i], here[i], share, 0.0 if ages is None else ages[i],
            ) if is_asked[i] else velocity.stop(ramp=True)
        for i, is_commanded in enumerate(is_asked):
            if not is_commanded:
                wanted[i] = sent[i]
        if self._differ(wanted, sent):
            reason |= Reason.LIMITED
        self._sent = sent
        return np.array(sent), reason

    def stop(self, measured: Vector | None = None, ramp: bool = False) -> Vector | None:
        """
        Stop, or continue to stop, each output as its stop says.

        :param measured: Position feedback, shape (act_dim,), NaN if unknown; needed before the
            first command only.
        :param ramp: Ramp velocities down, even if their stop is zero at once.
        :return: The command to send, shape (act_dim,), or None if nothing was sent yet and there
            is no position to hold.
        """
        here = self._unknown if measured is None else measured.tolist()
        if not self._start(here):
            return None
        sent = (here if self._sent is None else self._sent).copy()
        for i, position in self._positions:
            sent[i] = position.brake()
        for i, velocity in self._velocities:
            sent[i] = velocity.stop(ramp)
        if not all(map(math.isfinite, sent)):
            return None
        self._sent = sent
        return np.array(sent)

    @property
    def is_fast(self) -> bool:
        """Whether :meth:`halt` would stop some output harder than :meth:`stop` does."""
        return self._sent is not None and (
            any(position.is_fast for _, position in self._positions)
            or any(velocity.is_fast for _, velocity in self._velocities))

    def halt(self) -> Vector | None:
        """
        Stop with a single command, the last one before silence: no velocity may stay above zero.

        While :attr:`is_fast`, that is abrupt; :meth:`stop` slows down first.

        :return: The command to send, shape (act_dim,), or None if nothing was sent yet.
        """
        if self._sent is None:
            return self.stop()
        sent = self._sent.copy()
        for _, position in self._positions:
            position.stay()
        for i, velocity in self._velocities:
            sent[i] = velocity.halt()
        self._sent = sent
        return np.array(sent)

    def ahead(
            self, commands: Vector, measured: Vector | None, period: int, speed: float = 1.0,
            anchor: Vector | None = None) -> Vector:
        """
        Predict the commands for planned ones, without a change of state.

        :param commands: The next requested commands, shape (m, act_dim), SI units.
        :param measured: Position feedback, as for :meth:`limit`.
        :param period: Time between them in ns.
        :param speed: As for :meth:`limit`.
        :param anchor: As for :meth:`limit`.
        :return: Shape (n, act_dim); n is less than m if a command cannot be sent.
        """
        future = self.copy()
        for _, position in future._positions:
            position.tick = period * 1e-9
        for _, velocity in future._velocities:
            velocity.tick = period * 1e-9
        commands = commands[np.logical_and.accumulate(np.isfinite(commands).all(1))]
        sent = [future.limit(command, measured, speed, anchor)[0] for command in commands]
        # Either all of them can be sent or none.
        return np.array([command for command in sent if command is not None]).reshape(
            -1, len(self._low))

    def copy(self) -> CommandLimiter:
        """Make an independent limiter with the same state."""
        made = copy.copy(self)
        made._places = self._places.copy()
        made._positions = [(i, copy.copy(position)) for i, position in self._positions]
        made._velocities = [(i, velocity.copy()) for i, velocity in self._velocities]
        return made

    def _start(self, here: list[float]) -> bool:
        """Start positions from the feedback; return whether all have started."""
        if self._sent is not None:
            return True
        self.start_fault = self._find_fault(here)
        if self.start_fault:
            return False
        for i, position in self._positions:
            position.start(here[i])
        return True

    def _shorten(self) -> None:
        """
        Go on from the shorter form of each axis with an angle of more than half a turn.

        A rotation that goes on and on would otherwise be led back through a whole turn, once there
        is no form of it near the last command any more.
        """
        for part, rotation in self._rotations:
            sent = self._sent
            if rotation != AXIS_ANGLE or sent is None or math.hypot(*sent[part]) <= math.pi:
                continue
            places = [position for i, position in self._positions if part.start <= i < part.stop]
            if not places:
                continue
            speeds, asked = np.transpose([position.motion for position in places])
            numbers, speeds = shorter_form(np.array(sent[part]), speeds)
            asked = nearest_form(rotation, asked, numbers)
            for position, *motion in zip(
                    places, numbers.tolist(), speeds.tolist(), asked.tolist(), strict=True):
                position.restate(*motion)
            self._sent = [*sent[:part.start], *numbers.tolist(), *sent[part.stop:]]

    def _find_fault(self, here: list[float]) -> str:
        """Explain why commands cannot start from a measured position; empty if they can."""
        for i, low, high in self._starts:
            if not math.isfinite(here[i]):
                return 'there is no position feedback'
            if not low <= here[i] <= high:
                return (
                    f'command[{i}] was measured at {shown(here[i])}, far outside of its range, '
                    'which is no place of the robot: check the source and the unit of measured')
        return ''

    def _differ(self, numbers: list[float], others: list[float]) -> bool:
        """Return whether numbers differ by more than rounding."""
        for number, other, slack in zip(numbers, others, self._slack, strict=True):
            if abs(number - other) > slack:
                return True
        return False
