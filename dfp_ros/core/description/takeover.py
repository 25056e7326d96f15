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
"""Takeover of a robot description: how a person commands the robot in the policy's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dfp_ros.core.description.command_kind import KindEvidence, POSITION
from dfp_ros.core.description.command_kind import VELOCITY as SPEED
from dfp_ros.core.description.commands import CommandEntry, CommandTopic, Stop
from dfp_ros.core.description.field_selector import FieldSelector, read_path
from dfp_ros.core.description.observation import ObservationEntry, ORDERS, read_observation
from dfp_ros.core.description.sources import BEFORE_TICK, read_source, Source, TF
from dfp_ros.core.description.yaml_section import DescriptionError, Section
from dfp_ros.core.rotations import COMMAND_ENCODINGS

#: Meanings of a person's numbers.
VELOCITY, TARGET, INCREMENT, DISPLACEMENT = 'velocity', 'target', 'increment', 'displacement'
MEANINGS = (VELOCITY, TARGET, INCREMENT, DISPLACEMENT)
#: Responses to a source of the person that falls silent, or cannot be read, during a takeover.
END, HOLD = 'end', 'hold'
# Value above which a button is pressed.
_PRESSED = 0.5
# Longest max_age of a person's source in s: for as long a robot moves on if the device is lost.
_LONGEST = 5.0
_OWN = ('numbers', 'dead_zone')


@dataclass(frozen=True)
class DeadMan:
    """
    Dead-man switch: the person commands only while it is held.

    :param source: One of the person's sources.
    :param where: File, line and key, for messages.
    :param reading: The number that is compared; None if the source only has to be fresh.
    :param limit: It is held while the number is above this.
    :param is_below: While the number is below it instead.
    """

    source: str
    where: str
    reading: FieldSelector | None = None
    limit: float = _PRESSED
    is_below: bool = False


@dataclass(frozen=True)
class PersonEntry:
    """
    Numbers of a field of the action that a person commands.

    :param action: The action field's name.
    :param numbers: Indices of the numbers within the field, in the order of the reading.
    :param meaning: One of :data:`MEANINGS`.
    :param reading: How they are read; in the action's unit, or its change per second.
    :param dead_zone: Width of the dead zone around 0, one a number, as a fraction of full scale
        before ``scale``; empty for none.
    """

    action: str
    numbers: tuple[int, ...]
    meaning: str
    reading: ObservationEntry
    dead_zone: tuple[float, ...] = ()

    @property
    def source(self) -> str:
        """Name of the person's source that its numbers come from."""
        assert self.reading.reading is not None, 'a person is no constant'
        return self.reading.reading.source


@dataclass(frozen=True)
class Takeover:
    """
    How a person commands the robot.

    :param sources: The person's sources by name.
    :param dead_man: The dead-man switch.
    :param entries: What the person commands; other outputs are stopped meanwhile.
    :param needs: Sources of the robot that have to be fresh for a person's command too.
    :param when_stale: :data:`END` or :data:`HOLD`.
    """

    sources: Mapping[str, Source]
    dead_man: DeadMan
    entries: tuple[PersonEntry, ...]
    needs: tuple[str, ...]
    when_stale: str = END

    @property
    def readings(self) -> tuple[FieldSelector, ...]:
        """All field selectors of the person's sources."""
        own = () if self.dead_man.reading is None else (self.dead_man.reading,)
        return (*own, *(reading for entry in self.entries for reading in entry.reading.readings))


