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
"""A person's command: whether the dead-man is held, and what is asked of each output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import enum
import math

import numpy as np

from dfp_ros.core.arrays import bounded, UNBOUNDED, Vector
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import RECEIVE
from dfp_ros.core.description.takeover import (
    DISPLACEMENT,
    HOLD,
    INCREMENT,
    PersonEntry,
    Takeover,
    TARGET,
    VELOCITY,
)
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.field_extractor import FieldExtractor
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample import ObservationError, Sample
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS
from dfp_ros.core.safety.reasons import Finding, finding, Reason
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.turns import turns_left_out
from dfp_ros.core.units import ANGLE, read_unit
from dfp_ros.spec import PolicySpec

_JOINT_STATE = 'sensor_msgs/msg/JointState'


class Grip(enum.Enum):
    """What the person does in one step."""

    #: The dead-man is not held, or a takeover cannot begin.
    AWAY = 'away'
    #: The dead-man is held, and everything that the person commands is known.
    COMMANDS = 'commands'
    #: The person's source fell silent during a takeover, and the robot has to be held.
    SILENT = 'silent'


class Person:
    """
    Reads a person's commands, step by step.

    :param takeover: How a person commands the robot.
    :param robot: The robot's description.
    :param spec: The policy's specification, which has the slices of the action's fields.
    :param limits: Limits of the robot's commands, within which targets are summed up.
    :param tick: Time between two steps in ns.
    :param lockstep: Whether the robot waits for each command: then stamps are of another clock
        than a person's, and only arrival counts.
    """

    def __init__(
            self, takeover: Takeover, robot: RobotDescription, spec: PolicySpec, limits: Limits,
            tick: int, lockstep: bool = False) -> None:
        """Start with a person who is away."""
        self._hold_when_silent = takeover.when_stale == HOLD
        sources = [
            replace(source, time=RECEIVE) if lockstep else source
            for source in takeover.sources.values()]
        self._monitors = {source.name: FreshnessMonitor([source], tick=tick) for source in sources}
        self._dead_man = takeover.dead_man
        self._switch = None if takeover.dead_man.reading is None else FieldExtractor(
            takeover.dead_man.reading, 'dead_man')
        size = spec.action_size
        stops = limits.stop if isinstance(limits.stop, tuple) else (limits.stop,) * size
        relative = np.broadcast_to(limits.relative, (size,)).tolist()
        low, high, turns = (np.broadcast_to(bound, (size,)).tolist() for bound in (
            limits.position_low, limits.position_high, limits.turn))
        reach = _reach(limits, size, tick * 1e-9)
        turned = {i for part, _ in limits.rotations for i in range(part.start, part.stop)}
        kept = [stop.kind == 'other' and i not in turned for i, stop in enumerate(stops)]
        self._parts = [
            _Part(entry, [spec.action_slices[entry.action].start + i for i in entry.numbers],
                  stops, relative, low, high, reach, tick * 1e-9, kept, turns,
                  _device_turns(entry, takeover.sources[entry.source].type))
            for entry in takeover.entries]
        self._nothing = np.full(size, math.nan)
        self._is_commanding = False

    def reset(self) -> None:
        """Forget everything, as at the start of an episode."""
        for monitor in self._monitors.values():
            monitor.reset()
        self.rest()
        self._is_commanding = False

    def transfer_from(self, other: Person) -> None:
        """Continue from the state of another policy's controller of the same robot."""
        self._is_commanding = other._is_commanding
        for part, before in zip(self._parts, other._parts, strict=True):
            part.transfer_from(before)

    def rest(self) -> None:
        """Begin anew from where the robot is then, when the person commands next."""
        for part in self._parts:
            part.start = None

    def look(
            self, now: int, samples: Mapping[str, Sample | None], seen: Mapping[str, Sample],
    ) -> tuple[Grip, Finding | None]:
        """
        Look what the person does; call once in each step.

        :param now: Time in ns.
        :param samples: Newest samples by source.
        :param seen: Those that are complete.
        :return: That, and the fault of the person's sources, if there is one.
        """
        if not self._is_commanding and samples.get(self._dead_man.source) is None:
            # Nobody is there, as on most days.
            return Grip.AWAY, None
        stale = {
            name: found[0].text for name, monitor in self._monitors.items()
            if (found := monitor.check(now, samples))}
        is_held, fault = self._is_held(seen, stale)
        if is_held and not fault:
            fault = next(iter(stale.values()), '') or self._read(seen)
        was_commanding, self._is_commanding = self._is_commanding, is_held and not fault
        if self._is_commanding:
            return Grip.COMMANDS, None
        if not fault:
            return Grip.AWAY, None
        if not was_commanding:
            # A dead-man that nobody ever published is no fault.
            return Grip.AWAY, finding(Reason.PERSON_SILENT, (
                f'the dead-man is held, but the takeover cannot begin: {fault}'
            )) if is_held else None
        if self._hold_when_silent:
            self._is_commanding = True
            return Grip.SILENT, finding(
                Reason.PERSON_SILENT, f'{fault}; the robot is held until it is back, or ~/reset',
                'hold')
        return Grip.AWAY, finding(Reason.PERSON_SILENT, f'{fault}; the takeover has ended')

    def command(self, last: Sequence[float] | None, measured: Vector | None) -> Vector:
        """
        Compute what the person asks for, after :meth:`look` found a command.

        :param last: The last command that was sent, SI units; None before the first.
        :param measured: Position feedback, shape (act_dim,), NaN if unknown; None without any.
        :return: Shape (act_dim,), SI units, NaN for outputs that the person does not command or
            that have no place to move on from, and infinite for those that are relative to a
            position which is unknown.
        """
        asked = self._nothing.copy()
        here = self._nothing if measured is None else measured
        for part in self._parts:
            part.ask(asked, here if last is None else last, here)
        return asked

    def _is_held(
            self, samples: Mapping[str, Sample], stale: Mapping[str, str]) -> tuple[bool, str]:
        """Tell whether the dead-man is held, and why that is not known."""
        dead_man = self._dead_man
        fault = stale.get(dead_man.source, '')
        if self._switch is None:
            # Freshness is the switch, so a source that falls silent is let go.
            return not fault, ''
        if fault:
            return False, fault
        try:
            value = self._switch.read(samples[dead_man.source].values)[0]
        except (ObservationError, TypeError, ValueError) as error:
            return False, f'dead_man: {error}'
        if not math.isfinite(value):
            return False, f'dead_man: source {dead_man.source!r}: found {value}'
        return value < dead_man.limit if dead_man.is_below else value > dead_man.limit, ''

    def _read(self, samples: Mapping[str, Sample]) -> str:
        """Read the person's numbers; return the fault of the first that cannot be read."""
        for part in self._parts:
            if fault := part.read(samples):
                return fault
        return ''


