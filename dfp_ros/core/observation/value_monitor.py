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
"""Monitor of implausible values: jumps, and values and pictures that are stuck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from dfp_ros.core.description.command_kind import KindEvidence, VELOCITY
from dfp_ros.core.description.commands import CommandEntry, CommandTopic
from dfp_ros.core.description.observation import ObservationEntry
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.sample import ObservationError, Sample
from dfp_ros.core.rotations import AXIS_ANGLE, nearest_form, WXYZ
from dfp_ros.core.safety.reasons import Finding, finding, Reason
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.core.units import read_unit

# A robot may be moved faster than its own limits, by hand or by another program, and measurements
# are noisy: a change of this many times the velocity limit is a jump.
_GENEROUS = 5.0
# Seconds without a jump after which the finding is cleared.
_CALM = 0.5


@dataclass
class _Watched:
    """
    A monitored field.

    :param name: Its name.
    :param unit: Unit of its value.
    :param turn: Size of a full turn of an angle in that unit; infinite for anything else.
    :param rotation: Encoding of a rotation whose numbers jump, of
        :data:`dfp_ros.core.rotations.COMMAND_ENCODINGS`; empty for anything else.
    :param field: Computes its value.
    :param source: The source that has its time of measurement.
    :param rate: Largest rate of change, one for each number; empty for any.
    :param why: Origin of that limit, for messages.
    :param changes_within: Seconds within which it has to change; 0 if it need not.
    :param time: Time of the last measurement in ns; None before the first.
    :param numbers: The last measurement.
    :param changed: Time of the last change in ns.
    :param jumped: Time of the last jump in ns; None without a recent one.
    :param jump: Description of that jump.
    """

    name: str
    unit: str
    turn: float
    rotation: str
    field: ObservationField
    source: str
    rate: tuple[float, ...]
    why: str
    changes_within: float = 0.0
    time: int | None = None
    numbers: Sequence[float] = ()
    changed: int = 0
    jumped: int | None = None
    jump: str = ''


@dataclass
class _WatchedPicture:
    """
    A monitored picture.

    :param name: Its name.
    :param source: The camera.
    :param changes_within: Seconds within which it has to change.
    :param time: Time of the last picture in ns; None before the first.
    :param original: Hash of that picture, as the camera published it.
    :param changed: Time of the last change in ns.
    """

    name: str
    source: str
    changes_within: float
    time: int | None = None
    original: int = 0
    changed: int = 0


class ValueMonitor:
    """
    Monitors the fields with ``max_rate`` or ``changes_within`` in the robot description.

    A picture with ``changes_within`` is compared as its camera published it: a scaled one of a
    scene at rest may be the same although the camera's noise is there.

    Position feedback of positions and velocities with a velocity limit, their own or the URDF's,
    is always monitored.

    :param robot: The robot's description.
    :param tick: Time between two ticks in ns.

    :ivar tick: As given.
    """

    def __init__(self, robot: RobotDescription, tick: int) -> None:
        """Collect the monitored fields."""
        self.tick = tick
        self._watched = [
            _watched(entry, entry.max_rate, 'max_rate', entry.changes_within)
            for entry in robot.observation if entry.max_rate or entry.changes_within]
        self._watched += [
            _watched(
                entry.measured, tuple(_GENEROUS * each for each in speeds),
                f'{_GENEROUS:g} times limits.velocity', 0.0,
                is_rate=topic.stop_of(entry).kind == VELOCITY)
            for topic in robot.commands for entry in topic.entries
            if entry.measured is not None and entry.measured.reading is not None
            and (speeds := _speeds(topic, entry, robot))]
        self._pictures = [
            _WatchedPicture(image.name, image.source, image.changes_within)
            for image in robot.images if image.changes_within]

    def reset(self) -> None:
        """Discard all measurements."""
        for watched in self._watched:
            watched.time = watched.jumped = None
        for picture in self._pictures:
            picture.time = None

    def check(
            self, samples: Mapping[str, Sample], settings: SafetySettings) -> list[Finding]:
        """
        Check the newest samples.

        :param samples: By source; those that nobody needs may be missing.
        :param settings: Responses to jumps and stuck values.
        """
        findings = []
        for watched in self._watched:
            sample = samples.get(watched.source)
            if sample is None:
                # A person commands, who does not need this source.
                watched.time = watched.jumped = None
                continue
            time = sample.time
            if time != watched.time:
                self._advance(watched, time, samples)
            if watched.jumped is not None:
                if time - watched.jumped > _CALM * 1e9:
                    watched.jumped = None
                else:
                    findings.append(finding(Reason.JUMP, watched.jump, settings.jump))
            if watched.changes_within and watched.time is not None:
                findings += _judge_stuck(watched, time, settings)
        for picture in self._pictures:
            findings += self._check_picture(picture, samples, settings)
        return findings

    @staticmethod
    def _check_picture(
            watched: _WatchedPicture, samples: Mapping[str, Sample],
            settings: SafetySettings) -> list[Finding]:
        """Compare a picture with the one before."""
        sample = samples.get(watched.source)
        picture = None if sample is None else sample.values.get(watched.name)
        if sample is None or picture is None:
            # Another monitor reports this fault.
            watched.time = None
            return []
        last, before = watched.time, watched.original
        if sample.time != last:
            watched.time, watched.original = sample.time, picture.original
            is_same = last is not None and picture.original == before
            watched.changed = min(watched.changed, sample.time) if is_same else sample.time
        return _judge_stuck(watched, sample.time, settings)

    def _advance(self, watched: _Watched, time: int, samples: Mapping[str, Sample]) -> None:
        """Compare a measurement with the one before."""
        try:
            numbers = watched.field.read(samples)
        except ObservationError:
            # The observation builder reports this fault.
            numbers = None
        last, before = watched.time, watched.numbers
        if numbers is None or not all(map(math.isfinite, numbers)):
            watched.time = None
            return
        watched.time, watched.numbers = time, numbers
        if watched.rotation and last is not None:
            # A quaternion may change its sign, and an axis its direction, at any time.
            numbers = nearest_form(
                watched.rotation, np.array(numbers), np.array(before)).tolist()
        # Stamps may go back and forth, as those of several threads or publishers do.
        is_same = last is not None and numbers == before
        watched.changed = min(watched.changed, time) if is_same else time
        if last is None or time < last:
            watched.jumped = None
            return
        seconds = max(time - last, self.tick) * 1e-9
        for i, (rate, old, new) in enumerate(zip(watched.rate, before, numbers, strict=False)):
            change = new - old
            if math.isfinite(watched.turn):
                change = math.remainder(change, watched.turn)
            if abs(change) > rate * seconds:
                watched.jumped = time
                watched.jump = (
                    f'{watched.name}[{i}] went from {old:.4g} to {new:.4g} {watched.unit} within '
                    f'{seconds:.3f} s, at most {rate:g} {watched.unit}/s are possible '
                    f'({watched.why})')
                break


def _judge_stuck(
        watched: _Watched | _WatchedPicture, time: int, settings: SafetySettings,
) -> list[Finding]:
    """Find whether something has not changed for too long."""
    still = (time - watched.changed) * 1e-9
    if still <= watched.changes_within:
        return []
    return [finding(Reason.STUCK, (
        f'{watched.name} has been exactly the same for {still:.2f} s, though messages of source '
        f'{watched.source!r} come; it changes within {watched.changes_within:g} s '
        '(changes_within)'), settings.stuck)]


def _speeds(
        topic: CommandTopic, entry: CommandEntry, robot: RobotDescription) -> tuple[float, ...]:
    """Return the velocity limits of a command; none if it has none, or there is no URDF yet."""
    evidence = KindEvidence(entry.unit, topic.type, (entry.path,), '', '')
    if topic.stop_of(entry).kind == VELOCITY and (
            {*evidence.by_unit(), *evidence.by_message()} != {VELOCITY}):
        # The limit of an effort is an effort, which says nothing about the speed of the robot.
        return ()
    speeds = entry.limits.velocity
    if isinstance(speeds, str):
        joints = robot.joints or {}
        return tuple(
            joints[name].velocity for name in entry.urdf_joints) if joints else ()
    return speeds or ()


def _watched(
        entry: ObservationEntry, rate: tuple[float, ...], why: str,
        changes_within: float, is_rate: bool = False) -> _Watched:
    """
    Make a monitored field of an entry: its value at one tick, before clipping.

    :param is_rate: Whether the entry's unit is that of its rate, as that of a velocity command.
    """
    assert entry.reading is not None
    field = ObservationField(replace(entry, derivative=False, history=1, low=(), high=()))
    unit, name = read_unit(entry.unit), entry.unit
    is_rate |= entry.derivative
    if is_rate:
        name = name.removesuffix('/s') if name.endswith('/s') else f'{name} s'
    is_angle = unit.is_rate if is_rate else unit.is_position
    rotation = entry.transform or (WXYZ if entry.reading.is_quaternion else '')
    if rotation not in (WXYZ, AXIS_ANGLE) or any(entry.offset) or {*entry.scale} != {1.0}:
        rotation = ''
    return _Watched(
        entry.name, name, unit.turn if is_angle and not rotation else math.inf, rotation,
        field, entry.reading.source, rate, why, changes_within)