def read_takeover(
        section: Section, sources: Mapping[str, Source], commands: Sequence[CommandTopic],
) -> Takeover:
    """
    Read how a person takes over.

    :param section: Its keys.
    :param sources: Sources of the robot by name.
    :param commands: Command topics of the robot.
    :raises DescriptionError: At the first error.
    """
    keys = section.mapping(('sources', 'dead_man', 'fields'), ('needs', 'when_stale'))
    people = {
        name: _read_person(name, item, sources, commands)
        for name, item in keys['sources'].entries().items()}
    if not people:
        raise keys['sources'].error("found no source, expected the topics of a person's commands")
    dead_man = _read_dead_man(keys['dead_man'], people)
    entries = _read_entries(keys['fields'], people, commands)
    used = {dead_man.source, *(
        reading.source for entry in entries for reading in entry.reading.readings)}
    for name in people:
        if name not in used:
            raise keys['sources'].entries()[name].error(
                'found a source that neither a field nor dead_man reads; leave it out')
    require_a_person(dead_man, entries, people, sources, commands, _name)
    when_stale = keys['when_stale'].choice((END, HOLD)) if 'when_stale' in keys else END
    if when_stale == HOLD and dead_man.reading is None:
        raise keys['when_stale'].error(
            "found 'hold' with a dead_man without path: letting go could not be told from a "
            'fault, and the robot would never go back to the policy; give dead_man the path of a '
            'button or of a Bool, or use end')
    return Takeover(
        MappingProxyType(people), dead_man, entries,
        _read_needs(keys.get('needs'), sources, commands), when_stale)


def _read_person(
        name: str, section: Section, robot: Mapping[str, Source],
        commands: Sequence[CommandTopic]) -> Source:
    """Read one source of the person."""
    keys = section.entries()
    if name in robot:
        raise section.error(f'found the name {name!r}, which a source of the robot has already')
    if 'when_stale' in keys:
        raise keys['when_stale'].error(
            'found this key for a source of the person; takeover.when_stale is for all of them')
    if 'type' in keys and keys['type'].text() == TF:
        raise keys['type'].error(
            'found transforms, expected messages of the person: a transform goes on being '
            'published when nobody holds the device')
    source = read_source(name, section)
    if source.is_latched:
        raise keys['qos'].error(
            'found durability transient_local: a command that was given before the node started '
            'must not move the robot; use volatile')
    if source.sampling == BEFORE_TICK:
        raise keys['sampling'].error(
            "found before_tick; a person's newest message is the one that counts")
    if source.max_age > _LONGEST:
        raise keys['max_age'].error(
            f'found {source.max_age:g} s, expected at most {_LONGEST:g} s: so long would the '
            'robot go on as it was last asked to if the device is unplugged; have the device '
            'repeat its messages (joy_node: autorepeat_rate)')
    for topic in commands:
        if _name(source) == topic.topic.removeprefix('/'):
            raise section.error(
                f'found the topic {source.topic!r}, which a command goes to; a person commands '
                'through this node, on a topic of the person')
    return source


def _name(source: Source) -> str:
    """Return a topic's name without its slash: without a namespace, joy and /joy are one topic."""
    return source.topic.removeprefix('/')


def require_a_person(
        dead_man: DeadMan, entries: Sequence[PersonEntry], people: Mapping[str, Source],
        robot: Mapping[str, Source], commands: Sequence[CommandTopic],
        name: Callable[[Source], str]) -> None:
    """
    Require that no topic of the robot is taken for a person's.

    Its messages come whether or not somebody commands, and a robot that follows its own position
    drifts.

    :param dead_man: The dead-man switch.
    :param entries: What the person commands.
    :param people: Sources of the person by name.
    :param robot: Sources of the robot by name.
    :param commands: Command topics of the robot.
    :param name: Returns the full name of a source's topic.
    :raises DescriptionError: If one is.
    """
    def shown_topic(source: Source) -> str:
        full, written = name(source), source.topic
        return f'{written!r}' + (
            f' (as remapped, {full})' if full.lstrip('/') != written.lstrip('/') else '')

    own = {name(source): source.name for source in robot.values()}
    topic = name(people[dead_man.source])
    if dead_man.reading is None and topic in own:
        raise DescriptionError(
            f'{dead_man.where}: found the topic {shown_topic(people[dead_man.source])} without '
            'path, which the source '
            f'{own[topic]!r} of the robot has, too: it is published whether or not a '
            'person commands, so that the dead-man would always be held; give the person a topic '
            'of its own, or dead_man the path of a button')
    measured = {
        (name(robot[reading.source]), number)
        for each in commands for entry in each.entries if entry.measured is not None
        for reading in entry.measured.readings for number in _numbers_of(reading)}
    for entry in entries:
        for reading in entry.reading.readings:
            for number in _numbers_of(reading):
                if (name(people[reading.source]), number) in measured:
                    raise DescriptionError(
                        f'{entry.reading.where}: found {number} of the topic '
                        f'{shown_topic(people[reading.source])}, where the robot itself is '
                        'measured: it would follow its own motion; name the topic of the '
                        "person's device")


