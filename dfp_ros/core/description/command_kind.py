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
Whether a command is a position or a velocity, by everything that a description says of it.

What stops a velocity is a zero, and a zero sent to a position is a place that the robot is driven
to. What stops a position is its last number, and a velocity that is sent its last number goes on.
So a description whose unit, message, names and keys do not say together what its ``stop`` takes
for granted is refused with the question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import re

from dfp_ros.core.units import EFFORT, read_unit

POSITION, VELOCITY, OTHER = 'position', 'velocity', 'other'
KINDS = (POSITION, VELOCITY, OTHER)
_TORQUE = 'effort'

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
    **dict.fromkeys(('acceleration', 'accelerations', 'accel', 'jerk'), OTHER)}
# Words in names that people choose, of topics and action fields.
_NAME_WORDS = {
    **dict.fromkeys((
        'position', 'positions', 'pos', 'pose', 'poses', 'angle', 'angles', 'orientation',
        'displacement', 'height'), POSITION),
    **dict.fromkeys((
        'velocity', 'velocities', 'vel', 'twist', 'speed', 'speeds', 'rate', 'rates'), VELOCITY)}
_WORD = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+')


@dataclass(frozen=True)
class Said:
    """
    What a description says of one field of a command.

    :param unit: Its unit.
    :param type: The message type.
    :param paths: Message fields that its numbers go to.
    :param topic: The topic's name.
    :param action: The action field's name.
    :param places: Keys that are about where the robot is: ``measured``, ``limits.position``.
    :param kind: What the key ``kind`` says, or empty.
    """

    unit: str
    type: str
    paths: tuple[str, ...]
    topic: str
    action: str
    places: tuple[str, ...] = ()
    kind: str = ''

    def by_message(self) -> dict[str, str]:
        """Tell what message fields and type say, each kind with what says so."""
        found = {}
        name = self.type.rpartition('/')[2]
        for path in self.paths:
            if kind := _last(path, _MESSAGE_WORDS):
                found[kind] = f'the message field {path!r}'
            elif kind := _last(name, _MESSAGE_WORDS):
                found[kind] = f'the message type {name}'
        return found

    def by_unit(self) -> dict[str, str]:
        """Tell what the unit says."""
        unit = read_unit(self.unit)
        kind = (
            POSITION if unit.is_position else VELOCITY if unit.is_rate
            else _TORQUE if unit.measures == EFFORT else '')
        return {kind: f'the unit {self.unit!r}'} if kind else {}

    def by_name(self) -> dict[str, str]:
        """Tell what names say."""
        found = {}
        for what, name in (('topic', self.topic), ('action', self.action)):
            kinds = set(_known(name, _NAME_WORDS))
            # A velocity_position_controller may be either.
            if kind := POSITION if POSITION in kinds else next(iter(kinds), ''):
                found[kind] = f'the name of the {what} {name!r}'
        return found


def stop_fault(said: Said, stop: str, stops: str) -> str:
    """
    Say why a stop does not fit a command, or what it takes for granted; empty where it fits.

    :param said: What the description says of the command.
    :param stop: Its stop, for messages.
    :param stops: What such a stop stops, one of :data:`KINDS`.
    """
    message, unit = said.by_message(), said.by_unit()
    if stops == VELOCITY:
        return _zero_fault(said, stop, message, unit)
    goes_on = _listed(VELOCITY, message, unit)
    if not goes_on or (stops == OTHER and said.kind == OTHER):
        return ''
    if stops == POSITION:
        return (
            f'found stop: {stop}, which goes on sending the last number, for what is a velocity '
            f'by {goes_on}: the robot would go on. Use stop: zero, or ramp')
    return (
        f'found stop: {stop}, which goes on sending the last number, for what is a velocity by '
        f'{goes_on}. Is the robot to go on at that velocity when it is stopped? If not, use stop: '
        'zero, or ramp; if so, add kind: other')


def _zero_fault(
        said: Said, stop: str, message: dict[str, str], unit: dict[str, str]) -> str:
    """Say why a zero may not stop a command."""
    names = said.by_name()
    place = f'found stop: {stop}, which sends 0, for what is a position by '
    to_zero = ': the robot would be driven to 0'
    remedy = (
        'Use stop: hold, with measured and limits.velocity, or stop: keep for what stays as it '
        'was, such as a gripper')
    if POSITION in message:
        return f'{place}{message[POSITION]}{to_zero}. {remedy}'
    is_velocity = _listed(VELOCITY, message, unit) or _listed(_TORQUE, message, unit)
    question = (
        f'found stop: {stop}, which sends 0. Is this a velocity, or a position, which would be '
        'driven to 0? ')
    if POSITION in unit:
        if VELOCITY not in message:
            return f'{place}{unit[POSITION]}{to_zero}. {remedy}'
        return '' if said.kind == VELOCITY else (
            f'{question}It is a velocity by {message[VELOCITY]}, and a position by '
            f'{unit[POSITION]}. If it is a velocity, add kind: velocity')
    if said.places and not is_velocity:
        return (
            f'{place}{" and ".join(said.places)}, in the unit {said.unit!r}{to_zero}. {remedy}')
    if POSITION in names and not (is_velocity and said.kind == VELOCITY):
        return f'{place}{names[POSITION]}{to_zero}. {remedy}' if not is_velocity else (
            f'{question}It is a velocity by {is_velocity}, and a position by {names[POSITION]}. '
            'If it is a velocity, add kind: velocity')
    if is_velocity or said.kind == VELOCITY:
        return ''
    return (
        f'{question}Neither the unit {said.unit!r} nor the message says so. For a velocity, give '
        f'its unit, or add kind: velocity. For a position, {remedy[0].lower()}{remedy[1:]}')


def _listed(kind: str, *found: dict[str, str]) -> str:
    """Say what says that something is of a kind; empty where nothing does."""
    return ' and '.join(each[kind] for each in found if kind in each)


def _last(text: str, words: dict[str, str]) -> str:
    """Find the kind of the last word that is known."""
    return next(reversed([*_known(text, words)]), '')


def _known(text: str, words: dict[str, str]) -> Iterator[str]:
    """List the kinds of all words that are known."""
    for word in _WORD.findall(text[:1000]):
        if kind := words.get(word.lower()):
            yield kind
