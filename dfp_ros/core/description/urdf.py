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
"""Joint limits from a robot's URDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
import math
from typing import Any, NoReturn
from xml.etree import ElementTree

from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import printable

#: Bounds of the input, larger than any URDF of one robot.
LONGEST, MOST_JOINTS = 8 * 1024 * 1024, 10_000
_MOVING = ('revolute', 'prismatic', 'continuous')
# Elements that give limits, and the one of a joint that follows another.
_PARTS = ('limit', 'safety_controller', 'mimic')
_SPACE = ' \t\r\n\ufeff\x00'


class UrdfError(ValueError):
    """A URDF cannot be read, or lacks a limit that is needed."""


@dataclass(frozen=True)
class JointLimits:
    """
    Limits of a joint in a URDF, in rad or m.

    :mod:`dfp_ros.core.description.limit_check` validates them.

    :param low: Lowest position; minus infinity for a joint that turns without end.
    :param high: Highest position; infinity for a joint that turns without end.
    :param velocity: Largest speed; NaN if not given.
    :param kind: The joint's type; empty if it was not recorded.
    :param position_fault: Why its position limits cannot be used; empty if they can.
    :param velocity_fault: Likewise for the speed.
    """

    low: float
    high: float
    velocity: float
    kind: str = ''
    position_fault: str = ''
    velocity_fault: str = ''

    def to_record(self) -> dict[str, Any]:
        """Convert it for JSON, which has no infinite numbers and no NaN."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in vars(self).items()}


def read_joint_limits(text: str) -> dict[str, JointLimits]:
    """
    Read the limits of all joints.

    A fault of a joint is stored with it, and raised by :func:`require_joint` if the joint is used.
    If a joint has a ``safety_controller``, its soft limits apply if they are narrower.

    :param text: The URDF, as ``robot_description`` publishes it.
    :return: Limits by joint name.
    :raises UrdfError: If the text is not a URDF.
    """
    if len(text) > LONGEST:
        raise UrdfError(
            f'URDF: found {len(text)} characters, expected at most {LONGEST}; leave meshes and '
            'the like in files of their own')
    target = _Joints()
    try:
        parser = ElementTree.XMLParser(target=target)
        parser.feed(_without_head(text))
        parser.close()
    except (ElementTree.ParseError, UnicodeError) as error:
        raise UrdfError(f'URDF: found text that is not XML: {error}') from error
    if target.is_xacro and not target.found:
        raise UrdfError(
            'URDF: found xacro macros and no joint; publish the output of the program xacro')
    found = {name: _read_joint(parts) for name, parts in target.found.items()}
    for name, fault in target.repeated.items():
        found[name] = replace(found[name], position_fault=fault, velocity_fault=fault)
    return found


def read_recorded_joints(content: Any) -> dict[str, JointLimits]:
    """
    Read the joint limits that a node recorded.

    :param content: The part ``joints`` of ``~/policy``: their limits by name.
    :raises UrdfError: If a joint is not written as :class:`JointLimits` is.
    """
    known = {member.name: member.type for member in fields(JointLimits)}
    endless = {'low': -math.inf, 'high': math.inf, 'velocity': math.nan}
    found = {}
    if not isinstance(content, dict):
        raise UrdfError(f'recorded joints: found {printable(repr(content))}, expected an object')
    for name, limits in content.items():
        if isinstance(limits, dict):
            limits = {
                key: endless.get(key) if value is None else value for key, value in limits.items()}
        if not isinstance(limits, dict) or not {*endless} <= {*limits} <= {*known} or any(
                not isinstance(value, str if known[key] == 'str' else float | int)
                for key, value in limits.items()):
            raise UrdfError(
                f'recorded joint {printable(name)!r}: found {printable(repr(limits))}, expected '
                f'{", ".join(known)}')
        found[name] = JointLimits(**limits)
    return found


def require_joint(
        limits: Mapping[str, JointLimits], joint: str, where: str,
        wanted: tuple[str, ...] = ()) -> JointLimits:
    """
    Return the limits of one joint.

    :param limits: Limits by joint name.
    :param joint: Its name.
    :param where: File, line and key, for messages.
    :param wanted: Limits that are needed: ``position``, ``velocity`` or both.
    :raises UrdfError: If the joint or a limit is missing.
    """
    if joint not in limits:
        raise UrdfError(
            f'{where}: the URDF has no joint {joint!r}; '
            + (nearest(joint, limits) if limits else 'it has none at all'))
    found = limits[joint]
    for key in wanted:
        fault = found.position_fault if key == 'position' else found.velocity_fault
        if fault:
            raise UrdfError(
                f'{where}: URDF: joint {joint!r} {fault}; give limits.{key} as numbers in the '
                'robot description, or correct the URDF')
    return found