def _numbers_of(reading: FieldSelector) -> list[str]:
    """List the numbers of a selector by name."""
    if reading.components:
        return [f'{reading.path}.{component}' for component in reading.components]
    if reading.joints:
        return [f'{reading.path} of {joint}' for joint in reading.joints]
    return [f'{reading.path}[{index}]' for index in reading.indices] or [reading.path]


def _read_dead_man(section: Section, people: Mapping[str, Source]) -> DeadMan:
    """Read the dead-man switch."""
    keys = section.mapping(('source',), ('path', 'above', 'below'))
    section.at_most_one(keys, ('above', 'below'))
    source = keys['source'].choice(people)
    if 'path' not in keys:
        for key in ('above', 'below'):
            if key in keys:
                raise keys[key].error('found this key without path, the number that it is for')
        return DeadMan(source, section.where)
    reading = FieldSelector(source, read_path(keys['path']), (), (), (), section.where)
    if 'below' in keys:
        return DeadMan(source, section.where, reading, keys['below'].number(), True)
    return DeadMan(
        source, section.where, reading, keys['above'].number() if 'above' in keys else _PRESSED)


def _read_entries(
        section: Section, people: Mapping[str, Source],
        commands: Sequence[CommandTopic]) -> tuple[PersonEntry, ...]:
    """Read what the person commands."""
    outputs = {
        entry.action: (entry, topic.stop_of(entry), topic.frame_id) for topic in commands
        for entry in topic.entries}
    entries: list[PersonEntry] = []
    taken: set[tuple[str, int]] = set()
    for item in section.items():
        entries.append(entry := _read_entry(item, people, outputs))
        for number in entry.numbers:
            if (entry.action, number) in taken:
                raise item.error(
                    f'found {entry.action}[{number}] a second time; a number of the action has '
                    'one source')
            taken.add((entry.action, number))
    return tuple(entries)


def _read_entry(
        section: Section, people: Mapping[str, Source],
        outputs: Mapping[str, tuple[CommandEntry, Stop, str]]) -> PersonEntry:
    """Read some numbers of one field."""
    keys = section.mapping(('action', 'meaning', 'source', 'path'), tuple(section.entries()))
    action = keys['action'].choice(outputs)
    output, stop, frame = outputs[action]
    meaning = keys['meaning'].choice(MEANINGS)
    reading = read_observation(
        section, people, action, output.unit, ('action', 'meaning'), _OWN)
    numbers = keys['numbers'].indices() if 'numbers' in keys else tuple(range(output.size))
    for number in numbers:
        if number >= output.size:
            raise keys['numbers'].error(
                f'found {number}, but {action} has {output.size} numbers, counted from 0')
    if reading.size != len(numbers):
        raise section.error(
            f'found {reading.size} numbers to read for {len(numbers)} of {action}; '
            + ('numbers says which of them the person commands' if 'numbers' not in keys
               else 'expected as many'))
    own = output.urdf_joints
    for joint, number in zip(reading.joints, numbers, strict=False):
        if joint in own and own.index(joint) != number:
            raise section.error(
                f'found the joint {joint!r} for the number {number} of {action}, which is that of '
                f'the joint {own[number]!r}: a person who moves one would move the other; give '
                'both lists in one order, or numbers')
    _check_meaning(keys, output, stop, meaning)
    _check_source(section, keys, people, meaning)
    source = people[keys['source'].text()]
    if (output.components or output.rotation) and reading.frame is None and (
            source.frame and frame and source.frame != frame.lstrip('/')):
        raise keys['source'].error(
            f'found the source {source.name!r} in the frame {source.frame!r} for {action}, which '
            f'is commanded in {frame!r}: it would move in another direction; have the device '
            'publish in that frame')
    if meaning in (VELOCITY, INCREMENT) and any(
            not low <= 0 <= high for low, high in zip(reading.low, reading.high, strict=True)):
        raise keys['clip'].error(
            f'found bounds without 0, so that a person could not hold {action} still; expected '
            'a lower bound of at most 0 and an upper one of at least 0')
    if output.rotation:
        _check_rotation(section, output, reading, numbers)
    return PersonEntry(
        action, numbers, meaning, reading,
        _read_dead_zone(keys['dead_zone'], len(numbers)) if 'dead_zone' in keys else ())


