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
"""Fields of the observation in a robot description, and how they are computed from sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dfp_ros.core.description.field_selector import (
    FieldSelector,
    KEYS,
    PICKS,
    QUATERNION,
    read_path,
    read_reading,
)
from dfp_ros.core.description.message_units import rate_fault, unit_fault
from dfp_ros.core.description.sources import Source
from dfp_ros.core.description.yaml_section import Section
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS, WXYZ, XYZW

WAIT, FILL = 'wait', 'fill'
_POINT = ('x', 'y', 'z')
OPTIONAL = (*KEYS, 'transform', 'minus', 'relative_to', 'offset', 'scale', 'clip')
# Largest length of a history, in ticks.
MOST_TICKS = 1000
#: Components of quaternions that are commanded, by their encoding.
ORDERS = {XYZW: ('x', 'y', 'z', 'w'), WXYZ: QUATERNION}
# Keys that need samples of earlier ticks.
EARLIER = ('derivative', 'history', 'at_start', 'max_rate', 'changes_within')


@dataclass(frozen=True)
class Frame:
    """
    Reference frame of a point or a rotation.

    :param orientation: Its rotation, w x y z.
    :param position: Its origin, x y z; None for a rotation, which does not need it.
    """

    orientation: FieldSelector
    position: FieldSelector | None


@dataclass(frozen=True)
class ObservationEntry:
    """
    A field of the observation: ``(value + offset) * scale``, clipped.

    :param name: The field's name, as in the policy's specification.
    :param unit: The field's unit after scaling, as in the policy's specification.
    :param where: File, line and key, for messages.
    :param offset: One a number, in the message's unit; of a constant, the constant.
    :param scale: One a number.
    :param reading: Field selector; None for a constant.
    :param order: Indices of the computed numbers, in order; empty for all of them.
    :param transform: Empty, or a name of
        :data:`dfp_ros.core.rotations.OBSERVATION_ENCODINGS`.
    :param minus: Subtracted field, or None.
    :param frame: Reference frame, or None.
    :param derivative: Whether its change a second is meant.
    :param low: Lower bounds, one a number; empty if it is not clipped.
    :param high: Upper bounds.
    :param history: Count of the ticks in it, this one included; the oldest comes first.
    :param at_start: While earlier ticks are missing, :data:`WAIT`, or :data:`FILL` with a
        derivative of 0 and with repetitions of the first.
    :param max_rate: Largest rate of change in the field's unit per second, before derivative and
        clip, one for each number; empty for any.
    :param changes_within: Seconds within which it has to change; 0 if it need not.
    """

    name: str
    unit: str
    where: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    reading: FieldSelector | None = None
    order: tuple[int, ...] = ()
    transform: str = ''
    minus: FieldSelector | None = None
    frame: Frame | None = None
    derivative: bool = False
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    history: int = 1
    at_start: str = WAIT
    max_rate: tuple[float, ...] = ()
    changes_within: float = 0.0

    @property
    def width(self) -> int:
        """Count of its numbers at one tick."""
        return len(self.offset)

    @property
    def size(self) -> int:
        """Count of its numbers in the observation, with history."""
        return self.width * self.history

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints of its numbers, or empty."""
        return () if self.reading is None else self.reading.joints

    @property
    def components(self) -> tuple[str, ...]:
        """Members of a message field that its numbers are, in order; empty for other numbers."""
        if self.reading is None or self.transform:
            return ()
        whole = self.reading.components
        return tuple(whole[i] for i in self.order) or whole

    @property
    def readings(self) -> tuple[FieldSelector, ...]:
        """All of its field selectors."""
        frame = (self.frame.orientation, self.frame.position) if self.frame else ()
        return tuple(
            reading for reading in (self.reading, self.minus, *frame) if reading is not None)


