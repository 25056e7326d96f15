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
"""Values that go on faster than they can, and values that stay as they are though they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math

from dfp_ros.core.description.observation import ObservationEntry
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.sample import ObservationError, Sample
from dfp_ros.core.safety.reasons import Finding, finding, Reason
from dfp_ros.core.settings.safety import SafetySettings

# A robot may be moved faster than it is allowed to move by itself, by hand or by another program,
# and measurements are noisy: so many times its limit of velocity is no motion of it.
_GENEROUS = 5.0
# Seconds without a jump after which one is over.
_CALM = 0.5


@dataclass
class _Watched:
    """
    A field that is watched.

    :param name: Its name.
    :param unit: Its unit.
    :param field: Computes it.
    :param source: The source that says when it was measured.
    :param rate: Largest change a second, one a number; empty for any.
    :param why: What says so.
    :param changes_within: Seconds within which it changes; 0 where it need not.
    :param time: When it was measured last, in ns; None before the first time.
    :param numbers: What it was then.
    :param changed: When it was another last, in ns.
    :param jumped: When it jumped last, in ns; None for not of late.
    :param jump: What it did then, for people.
    """

    name: str
    unit: str
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


class ValueMonitor:
    """
    Watches what the robot description gives a ``max_rate`` or ``changes_within`` for.

    Positions that are measured for commands with a limit of velocity are watched without that.

    :param robot: The robot's description.
    :param tick: Time between two ticks in ns.
    """

    def __init__(self, robot: RobotDescription, tick: int) -> None:
        """Look up what is watched."""
        self._tick = tick
        self._watched = [
            _watched(entry, entry.max_rate, 'max_rate', entry.changes_within)
            for entry in robot.observation if entry.max_rate or entry.changes_within]
        self._watched += [
            _watched(entry.measured, tuple(
                _GENEROUS * each for each in entry.limits.velocity),
                f'{_GENEROUS:g} times limits.velocity', 0.0)
            for topic in robot.commands for entry in topic.entries
            if topic.stop_of(entry).kind == 'position' and not entry.relative
            and entry.measured is not None and entry.measured.reading is not None
            and isinstance(entry.limits.velocity, tuple)]

    def reset(self) -> None:
        """Begin as new."""
        for watched in self._watched:
            watched.time = watched.jumped = None

    def check(
            self, samples: Mapping[str, Sample], settings: SafetySettings) -> list[Finding]:
        """
        Look at the newest samples.

        :param samples: By source; all are there.
        :param settings: What is done about jumps and about what is stuck.
        """
        findings = []
        for watched in self._watched:
            time = samples[watched.source].time
            if time != watched.time:
                self._advance(watched, time, samples)
            if watched.jumped is not None:
                if time - watched.jumped > _CALM * 1e9:
                    watched.jumped = None
                else:
                    findings.append(finding(Reason.JUMP, watched.jump, settings.jump))
            still = (time - watched.changed) * 1e-9
            if watched.changes_within and watched.time is not None and (
                    still > watched.changes_within):
                findings.append(finding(Reason.STUCK, (
                    f'{watched.name} has been exactly the same for {still:.2f} s, though messages '
                    f'of source {watched.source!r} come; it changes within '
                    f'{watched.changes_within:g} s (changes_within)'), settings.stuck))
        return findings

    def _advance(self, watched: _Watched, time: int, samples: Mapping[str, Sample]) -> None:
        """Compare what was measured with what it was before."""
        try:
            numbers = watched.field.read(samples)
        except ObservationError:
            # What is wrong with it, the observation says.
            numbers = None
        last, before = watched.time, watched.numbers
        if numbers is None or not all(map(math.isfinite, numbers)):
            watched.time = None
            return
        watched.time, watched.numbers = time, numbers
        if last is None or time < last or numbers != before:
            watched.changed = time
        if last is None or time < last:
            watched.jumped = None
            return
        seconds = max(time - last, self._tick) * 1e-9
        for i, (rate, old, new) in enumerate(zip(watched.rate, before, numbers, strict=False)):
            change = new - old
            if watched.unit == 'rad':
                change = math.remainder(change, math.tau)
            if abs(change) > rate * seconds:
                watched.jumped = time
                watched.jump = (
                    f'{watched.name}[{i}] went from {old:.4g} to {new:.4g} {watched.unit} within '
                    f'{seconds:.3f} s, at most {rate:g} {watched.unit}/s are possible '
                    f'({watched.why})')
                break


def _watched(
        entry: ObservationEntry, rate: tuple[float, ...], why: str,
        changes_within: float) -> _Watched:
    """Make what is watched of an entry: its value at one tick, before it is clipped."""
    assert entry.reading is not None
    field = ObservationField(replace(entry, derivative=False, history=1, low=(), high=()))
    return _Watched(
        entry.name, entry.unit, field, entry.reading.source, rate, why, changes_within)