def _check_meaning(
        keys: Mapping[str, Section], output: CommandEntry, stop: Stop, meaning: str) -> None:
    """Require a meaning that an output can follow."""
    if stop.kind == 'velocity' and meaning != VELOCITY:
        raise keys['meaning'].error(
            f'found {meaning!r} for {output.action}, which is a velocity (stop: {stop.value}); '
            'only meaning: velocity commands it: a sum of increments would keep the robot moving, '
            'and a target needs a position output')
    if output.rotation and meaning != TARGET:
        raise keys['meaning'].error(
            f'found {meaning!r} for {output.action}, which is a rotation; its numbers do not add '
            'up, so only meaning: target commands it')


def _check_source(
        section: Section, keys: Mapping[str, Section], people: Mapping[str, Source],
        meaning: str) -> None:
    """Require a scale to take a position for a velocity, or anything else for a position."""
    path, source = keys['path'].text(), people[keys['source'].text()]
    found = KindEvidence('', source.type, (path,), '', '').by_message()
    kind, wanted = next(iter(found), ''), {
        VELOCITY: SPEED, TARGET: POSITION, DISPLACEMENT: POSITION}.get(meaning, '')
    if kind and wanted and kind != wanted and 'scale' not in keys:
        raise section.error(
            f'found meaning: {meaning}, which needs a {wanted}, but {found[kind]} says {kind}; '
            'name another message field or meaning or, if it is meant, the scale between the two')


def _check_rotation(
        section: Section, output: CommandEntry, reading: ObservationEntry,
        numbers: tuple[int, ...]) -> None:
    """Require that a rotation is read in its own encoding, and as a whole."""
    order = ORDERS.get(output.rotation)
    fits = reading.components == order if order else reading.transform == output.rotation
    if not fits or numbers != tuple(range(COMMAND_ENCODINGS[output.rotation].size)):
        raise section.error(
            f'{output.action} is a rotation, {output.rotation}; expected '
            + (f'components: [{", ".join(order)}]' if order else f'transform: {output.rotation}')
            + ', and all of its numbers in order')


def _read_dead_zone(section: Section, size: int) -> tuple[float, ...]:
    """Read the dead zone, one for all numbers or one for each."""
    zones = section.numbers(size)
    for zone in zones:
        if not 0 <= zone < 1:
            raise section.error(
                f'found {zone:g}, expected a fraction of full scale, from 0 to below 1')
    return zones


def _read_needs(
        section: Section | None, sources: Mapping[str, Source],
        commands: Sequence[CommandTopic]) -> tuple[str, ...]:
    """Find the sources of the robot that a person's command needs; feedback is always needed."""
    needed = {
        reading.source for topic in commands for entry in topic.entries
        if entry.measured is not None for reading in entry.measured.readings}
    if section is not None:
        needed.update(item.choice(sources) for item in section.items())
    return tuple(name for name in sources if name in needed)
