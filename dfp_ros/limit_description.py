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
"""The limits of a command field, as a robot description gives them."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.yaml_section import Section

URDF = 'urdf'
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class FieldLimits:
    """
    What a field of a command is kept within, in the unit of the action's field.

    Each is None where nothing is said, and :data:`URDF` where the robot's URDF says it.

    :param position: Lowest and highest position, one a number each.
    :param velocity: Largest speed, one a number.
    :param acceleration: Largest change of speed a second, one a number.
    :param where: File, line and key, for messages.
    """

    position: tuple[Numbers, Numbers] | str | None = None
    velocity: Numbers | str | None = None
    acceleration: Numbers | None = None
    where: str = ''

    @property
    def needs_urdf(self) -> bool:
        """Whether a URDF has to be read."""
        return URDF in (self.position, self.velocity)


def read_field_limits(section: Section, size: int) -> FieldLimits:
    """
    Read the limits of one field.

    :param section: Its keys.
    :param size: How many numbers the field has.
    :raises DescriptionError: At the first thing that is wrong.
    """
    keys = section.mapping((), ('position', 'velocity', 'acceleration'))
    position: tuple[Numbers, Numbers] | str | None = None
    velocity: Numbers | str | None = None
    if 'position' in keys:
        position = URDF if keys['position'].is_text else _read_range(keys['position'], size)
    if 'velocity' in keys:
        velocity = URDF if keys['velocity'].is_text else _read_positive(keys['velocity'], size)
    for key in ('position', 'velocity'):
        if key in keys and keys[key].is_text:
            keys[key].choice([URDF])
    acceleration = _read_positive(keys['acceleration'], size) if 'acceleration' in keys else None
    return FieldLimits(position, velocity, acceleration, section.where)


def _read_range(section: Section, size: int) -> tuple[Numbers, Numbers]:
    """Read a lowest and a highest value."""
    keys = section.mapping(('low', 'high'))
    low, high = keys['low'].numbers(size), keys['high'].numbers(size)
    for lowest, highest in zip(low, high, strict=True):
        if lowest >= highest:
            raise section.error(f'found low {lowest}, expected less than high, {highest}')
    return low, high


def _read_positive(section: Section, size: int) -> Numbers:
    """Read numbers above zero."""
    numbers = section.numbers(size)
    if min(numbers) <= 0:
        raise section.error(f'found {min(numbers)}, expected numbers above 0')
    return numbers
