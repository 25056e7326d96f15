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
"""
Kind of a command, position or velocity, inferred from everything the description says about it.

A velocity is stopped by a zero, but a zero sent to a position drives the robot to that position. A
position is stopped by repeating its last number, but a velocity, an effort or an acceleration goes
on if its last number is repeated. A description is therefore refused, with a question, unless its
unit, message, names and keys together confirm the kind that its ``stop`` assumes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import re

from dfp_ros.core.units import EFFORT, looks_like_rate, read_unit
from dfp_ros.core.units import OTHER as UNKNOWN

POSITION, VELOCITY, OTHER = 'position', 'velocity', 'other'
KINDS = (POSITION, VELOCITY, OTHER)
_TORQUE, _ACCELERATION = 'effort', 'acceleration'
# Kinds that move the robot for as long as they are sent, with their articles.
_MOVING = {VELOCITY: 'a velocity', _TORQUE: 'an effort', _ACCELERATION: 'an acceleration'}

# Words in paths and message types; the last one that is known counts.
_MESSAGE_WORDS = {
    **dict.fromkeys((
        'position', 'positions', 'pos', 'pose', 'poses', 'point', 'orientation', 'rotation',
        'rotations', 'quaternion', 'translation', 'transform', 'transforms', 'angle', 'angles',
        'displacement', 'displacements', 'heading', 'yaw', 'pitch', 'roll', 'pan', 'tilt',
        'height', 'altitude', 'latitude', 'longitude'), POSITION),
    **dict.fromkeys((
        'velocity', 'velocities', 'vel', 'twist', 'speed', 'speeds', 'rate', 'rates'), VELOCITY),
    **dict.fromkeys((
        'effort', 'efforts', 'torque', 'torques', 'force', 'forces', 'wrench', 'current',
        'currents', 'voltage', 'thrust', 'throttle'), _TORQUE),
    **dict.fromkeys(('acceleration', 'accelerations', 'accel', 'jerk'), _ACCELERATION)}
# Words in names that people choose, of topics and action fields.
_NAME_WORDS = {
    **dict.fromkeys((
        'position', 'positions', 'pos', 'pose', 'poses', 'angle', 'angles', 'orientation',
        'displacement', 'height'), POSITION),
    **dict.fromkeys((
        'velocity', 'velocities', 'vel', 'vels', 'twist', 'speed', 'speeds', 'spd', 'rate',
        'rates', 'omega', 'qd', 'dq', 'qdot', 'rpm', 'rps', 'jog'), VELOCITY),
    **dict.fromkeys((
        'effort', 'efforts', 'torque', 'torques', 'force', 'forces', 'wrench', 'current',
        'currents', 'voltage', 'voltages', 'thrust', 'throttle', 'power', 'pwm', 'duty'), _TORQUE),
    **dict.fromkeys((
        'acceleration', 'accelerations', 'accel', 'acc', 'jerk'), _ACCELERATION)}
# Parts of words that are written without a mark between them, such as cmdvel and jointvelocities.
_STEMS = {
    **dict.fromkeys(('velocit', 'speed', 'twist', 'cmdvel', 'jointvel', 'wheelvel'), VELOCITY),
    **dict.fromkeys(('effort', 'torque', 'wrench', 'thrust', 'throttle'), _TORQUE),
    'accel': _ACCELERATION}
# A largest effort is no effort, and neither is a mode.
_NO_EFFORT = re.compile(
    r'(?:^|_)(?:max|maximum|limits?|mode|type|id|enabled?|use)(?:_|$)', re.IGNORECASE)
_WORD = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+')


@dataclass(frozen=True)
class KindEvidence:
    """
    Evidence for the kind of one field of a command.

    :param unit: Its unit.
    :param type: The message type.
    :param paths: Message fields that its numbers go to.
    :param topic: The topic's name.
    :param action: The action field's name.
    :param keys: Keys that only positions have: ``measured``, ``limits.position``.
    :param kind: Value of the key ``kind``, or empty.
    """

    unit: str
    type: str
    paths: tuple[str, ...]
    topic: str
    action: str
    keys: tuple[str, ...] = ()
    kind: str = ''

    def by_message(self) -> dict[str, str]:
        """Kinds implied by message fields and type, with the evidence for each."""
        found = {}
        name = self.type.rpartition('/')[2]
        for path in self.paths:
            if kind := _last(path, _MESSAGE_WORDS):
                found[kind] = f'the message field {path!r}'
            elif kind := _last(name, _MESSAGE_WORDS):
                found[kind] = f'the message type {name}'
        return found

    def by_unit(self) -> dict[str, str]:
        """Kind implied by the unit."""
        unit = read_unit(self.unit)
        kind = (
            POSITION if unit.is_position else VELOCITY if unit.is_rate
            else _ACCELERATION if unit.is_acceleration
            else _TORQUE if unit.measures == EFFORT else '')
        return {kind: f'the unit {self.unit!r}'} if kind else {}

    def by_name(self) -> dict[str, str]:
        """Kinds implied by the names."""
        found = {}
        for what, name in self._names():
            kinds = [*_known(name, _NAME_WORDS)]
            # A velocity_position_controller may be either.
            if kind := POSITION if POSITION in kinds else next(iter(kinds), ''):
                found[kind] = f'the name of the {what} {name!r}'
        return found

    def may_move(self) -> dict[str, str]:
        """Return the evidence for a possible velocity, effort or acceleration."""
        found = {}
        unit = read_unit(self.unit)
        if unit.measures == UNKNOWN:
            for kind in ([VELOCITY] if looks_like_rate(self.unit) else _moving(self.unit)):
                found[kind] = f'the unit {self.unit!r}'
        if POSITION in self.by_message():
            return found
        fields = [('message field', path) for path in self.paths]
        for what, name in (
                *fields, ('message type', self.type.rpartition('/')[2]), *self._names()):
            if unit.is_position and POSITION in _known(name, _NAME_WORDS):
                continue
            for kind in _moving(name):
                found.setdefault(kind, f'the name of the {what} {name!r}')
        return {kind: found[kind] for kind in _MOVING if kind in found}

    def _names(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """List the names, each with the thing that it names."""
        return ('topic', self.topic), ('action', self.action)


def stop_fault(evidence: KindEvidence, stop: str, stops: str) -> str:
    """
    Explain why a stop does not fit a command, or which kind it assumes; empty if it fits.

    :param evidence: Evidence in the description.
    :param stop: Its stop, for messages.
    :param stops: Kind that this stop is for, one of :data:`KINDS`.
    """
    message, unit = evidence.by_message(), evidence.by_unit()
    if stops == VELOCITY:
        return _zero_fault(evidence, stop, message, unit)
    if stops == OTHER == evidence.kind:
        return ''
    return _last_fault(evidence, stop, stops, message, unit)


def measured_fault(path: str) -> str:
    """
    Name what a message field has instead of a position; empty if it may have one.

    :param path: The field that a position is read from, with its component if it has one.
    """
    kind = _last(path, _MESSAGE_WORDS)
    return f'found the message field {path!r}, which is {_MOVING[kind]}' if kind in _MOVING else ''


def quantity(path: str) -> tuple[str, int | None]:
    """
    Name the quantity of a message field.

    :param path: The field.
    :return: Its name with an article, and the power of the second in its unit, None for an effort;
        an empty name if it is not known.
    """
    kind = _last(path, _MESSAGE_WORDS)
    return {POSITION: 'a position', **_MOVING}.get(kind, ''), {
        POSITION: 0, VELOCITY: -1, _ACCELERATION: -2}.get(kind)


def fixed_fault(evidence: KindEvidence, is_beside: bool) -> str:
    """
    Name the kind of a constant number that no stop ends; empty if it moves nothing.

    :param evidence: Message type and path of the number.
    :param is_beside: Whether the number is a component of a field that is stopped by zeros.
    """
    kind = next((kind for kind in evidence.by_message() if kind in _MOVING), '')
    # GripperCommand.max_effort.
    if kind and kind != VELOCITY and _NO_EFFORT.search(evidence.paths[0].rpartition('.')[2]):
        return ''
    return _MOVING[kind] if kind else _MOVING[VELOCITY] if is_beside else ''


def _last_fault(
        evidence: KindEvidence, stop: str, stops: str, message: dict[str, str],
        unit: dict[str, str]) -> str:
    """Say why the last number may not stop a command."""
    found = f'found stop: {stop}, which goes on sending the last number, for a value that '
    for kind, name in _MOVING.items():
        if why := _listed(kind, message, unit):
            if stops == POSITION:
                return (
                    f'{found}is {name} by {why}: the robot would go on. Use stop: zero, or ramp')
            what = 'at that velocity' if kind == VELOCITY else f'with that {kind}'
            return (
                f'{found}is {name} by {why}. Is the robot to go on {what} when it is stopped? If '
                'not, use stop: zero, or ramp; if so, add kind: other')
    if stops == evidence.kind:
        return ''
    for kind, why in evidence.may_move().items():
        what = (
            'a position, add kind: position' if stops == POSITION else
            'a value that may stay as it was last sent, such as a gripper, add kind: other')
        return (
            f'{found}may be {_MOVING[kind]} by {why}: the robot would go on. What stops it? For '
            f'{_MOVING[kind]}, use stop: zero, or ramp, with kind: velocity. For {what}')
    return ''


def _zero_fault(
        evidence: KindEvidence, stop: str, message: dict[str, str], unit: dict[str, str]) -> str:
    """Explain why a zero may not stop a command."""
    names = evidence.by_name()
    found = f'found stop: {stop}, which sends 0, for a value that is a position by '
    to_zero = ': the robot would be driven to 0'
    remedy = (
        'Use stop: hold, with measured and limits.velocity, or stop: keep for a value that '
        'stays as it was, such as a gripper')
    if POSITION in message:
        return f'{found}{message[POSITION]}{to_zero}. {remedy}'
    is_velocity = _listed(VELOCITY, message, unit) or _listed(_TORQUE, message, unit)
    question = (
        f'found stop: {stop}, which sends 0. Is this a velocity, or a position, which would be '
        'driven to 0? ')
    if POSITION in unit:
        if VELOCITY not in message:
            return f'{found}{unit[POSITION]}{to_zero}. {remedy}'
        return '' if evidence.kind == VELOCITY else (
            f'{question}It is a velocity by {message[VELOCITY]}, and a position by '
            f'{unit[POSITION]}. If it is a velocity, add kind: velocity')
    if evidence.keys and not is_velocity:
        return (
            f'{found}{" and ".join(evidence.keys)}, in the unit {evidence.unit!r}{to_zero}. '
            f'{remedy}')
    if POSITION in names and not (is_velocity and evidence.kind == VELOCITY):
        return f'{found}{names[POSITION]}{to_zero}. {remedy}' if not is_velocity else (
            f'{question}It is a velocity by {is_velocity}, and a position by {names[POSITION]}. '
            'If it is a velocity, add kind: velocity')
    if is_velocity or evidence.kind == VELOCITY:
        return ''
    return (
        f'{question}Neither the unit {evidence.unit!r} nor the message says so. For a velocity, '
        f'give its unit, or add kind: velocity. For a position, {remedy[0].lower()}{remedy[1:]}')


def _listed(kind: str, *found: dict[str, str]) -> str:
    """List the evidence for a kind; empty if there is none."""
    return ' and '.join(each[kind] for each in found if kind in each)


def _last(text: str, words: dict[str, str]) -> str:
    """Return the kind of the last known word."""
    return next(reversed([*_known(text, words)]), '')


def _moving(text: str) -> list[str]:
    """List the kinds that names say which move the robot, also by parts of words."""
    kinds = [*_known(text, _NAME_WORDS)]
    kinds += [kind for stem, kind in _STEMS.items() if stem in text[:1000].casefold()]
    return [kind for kind in _MOVING if kind in kinds]


def _known(text: str, words: dict[str, str]) -> Iterator[str]:
    """Iterate over the kinds of all known words."""
    for word in _WORD.findall(text[:1000]):
        if kind := words.get(word.lower()):
            yield kind