class _Joints:
    """Collects the joints of a URDF; all other elements are discarded."""

    def __init__(self) -> None:
        """Start outside of everything."""
        self.found: dict[str, dict[str, dict[str, str]]] = {}
        self.repeated: dict[str, str] = {}
        self._joint = ''
        self.is_xacro = False
        self._depth = 0
        self._parts: dict[str, dict[str, str]] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        self._depth += 1
        space, _, name = tag.rpartition('}')
        if self._depth == 1:
            if name != 'robot':
                raise UrdfError(f'URDF: found <{tag[:100]}>, expected <robot>')
        elif space.endswith('xacro'):
            self.is_xacro = True
        elif self._depth == 2 and name == 'joint':
            joint = attributes.get('name', '')
            if joint in self.found:
                self.repeated[joint] = 'is in the URDF twice'
            if len(self.found) >= MOST_JOINTS:
                raise UrdfError(f'URDF: found more than {MOST_JOINTS} joints')
            self._parts = self.found[joint] = {'joint': attributes}
            self._joint = joint
        elif self._depth == 3 and self._parts is not None and name in _PARTS:
            if name in self._parts:
                # Which of them counts would be a guess.
                self.repeated.setdefault(self._joint, f'has <{name}> twice')
            self._parts.setdefault(name, attributes)

    def end(self, tag: str) -> None:
        """Leave an element."""
        self._depth -= 1
        if self._depth == 1:
            self._parts = None

    def close(self) -> None:
        """Leave the document."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        """Refuse a DOCTYPE: its entities could expand without end, and a URDF needs none."""
        raise UrdfError('URDF: found a DOCTYPE, which no URDF needs; remove it')


def _without_head(text: str) -> str:
    """Remove the XML declaration and the characters that may precede it in practice."""
    text = text.strip(_SPACE)
    start = 0
    while text.startswith('<!--', start) and (end := text.find('-->', start)) >= 0:
        start = end + len('-->')
        while text[start:start + 1] and text[start] in _SPACE:
            start += 1
    # The text is decoded already, so its declared encoding does not apply.
    if text.startswith('<?xml', start) and (end := text.find('?>', start)) >= 0:
        return text[end + len('?>'):]
    return text


def _read_joint(parts: Mapping[str, Mapping[str, str]]) -> JointLimits:
    """Read the limits of one joint."""
    kind = parts['joint'].get('type', '')[:100]
    unknown = JointLimits(math.nan, math.nan, math.nan, kind)
    if kind not in _MOVING:
        fault = f'is of type {kind!r}, expected one of {", ".join(_MOVING)}'
        return replace(unknown, position_fault=fault, velocity_fault=fault)
    if fault := _following(parts):
        # Its controller ignores commands, or they contradict those of the other.
        return replace(unknown, position_fault=fault, velocity_fault=fault)
    low, high, position_fault = _read_range(kind, parts)
    velocity_fault = _missing(parts, 'velocity')
    try:
        velocity = (
            math.nan if velocity_fault else _number(parts['limit'], '<limit>', 'velocity'))
    except UrdfError as error:
        velocity, velocity_fault = math.nan, str(error)
    return JointLimits(low, high, velocity, kind, position_fault, velocity_fault)


def _read_range(
        kind: str, parts: Mapping[str, Mapping[str, str]]) -> tuple[float, float, str]:
    """Read the range of a joint, soft limits included, and its fault."""
    low, high, fault = -math.inf, math.inf, ''
    try:
        if kind != 'continuous':
            if fault := _missing(parts, 'lower', 'upper'):
                return math.nan, math.nan, fault
            # If one of them is missing, the format says 0.
            low, high = (
                _number(parts['limit'], '<limit>', key, '0') for key in ('lower', 'upper'))
        soft = parts.get('safety_controller', {})
        softest = (
            _number(soft, '<safety_controller>', 'soft_lower_limit', str(low)),
            _number(soft, '<safety_controller>', 'soft_upper_limit', str(high)))
    except UrdfError as error:
        return math.nan, math.nan, str(error)
    if low < high and softest[0] >= softest[1]:
        fault = (
            f'has soft limits {softest[0]:g} to {softest[1]:g}, expected the lower one below the '
            'upper one')
    elif low < high and (softest[0] >= high or softest[1] <= low):
        fault = (
            f'has soft limits {softest[0]:g} to {softest[1]:g}, which are outside of its limits '
            f'{low:g} to {high:g}')
    return max(low, softest[0]), min(high, softest[1]), fault


def _missing(parts: Mapping[str, Mapping[str, str]], *keys: str) -> str:
    """Describe missing attributes of a joint; empty if one of them is present."""
    if any(key in parts.get('limit', {}) for key in keys):
        return ''
    what = f'<limit> with {" or ".join(keys)}' if 'limit' in parts else '<limit>'
    return f'has no {what}'


def _following(parts: Mapping[str, Mapping[str, str]]) -> str:
    """Describe which joint a joint follows; empty if it follows none."""
    if 'mimic' not in parts:
        return ''
    other = parts['mimic'].get('joint', '')
    return f'follows joint {other[:100]!r} (mimic), which has to be commanded in its place'


def _number(attributes: Mapping[str, str], tag: str, name: str, default: str = '') -> float:
    """Read one attribute of a joint."""
    text = attributes.get(name, default)
    try:
        # Python takes 1_0 for ten, and digits of other scripts; no other reader of XML does.
        number = float(text) if text.isascii() and '_' not in text else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise UrdfError(f'has {tag} {name}: {text[:100]!r}, expected a number')
    return number