@dataclass
class _Start:
    """Where a takeover began: the commands then, and the person's numbers then."""

    command: list[float]
    read: list[float]


def _reach(limits: Limits, size: int, tick: float) -> list[float]:
    """Return how far each number moves while it stops from its velocity limit, with two ticks."""
    velocity, acceleration = (
        np.broadcast_to(limit, (size,)) for limit in (limits.velocity, limits.acceleration))
    found: list[float] = (velocity * (velocity / (2 * acceleration) + 2 * tick)).tolist()
    return found


class _Part:
    """
    Some numbers of one field that the person commands.

    :param entry: Their description.
    :param places: Their indices in the action.
    :param stops: How each number of the action is stopped.
    :param relative: Which numbers of the action are relative to the measured position.
    :param low: Lowest position of each number of the action.
    :param high: Highest position.
    :param reach: How far ahead of the last command the sum of increments may be, for each number
        of the action: at its velocity limit, the robot needs as much to stop.
    :param tick: Time between two steps in s.
    :param kept: Which numbers of the action a target of NaN leaves as they are.
    :param turns: Size of a full turn of each number of the action; infinite for no angle.
    :param device_turns: Of each of the numbers, the size of a full turn of the device, and the
        number that its reading of 0 gives; empty if they are no angles of it.

    :ivar start: Where the takeover began; None before it. If that is unknown, the robot is held,
        and the next step looks again.
    """

    def __init__(
            self, entry: PersonEntry, places: list[int], stops: Sequence[Stop],
            relative: Sequence[bool], low: Sequence[float], high: Sequence[float],
            reach: Sequence[float], tick: float, kept: Sequence[bool],
            turns: Sequence[float], device_turns: Sequence[tuple[float, float]]) -> None:
        self._entry = entry
        # Those that turn without end, of which a target is reached the shorter way.
        self._endless = {
            place: turns[place] for place in places if entry.meaning == TARGET
            and low[place] <= -UNBOUNDED and high[place] >= UNBOUNDED}
        self._device_turns = device_turns
        self._field = ObservationField(entry.reading)
        self._places = places
        self._may_leave = [entry.meaning == TARGET and kept[place] for place in places]
        self._bounds = [(low[place], high[place]) for place in places]
        self._reach = [reach[place] for place in places]
        self._zones = [
            (zone * abs(scale), 1 / (1 - zone))
            for zone, scale in zip(entry.dead_zone, entry.reading.scale, strict=True)
        ] if entry.dead_zone else []
        self._relative = [place for place in places if relative[place]]
        is_velocity = stops[places[0]].kind == 'velocity'
        self._ask: Callable[[list[float]], Sequence[float]] = {
            VELOCITY: self._numbers if is_velocity else self._moved, TARGET: self._numbers,
            INCREMENT: self._summed, DISPLACEMENT: self._displaced}[entry.meaning]
        self._tick = tick
        self._found: list[float] = []
        # What was read, before the dead zone, and the turns that the device has left out since.
        self._read: Sequence[float] = []
        self._left_out: Sequence[int] = []
        self._identity: tuple[int | None, int] = (None, 0)
        # The message whose increment was added last.
        self._added: tuple[int | None, int] | None = None
        self.start: _Start | None = None

    def transfer_from(self, other: _Part) -> None:
        """Continue from the state of another."""
        self._found, self._identity, self._added = other._found, other._identity, other._added
        self._read, self._left_out = other._read, other._left_out
        self.start = other.start

    def read(self, samples: Mapping[str, Sample]) -> str:
        """Read the numbers; return the fault, empty if there is none."""
        try:
            numbers = self._field.read(samples)
        except (ObservationError, TypeError, ValueError, OverflowError) as error:
            return str(error)
        assert numbers is not None, 'it needs no earlier samples'
        for number, may_leave in zip(numbers, self._may_leave, strict=True):
            if not math.isfinite(number) and not (may_leave and math.isnan(number)):
                return f'{self._entry.action}: the person asks for {shown(number)}'
        if self._device_turns:
            self._left_out = [0] * len(numbers) if self.start is None else [
                count + turns_left_out(before - zero, number - zero, turn)
                for count, before, number, (turn, zero) in zip(
                    self._left_out, self._read, numbers, self._device_turns, strict=True)]
            self._read = numbers
            numbers = [
                number + count * turn for number, count, (turn, _) in zip(
                    numbers, self._left_out, self._device_turns, strict=True)]
        sample = samples[self._entry.source]
        self._identity = sample.stamp, sample.received
        self._found = [
            number if math.isnan(number)
            else math.copysign(max(0.0, abs(number) - zone) * gain, number)
            for number, (zone, gain) in zip(numbers, self._zones, strict=True)
        ] if self._zones else numbers
        return ''

    def ask(self, asked: Vector, last: Sequence[float] | Vector, measured: Vector) -> None:
        """Compute what is asked of the numbers."""
        commands = [float(last[place]) for place in self._places]
        if self.start is None:
            # NaN for an output that was never commanded and is not measured: where it is nobody
            # knows, so that the limiter holds the robot, unless a target says where it shall be.
            self.start = _Start([
                bounded(command, low, high)
                for command, (low, high) in zip(commands, self._bounds, strict=True)
            ], self._found)
            # A message from before the takeover moves nothing.
            self._added = self._identity
        found = self._ask(commands)
        for place, number in zip(self._places, found, strict=True):
            asked[place] = number
        for place in self._relative:
            # Without feedback the limiter stops the robot.
            away = asked[place] - measured[place] if math.isfinite(measured[place]) else math.inf
            if place in self._endless and math.isfinite(away):
                # Robot and device may both leave out turns of it.
                away = math.remainder(away, self._endless[place])
            asked[place] = away

    def _numbers(self, commands: list[float]) -> Sequence[float]:
        """Ask for the numbers themselves."""
        return self._found

    def _moved(self, commands: list[float]) -> Sequence[float]:
        """Move on from the last command at a velocity."""
        return [
            command + number * self._tick
            for number, command in zip(self._found, commands, strict=True)]

    def _summed(self, commands: list[float]) -> Sequence[float]:
        """
        Add the increments of each message to the place where the takeover began.

        Increments that come faster than the robot moves are not saved up: it would go on after
        the person has stopped.
        """
        assert self.start is not None, 'ask() starts'
        if self._added != self._identity:
            self._added = self._identity
            self.start.command = [
                bounded(_ahead(target, number, command, reach), low, high)
                for target, number, command, reach, (low, high) in zip(
                    self.start.command, self._found, commands, self._reach, self._bounds,
                    strict=True)]
        return self.start.command

    def _displaced(self, commands: list[float]) -> Sequence[float]:
        """Add the person's own displacement since the takeover began."""
        start = self.start
        assert start is not None, 'ask() starts'
        return [
            began + number - before for began, number, before in zip(
                start.command, self._found, start.read, strict=True)]


