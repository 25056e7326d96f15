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
"""Success predicate: conditions on fields of the observation that hold for some time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math
import os

from dfp_ros.core.description.observation import ObservationEntry, WAIT
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import Source
from dfp_ros.core.description.yaml_section import read_yaml, Section
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample import ObservationError, Sample
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.text.printable import quoted

_KINDS = ('near', 'above', 'below')
# Longest time in s that a predicate may have to hold, and largest number of conditions.
_LONGEST_HOLD, _MOST = 3600.0, 100
# A longer time in s between two evaluations is a gap, in which the conditions may have failed.
_GAP = 0.5


@dataclass(frozen=True)
class Condition:
    """
    Condition on one number of the observation.

    :param entry: The field.
    :param element: Index of the number in the field.
    :param name: Name of the number, for messages.
    :param low: Its lower bound, which it has to exceed; -inf for none.
    :param high: Its upper bound.
    :param text: The condition, with its unit.
    """

    entry: ObservationEntry
    element: int
    name: str
    low: float
    high: float
    text: str

    def holds(self, value: float) -> bool:
        """Return whether a value fulfils it; NaN does not."""
        return self.low < value < self.high

    def fails(self, value: float) -> bool:
        """
        Return whether a value is beyond a bound.

        NaN is not: it is not known. An infinite one, as of a sensor that sees nothing within its
        range, is known, and beyond the bounds on that side.
        """
        return value <= self.low > -math.inf or value >= self.high < math.inf


@dataclass(frozen=True)
class SuccessPredicate:
    """
    Conditions that all have to hold.

    :param conditions: The conditions.
    :param hold: Time in s for which all of them have to hold without a break.
    """

    conditions: tuple[Condition, ...]
    hold: float

    @property
    def text(self) -> str:
        """Return the predicate in one line."""
        return f'{" and ".join(each.text for each in self.conditions)}, for {shown(self.hold)} s'


def read_success(path: str | os.PathLike[str], robot: RobotDescription) -> SuccessPredicate:
    """
    Read a success predicate.

    :param path: The YAML file.
    :param robot: Robot description with the fields.
    :raises DescriptionError: At the first error, with file and line.
    """
    keys = read_yaml(path).mapping(('hold', 'all'))
    hold = keys['hold'].number()
    if not 0 <= hold <= _LONGEST_HOLD:
        raise keys['hold'].error(
            f'found {shown(hold)}, expected seconds from 0 to {_LONGEST_HOLD:g}')
    sections = keys['all'].items()
    if len(sections) > _MOST:
        raise keys['all'].error(f'found {len(sections)} conditions, expected at most {_MOST}')
    fields = {entry.name: entry for entry in robot.observation if entry.reading is not None}
    return SuccessPredicate(
        tuple(_read_condition(section, fields) for section in sections), hold)


def _read_condition(section: Section, fields: Mapping[str, ObservationEntry]) -> Condition:
    """Read one condition."""
    keys = section.mapping(('field', 'unit'), ('element', 'tolerance', *_KINDS))
    entry = fields[keys['field'].choice(fields)]
    unit = keys['unit'].text()
    if unit != entry.unit:
        raise keys['unit'].error(
            f'found {quoted(unit)}, but {entry.name} is in {quoted(entry.unit)}; convert the '
            'numbers, and state that unit')
    element, name = _read_element(section, keys, entry)
    kinds = [kind for kind in _KINDS if kind in keys]
    if not kinds or 'near' in kinds and len(kinds) > 1:
        raise section.error(
            f'found {" and ".join(kinds) or "no bound"}, expected near with a tolerance, or above '
            'or below, or both of these')
    if ('tolerance' in keys) != (kinds == ['near']):
        raise section.error(
            'found near without a tolerance, which it needs' if kinds == ['near'] else
            'found a tolerance, which only near has')
    if kinds == ['near']:
        middle, tolerance = keys['near'].number(), keys['tolerance'].positive()
        low, high = middle - tolerance, middle + tolerance
        text = f'near {shown(middle)} +- {shown(tolerance)}'
    else:
        low = keys['above'].number() if 'above' in keys else -math.inf
        high = keys['below'].number() if 'below' in keys else math.inf
        if low >= high:
            raise section.error(
                f'found above {shown(low)} and below {shown(high)}, which no number is')
        text = ' and '.join(f'{kind} {shown(keys[kind].number())}' for kind in kinds)
    return Condition(entry, element, name, low, high, f'{name} {text} [{entry.unit}]')


def _read_element(
        section: Section, keys: Mapping[str, Section], entry: ObservationEntry) -> tuple[int, str]:
    """Read the index of a number in a field, or its name."""
    names = _element_names(entry)
    known = [str(i) for i in range(entry.width)] if not names else names
    if 'element' not in keys:
        if entry.width == 1:
            return 0, entry.name
        raise section.error(
            f'found no element, but {entry.name} has {entry.width} numbers; name one of them: '
            f'{", ".join(known[:20])}')
    value = keys['element'].scalar()
    if isinstance(value, str):
        if value not in names:
            raise keys['element'].error(f'found {quoted(value)}; {nearest(value, known)}')
        return names.index(value), f'{entry.name}[{value}]'
    index = keys['element'].index()
    if index >= entry.width:
        raise keys['element'].error(
            f'found {index}, but {entry.name} has {entry.width} numbers, counted from 0')
    return index, f'{entry.name}[{names[index] if names else index}]'


def _element_names(entry: ObservationEntry) -> tuple[str, ...]:
    """List the names of the numbers of a field; empty if they have none."""
    reading = entry.reading
    if reading is None or entry.transform:
        return ()
    names = reading.joints or reading.components
    chosen = tuple(names[i] for i in entry.order) if entry.order else names
    return chosen if len(chosen) == entry.width else ()


class SuccessMonitor:
    """
    Evaluates a predicate on the newest samples.

    A sample that is missing, stale, from the future, unreadable or not finite fulfils nothing.
    Success needs a condition that failed at some time since the start of the episode: otherwise a
    scene that was not reset would be a success at once. What is not known, such as a speed at the
    first sample, fails nothing.

    :param predicate: The predicate.
    :param robot: Robot description with the sources.

    :ivar sources: The sources that it needs.
    :ivar problem: Why the conditions cannot be evaluated; empty if they can.
    """

    def __init__(self, predicate: SuccessPredicate, robot: RobotDescription) -> None:
        """Start without samples."""
        self.predicate = predicate
        entries = {each.entry.name: each.entry for each in predicate.conditions}
        names = {
            reading.source for entry in entries.values() for reading in entry.readings}
        self.sources: dict[str, Source] = {
            name: source for name, source in robot.sources.items() if name in names}
        # The rate of 0 that at_start may begin with is not measured.
        self._fields = {
            name: ObservationField(replace(entry, at_start=WAIT))
            for name, entry in entries.items()}
        self._store = SampleStore(self.sources, in_order=True)
        self._freshness = FreshnessMonitor(self.sources.values())
        self.problem = ''
        self._since: float | None = None
        self._last = -math.inf
        self._has_failed = False

    def receive(self, name: str, sample: Sample) -> None:
        """Receive a sample of a source."""
        self._store.add(name, sample)

    def restart(self) -> None:
        """Start an episode."""
        self._since, self._has_failed = None, False
        self._last = -math.inf
        # Speeds since the last episode are those of whoever reset the scene.
        self._reset_fields()

    @property
    def has_failed(self) -> bool:
        """Whether a condition failed at some time since the start of the episode."""
        return self._has_failed

    @property
    def holds_from_start(self) -> bool:
        """Whether the conditions hold, and none failed since the start of the episode."""
        return self._since is not None and not self._has_failed

    def holds(self, now: int) -> bool:
        """
        Evaluate the conditions once.

        :param now: Time in ns, on the clock of the samples.
        """
        self.problem = ''
        if self._store.pass_time(now):
            self._freshness.reset()
            self._reset_fields()
            self.problem = 'the clock was set back; samples from now on count'
            return False
        samples = self._store.at(now)
        faults = self._freshness.check(now, samples)
        if faults:
            self._reset_fields()
            self.problem = '; '.join(fault.text for fault in faults)
            return False
        try:
            values = {name: self._read(field, samples) for name, field in self._fields.items()}
        except ObservationError as error:
            self._reset_fields()
            self.problem = str(error)
            return False
        found = [
            (each, math.nan if (numbers := values[each.entry.name]) is None
             else numbers[each.element]) for each in self.predicate.conditions]
        self._has_failed |= any(each.fails(number) for each, number in found)
        return all(each.holds(number) for each, number in found)

    def poll(self, now: int, elapsed: float) -> bool:
        """
        Evaluate the conditions, and return whether they have held for long enough.

        :param now: Time in ns, on the clock of the samples.
        :param elapsed: Time in s, on a clock that never goes back.
        """
        holds = self.holds(now)
        if elapsed - self._last > _GAP:
            self._since = None
        self._last = elapsed
        if not holds:
            self._since = None
            return False
        if self._since is None:
            self._since = elapsed
        return self._has_failed and elapsed - self._since >= self.predicate.hold

    def _reset_fields(self) -> None:
        """Clear the derivatives."""
        for field in self._fields.values():
            field.reset()

    @staticmethod
    def _read(field: ObservationField, samples: Mapping[str, Sample]) -> Sequence[float] | None:
        """Compute a field; None while a derivative is not known yet."""
        try:
            return field.read(samples)
        except ObservationError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise ObservationError(f'{field.entry.name}: {error}') from error
