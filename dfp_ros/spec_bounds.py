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
"""Bounds of policy specifications, which protect a node from extreme numbers and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
import math

from dfp_ros.core.text.printable import printable

#: Shortest and longest control period in s: 1000 Hz to 1 Hz, as the node's own rate.
SHORTEST_PERIOD, LONGEST_PERIOD = 1e-3, 1.0
#: Largest whole numbers.
MOST_ACTIONS, MOST_CANDIDATES, MOST_FIELDS = 1000, 1024, 1000
MOST_OBSERVED, MOST_COMMANDED, MOST_NOISE = 10_000, 1000, 1_000_000
#: Longest state of a recurrent policy, in numbers.
MOST_STATE = 100_000
#: Largest scale of the noise.
MOST_NOISE_SCALE = 10.0
#: Pictures of a policy: their number, their height and width, and the bytes of all together.
MOST_IMAGES, LARGEST_SIDE, MOST_PIXEL_BYTES = 16, 2048, 16 << 20
#: Largest depth of a picture in m.
LARGEST_DEPTH = 1e4
#: Largest magnitude of an action's bounds, in its unit, and of an observation's.
LARGEST_ACTION, LARGEST_OBSERVATION = 1e9, 1e15
#: Longest names and units, in characters, and the longest specification.
LONGEST_NAME, LONGEST_UNIT, LONGEST_SPEC = 200, 40, 256 << 10
# Tolerance for periods that are not exact decimal fractions of a second.
_ROUNDING = 1e-9


class SpecError(ValueError):
    """The text of a policy specification is missing, malformed or of another version."""


def require_text(where: str, text: str, longest: int = LONGEST_NAME) -> None:
    """
    Require that a name can be printed, published and logged.

    :raises SpecError: If it is too long, or has line breaks, escapes or lone surrogates.
    """
    if len(text) > longest:
        raise SpecError(f'{where}: found {len(text)} characters, expected at most {longest}')
    if not text.isprintable():
        raise SpecError(f'{where}: found {printable(text)}, expected printable characters')


def require_period(period: float) -> None:
    """
    Require that a control period is within the bounds of the node's rate.

    :raises SpecError: If it is not.
    """
    if not (math.isfinite(period) and period > 0):
        raise SpecError(
            f'period: found {printable(period)}, expected a positive number of seconds')
    if not SHORTEST_PERIOD * (1 - _ROUNDING) <= period <= LONGEST_PERIOD * (1 + _ROUNDING):
        raise SpecError(
            f'period: found {period:g} s, which is {1 / period:.4g} Hz, expected '
            f'{SHORTEST_PERIOD:g} to {LONGEST_PERIOD:g} s (1000 to 1 Hz)')


def require_within(where: str, value: float, low: float, high: float) -> None:
    """
    Require that a number is within bounds.

    :raises SpecError: If it is not, or is NaN.
    """
    if not low <= value <= high:
        expected = f'at least {low:g}' if value < low else f'at most {high:g}'
        raise SpecError(f'{where}: found {printable(value)}, expected {expected}')


def require_fields(kind: str, names: Sequence[str], units: Sequence[str]) -> None:
    """
    Require that fields have unique names.

    :raises SpecError: If there are none, too many, or two of one name.
    """
    if not names:
        raise SpecError(f'{kind}: found no field, expected at least one')
    require_within(f'{kind}: number of fields', len(names), 1, MOST_FIELDS)
    for i, (name, unit) in enumerate(zip(names, units, strict=True)):
        require_text(f'{kind}[{i}].name', name)
        require_text(f'{kind}[{i}].unit', unit, LONGEST_UNIT)
    for name, count in sorted(Counter(names).items()):
        if count > 1:
            raise SpecError(f'{kind}: found the field {name!r} twice')


def require_bounds(
        where: str, size: int, pair: Sequence[tuple[str, Iterable[float]]], largest: float,
) -> None:
    """
    Require that a lower and an upper bound have one finite number for each of a field's numbers.

    :param where: The field, for messages.
    :param size: Count of its numbers.
    :param pair: Names and values of the lower and the upper bound.
    :param largest: Largest magnitude.
    :raises SpecError: If they do not.
    """
    found = []
    for name, numbers in pair:
        values = list(numbers)
        if len(values) != size:
            raise SpecError(
                f'{where}.{name}: found {len(values)} numbers, expected {size}')
        for value in values:
            if not math.isfinite(value):
                raise SpecError(f'{where}.{name}: found a number that is not finite')
            if abs(value) > largest:
                raise SpecError(
                    f'{where}.{name}: found {value:g}, expected at most {largest:g} either way')
        found.append(values)
    if any(low > high for low, high in zip(*found, strict=True)):
        raise SpecError(f'{where}: found {pair[0][0]} above {pair[1][0]}')