def _device_turns(entry: PersonEntry, kind: str) -> list[tuple[float, float]]:
    """
    Return the ``device_turns`` of :class:`_Part`.

    Only a displacement is a motion of the device, which a reading that begins anew is none of.
    Joints are in rad (REP 103), unless the scale converts degrees.

    :param kind: Type of the messages of the field's source.
    """
    reading, unit = entry.reading, read_unit(entry.reading.unit)
    is_yaw = bool(reading.transform) and OBSERVATION_ENCODINGS[reading.transform].is_angle
    is_joint = bool(reading.joints) and kind == _JOINT_STATE
    if entry.meaning != DISPLACEMENT or not (is_yaw or is_joint) or unit.measures != ANGLE:
        return []
    return [
        ((360.0 if is_joint and math.isclose(
            abs(scale) * unit.size, math.radians(1), rel_tol=0.01) else math.tau) * abs(scale),
         offset * scale)
        for scale, offset in zip(reading.scale, reading.offset, strict=True)]


def _ahead(target: float, number: float, command: float, reach: float) -> float:
    """
    Add an increment to a target, but lead it no further from the command than one step allows.

    :param command: The last command; NaN if there is none.
    :param reach: See :class:`_Part`; a single increment may be longer.
    """
    most = max(reach, abs(number))
    if not number or math.isnan(command):
        return target + number
    if number > 0:
        return max(target, min(target + number, command + most))
    return min(target, max(target + number, command - most))
