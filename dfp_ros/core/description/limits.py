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
"""Limits of a command field in a robot description."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.description.limit_check import (
    amount_fault,
    range_fault,
    Reach,
    reach_of_unit,
    speed_fault,
)
from dfp_ros.core.description.yaml_section import Section
from dfp_ros.core.text.errors import near_names
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.text.printable import quoted
from dfp_ros.core.units import read_unit

URDF = 'urdf'
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class FieldLimits:
    """
    Limits of a command field, in the unit of the action's field.

    Each is None if not given, and :data:`URDF` if it is taken from the robot's URDF.

    :param position: Lowest and highest position, for each number.
    :param velocity: Largest speed, for each number.
    :param acceleration: Largest acceleration, for each number.
    :param where: File, line and key, for messages.
    """

    position: tuple[Numbers, Numbers] | str | None = None
    velocity: Numbers | str | None = None
    acceleration: Numbers | None = None
    where: str = ''

    @property
    def needs_urdf(self) -> bool:
        """Whether a URDF is needed."""
        return URDF in (self.position, self.velocity)


def read_field_limits(section: Section, size: int, unit: str = '') -> FieldLimits:
    """
    Read the limits of one field.

    :param section: Its keys.
    :param size: Count of the field's numbers.
    :param unit: The unit of the action's field.
    :raises DescriptionError: At the first error.
    """
    keys = section.mapping((), ('position', 'velocity', 'acceleration'))
    reach = reach_of_unit(read_unit(unit))
    if 'acceleration' in keys and keys['acceleration'].is_text:
        raise keys['acceleration'].error(
            'found text, expected numbers; a URDF has no acceleration')
    position: tuple[Numbers, Numbers] | str | None = None
    velocity: Numbers | str | None = None
    if 'position' in keys:
        position = URDF if keys['position'].is_text else _read_range(
            keys['position'], size, reach)
    if 'velocity' in keys:
        velocity = URDF if keys['velocity'].is_text else _read_amounts(
            keys['velocity'], size, reach)
    for key, wanted in (('position', 'low and high, in numbers,'), ('velocity', 'numbers')):
        if key in keys and keys[key].is_text and not near_names(found := keys[key].text(), [URDF]):
            raise keys[key].error(f'found the text {quoted(found)}, expected {wanted} or {URDF}')
        if key in keys and keys[key].is_text:
            keys[key].choice([URDF])
    acceleration = _read_amounts(keys['acceleration'], size) if 'acceleration' in keys else None
    return FieldLimits(position, velocity, acceleration, section.where)


def urdf_range_fault(
        key: str, scale: Numbers, offset: Numbers, joints: tuple[str, ...],
        is_difference: bool) -> str:
    """
    Explain why the range of a joint in a URDF is not that of its number; empty if it is.

    :param key: Prefix of the keys, for messages.
    :param scale: Scale between the number and the joint, one for each joint; empty for 1.
    :param offset: Likewise; empty for 0.
    :param joints: The joints.
    :param is_difference: Whether another number is subtracted from what is measured.
    """
    remedy = 'give low and high as numbers of the action'
    for i, joint in enumerate(joints):
        turned, moved = bool(scale) and scale[i] < 0, bool(offset) and offset[i] != 0
        if turned or moved:
            return (
                f'found limits.position from the URDF with {key}'
                f'{f"scale {shown(scale[i])}" if turned else f"offset {shown(offset[i])}"} for '
                f'joint {joint!r}: the range of the joint is not that of the action, which is '
                f'mirrored or begins elsewhere; {remedy}')
    if is_difference:
        return (
            'found limits.position from the URDF for a difference (measured.minus), which has '
            f'another range; {remedy}')
    return ''


def _read_range(section: Section, size: int, reach: Reach) -> tuple[Numbers, Numbers]:
    """Read a lowest and a highest value."""
    keys = section.mapping(('low', 'high'))
    low, high = keys['low'].numbers(size), keys['high'].numbers(size)
    for lowest, highest in zip(low, high, strict=True):
        if fault := range_fault(lowest, highest, reach):
            raise section.error(fault)
    return low, high


def _read_amounts(section: Section, size: int, reach: Reach | None = None) -> Numbers:
    """Read limits of speed, or of acceleration, which has no plausible size."""
    numbers = section.numbers(size)
    for number in numbers:
        if fault := amount_fault(number) if reach is None else speed_fault(number, reach):
            raise section.error(fault)
    return numbers