def read_observation(
        section: Section, sources: Mapping[str, Source], name: str = '', unit: str = '',
        needed: Sequence[str] = (), optional: Sequence[str] = ()) -> ObservationEntry:
    """
    Read one field of the observation.

    :param section: Its keys.
    :param sources: All sources by name.
    :param name: Its name, if it is not one of the keys. Such a field is computed from the newest
        samples only: keys that need earlier ones are refused.
    :param unit: Its unit, if it is not one of the keys.
    :param needed: Further keys that such a field has, which the caller reads.
    :param optional: Further keys that it may have, likewise.
    :raises DescriptionError: At the first error.
    """
    if not name and 'constant' in section.entries():
        keys = section.mapping(('name', 'unit', 'constant'))
        constant = keys['constant'].numbers()
        return ObservationEntry(
            keys['name'].text(), keys['unit'].text(), section.where, constant,
            (1.0,) * len(constant))
    keys = (
        section.mapping(('source', 'path', *needed), (*OPTIONAL, *optional)) if name
        else section.mapping(
            ('name', 'unit', 'source', 'path'), (*OPTIONAL, *EARLIER, 'constant')))
    section.at_most_one(keys, (*PICKS, 'transform'))
    section.at_most_one(keys, ('minus', 'relative_to', 'derivative'))
    reading = read_reading(keys, section, sources)
    transform = ''
    order: tuple[int, ...] = ()
    if 'transform' in keys:
        transform = keys['transform'].choice(OBSERVATION_ENCODINGS)
        reading = replace(reading, components=QUATERNION)
    size = OBSERVATION_ENCODINGS[transform].size if transform else reading.size
    minus = _read_minus(keys['minus'], sources, reading) if 'minus' in keys else None
    frame = None
    if 'relative_to' in keys:
        reading, order = _in_full(keys['relative_to'], reading)
        frame = _read_frame(keys['relative_to'], sources, reading)
    for key, other in (
            ('minus', minus), ('relative_to', None if frame is None else frame.orientation)):
        if other is not None and reading.components:
            _require_one_frame(keys[key], sources[reading.source], sources[other.source])
    derivative = 'derivative' in keys and keys['derivative'].truth()
    if derivative and reading.is_quaternion and (
            not transform or OBSERVATION_ENCODINGS[transform].jumps):
        smooth = ' or '.join(
            name for name, each in OBSERVATION_ENCODINGS.items() if not each.jumps)
        raise keys['derivative'].error(
            f'found the derivative of numbers that jump between near rotations; use {smooth}, or '
            'a message with angular velocity')
    unit = unit or keys['unit'].text()
    if 'scale' not in keys and (fault := unit_fault(
            unit, sources[reading.source].type, reading.path, False)):
        raise section.error(fault)
    if not name and 'scale' not in keys and (fault := rate_fault(
            unit, sources[reading.source].type, reading.path, derivative)):
        raise section.error(fault)
    low, high = _read_clip(keys['clip'], size) if 'clip' in keys else ((), ())
    history = keys['history'].count(2, MOST_TICKS) if 'history' in keys else 1
    if 'at_start' in keys and not derivative and history == 1:
        raise keys['at_start'].error(
            'found this without derivative or history; nothing else has to wait for earlier ticks')
    return ObservationEntry(
        name or keys['name'].text(), unit, section.where,
        keys['offset'].numbers(size) if 'offset' in keys else (0.0,) * size,
        keys['scale'].factors(size) if 'scale' in keys else (1.0,) * size,
        reading, order, transform, minus, frame, derivative, low, high, history,
        keys['at_start'].choice((WAIT, FILL)) if 'at_start' in keys else WAIT,
        _read_rate(keys['max_rate'], size) if 'max_rate' in keys else (),
        keys['changes_within'].positive() if 'changes_within' in keys else 0.0)


