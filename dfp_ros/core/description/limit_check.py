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
The one check that every limit passes, wherever it comes from.

Description, URDF, training data and what they intersect to are checked by the same functions,
because a limit that is wrong moves a robot: a range without width is a place that it is driven
to, and a negative speed drives it away from where it was asked to go.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from dfp_ros.core.arrays import UNBOUNDED
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.units import ANGLE, LENGTH, Unit

#: Share of a range that has to be left of it where it meets another.
LEAST_SHARE = 0.01
# Speeds and accelerations below this are no motion within a day, in any unit.
_SLOWEST = 1e-6
_NONE = 'a number that large is usually meant as "no limit", which is none'


@dataclass(frozen=True)
class Reach:
    """
    How large the limits of one kind of output can be.

    :param place: Largest position, in rad or m.
    :param speed: Largest speed, in rad or m a second.
    :param width: Smallest width of a range.
    :param hint: What larger numbers usually are.
    """

    place: float
    speed: float
    width: float
    hint: str = ''

    def explain(self, value: float, most: float) -> str:
        """Say what a number that is too large probably is."""
        return _NONE if not self.hint or abs(value) > 1000 * most else self.hint


# Eight turns of range and 50 rad/s are more than any arm has; 170 degrees taken for radians, or
# the 100 rad/s that some URDFs have for "none", are more than that.
_TURNING = Reach(8 * math.pi, 50.0, 1e-3, 'rad is expected, and this looks like degrees')
_WHEEL = Reach(UNBOUNDED, 1e4, 1e-3, 'rad is expected, and this looks like degrees')
_SLIDING = Reach(100.0, 20.0, 1e-5, 'm is expected, and this looks like millimetres')
# A place on a map may be far from its origin.
_PLACE = Reach(1e7, 1e3, 1e-5, 'm is expected, and this looks like millimetres')
_ANY = Reach(UNBOUNDED, UNBOUNDED, 0.0)


def reach_of_joint(kind: str) -> Reach:
    """Find how large the limits of a joint of a URDF can be, by its type."""
    return {'revolute': _TURNING, 'continuous': _WHEEL, 'prismatic': _SLIDING}.get(kind, _ANY)


def reach_of_unit(unit: Unit) -> Reach:
    """
    Find how large the limits of an output can be.

    :param unit: The unit of the action: of a position, or of a velocity.
    """
    if unit.measures == ANGLE:
        known = _WHEEL if unit.is_rate else _TURNING
    elif unit.measures == LENGTH:
        known = _PLACE
    else:
        return _ANY
    return Reach(
        known.place / unit.size, known.speed / unit.size, known.width / unit.size,
        known.hint if unit.size == 1 else '')


def range_fault(low: float, high: float, reach: Reach = _ANY) -> str:
    """
    Say what is wrong with a lowest and a highest position; empty where nothing is.

    :param low: The lowest.
    :param high: The highest.
    :param reach: How large they can be.
    """
    for name, value in (('low', low), ('high', high)):
        if math.isnan(value):
            return f'found {name} {value}, expected a number'
    if low >= high:
        return (
            f'found low {shown(low)}, expected less than high, {shown(high)}'
            + ('; a range without width is a place that the robot would be driven to'
               if low == high else ''))
    for name, value in (('low', low), ('high', high)):
        if not abs(value) <= min(reach.place, UNBOUNDED):
            return (
                f'found {name} {shown(value)}, expected at most {reach.place:.4g} either way; '
                + reach.explain(value, reach.place))
    if high - low < reach.width:
        return (
            f'found {shown(low)} to {shown(high)}, expected a range that is at least '
            f'{reach.width:g} wide; the robot would be driven there')
    return ''


def speed_fault(value: float, reach: Reach = _ANY) -> str:
    """
    Say what is wrong with a largest speed; empty where nothing is.

    :param value: The speed.
    :param reach: How large it can be.
    """
    if fault := amount_fault(value):
        return fault
    if value > reach.speed:
        return f'found {shown(value)}, expected at most {reach.speed:.4g} a second; ' + (
            reach.explain(value, reach.speed))
    return ''


def amount_fault(value: float) -> str:
    """Say what is wrong with a largest speed or acceleration; empty where nothing is."""
    if math.isnan(value):
        return f'found {value}, expected a number'
    if value <= 0:
        return f'found {shown(value)}, expected numbers above 0' + (
            '; a negative number does not stand for "no limit"' if value < 0 else '')
    if value < _SLOWEST:
        return f'found {shown(value)}, expected at least {_SLOWEST:g}: nothing would move'
    if value >= UNBOUNDED:
        return f'found {shown(value)}, expected less than {UNBOUNDED:g}; {_NONE}'
    return ''


def overlap_fault(
        low: float, high: float, sources: tuple[tuple[str, float, float], ...]) -> str:
    """
    Say what is wrong with what ranges have in common; empty where nothing is.

    :param low: The lowest that all allow.
    :param high: The highest that all allow.
    :param sources: Each range, with where it is from.
    """
    widths = [
        (upper - lower, name) for name, lower, upper in sources
        if math.isfinite(lower) and math.isfinite(upper)]
    # One that is a point by itself was meant so: the policy never moves it.
    if any(width == 0 for width, _ in widths) and low == high:
        return ''
    narrowest = min((width for width, _ in widths), default=math.inf)
    if low < high and (math.isinf(narrowest) or high - low >= LEAST_SHARE * narrowest):
        return ''
    listed = ', '.join(
        f'{name} {lower:g} to {upper:g}' for name, lower, upper in sources
        if math.isfinite(lower) or math.isfinite(upper))
    return (
        f'together leave {low:g} to {high:g}, expected at least {LEAST_SHARE:.0%} of the '
        f'narrowest: {listed}')