def rotation_fault(rotation: str, found: ObservationEntry) -> str:
    """
    Explain why a rotation that is read is not, number by number, one that is commanded.

    :param rotation: Encoding of the command, of :data:`dfp_ros.core.rotations.COMMAND_ENCODINGS`.
    :param found: What is read. Of numbers that are no quaternion in a message, nothing is known.
    :return: The fault; empty if there is none.
    """
    if found.reading is None or not found.reading.is_quaternion:
        return ''
    order = ORDERS.get(rotation, ())
    wanted = f'components: [{", ".join(order)}]' if order else f'transform: {rotation}'
    if found.components != order or not order and found.transform != rotation:
        what = f'transform: {found.transform}' if found.transform else (
            f'components: [{", ".join(found.components)}]')
        return f'found {what} for the rotation {rotation}; expected {wanted}'
    if any(found.offset) or {*found.scale} != {1.0}:
        return f'found scale or offset of a rotation; expected {wanted} without scale and offset'
    return ''


def _read_minus(
        section: Section, sources: Mapping[str, Source], reading: FieldSelector) -> FieldSelector:
    """Read the subtrahend; by default it selects the same numbers as the minuend."""
    keys = section.mapping(('source', 'path'), KEYS)
    if reading.is_quaternion:
        raise section.error(
            'found a difference of rotations, which is none; relative_to turns one into the other')
    is_alike = not any(pick in keys for pick in PICKS)
    # The names of the joints are where those of the minuend are, in messages of the same topic.
    names = reading.names if keys['source'].text() == reading.source else ''
    if is_alike and reading.joints and 'names' in keys:
        names = read_path(keys.pop('names'))
    minus = read_reading(keys, section, sources)
    if is_alike:
        minus = replace(
            minus, components=reading.components, joints=reading.joints, indices=reading.indices)
    if minus.joints and names and 'names' not in keys:
        minus = replace(minus, names=names)
    if minus.size != reading.size:
        raise section.error(f'found {minus.size} numbers to subtract, expected {reading.size}')
    return minus


def _require_one_frame(section: Section, source: Source, other: Source) -> None:
    """Require that two places are in one frame, as far as it is known."""
    if source.frame and other.frame and source.frame != other.frame:
        raise section.error(
            f'found the source {other.name!r} in the frame {other.frame!r}, and {source.name!r} '
            f'in {source.frame!r}; expected both in one frame, as type: tf gives any')


def _in_full(section: Section, reading: FieldSelector) -> tuple[FieldSelector, tuple[int, ...]]:
    """Select all components of a point or a rotation, and return the order of the wanted ones."""
    whole = QUATERNION if reading.is_quaternion else _POINT
    if not reading.components or not set(reading.components) <= set(whole):
        raise section.error(
            'found neither a point nor a rotation to see from there; expected components of '
            '[x, y, z], all of [w, x, y, z], or a transform')
    order = tuple(whole.index(component) for component in reading.components)
    return replace(reading, components=whole), order


def _read_frame(section: Section, sources: Mapping[str, Source], reading: FieldSelector) -> Frame:
    """Read a reference frame."""
    needed = ('source', 'position', 'orientation')
    # A rotation needs no origin; it is accepted, so that fields can share a frame in YAML.
    keys = section.mapping(*(
        (needed[::2], needed[1:2]) if reading.is_quaternion else (needed,)))

    def part(key: str, components: tuple[str, ...]) -> FieldSelector:
        return FieldSelector(
            keys['source'].choice(sources), read_path(keys[key]), components, (), (),
            section.where)

    return Frame(
        part('orientation', QUATERNION),
        None if reading.is_quaternion else part('position', _POINT))


def _read_rate(section: Section, size: int) -> tuple[float, ...]:
    """Read the largest rate of change, one for all numbers or one for each."""
    rate = section.numbers(size)
    if min(rate) <= 0:
        raise section.error(f'found {min(rate):g}, expected numbers above 0')
    return rate


def _read_clip(section: Section, size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the lower and the upper bound, one for all numbers or one for each."""
    bounds = section.items()
    if len(bounds) != 2:
        raise section.error(f'found {len(bounds)} bounds, expected the lower and the upper one')
    low, high = (bound.numbers(size) for bound in bounds)
    if any(upper <= lower for lower, upper in zip(low, high, strict=True)):
        raise section.error('found an upper bound that is not above the lower one')
    return low, high
