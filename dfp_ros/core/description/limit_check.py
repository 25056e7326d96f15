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
Validation of limits, the same for every origin.

Limits of the description, the URDF and the training data, and their intersection, are checked by
the same functions, because a wrong limit moves the robot: an empty range is a position that it is
driven to, and a negative speed reverses its motion.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from dfp_ros.core.arrays import UNBOUNDED
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.units import ANGLE, LENGTH, Unit

#: Fraction of a range that has to remain in its intersection with another.
LEAST_SHARE = 0.01
# Smallest speed and acceleration: slower motion would not be visible within a day, in any unit.
_SLOWEST = 1e-6
_NONE = 'a number that large is usually meant as "no limit", which is none'


@dataclass(frozen=True)
class Reach:
    """
    Plausible size of the limits of one kind of output.

    :param position: Largest position, in rad or m.
    :param speed: Largest speed, in rad or m a second.
    :param width: Smallest width of a range.
    :param hint: Likely cause of larger numbers.
    """

    position: float
    speed: float
    width: float
    hint: str = ''

    def explain(self, value: float, most: float) -> str:
        """Name the likely cause of a number that is too large."""
        return _NONE if not self.hint or abs(value) > 1000 * most else self.hint


# Eight turns of range and 50 rad/s are more than any arm has; 170 degrees taken for radians, or
# the 100 rad/s that some URDFs have for "none", are more than that.
_TURNING = Reach(8 * math.pi, 50.0, 1e-3, 'rad is expected, and this looks like degrees')
_WHEEL = Reach(UNBOUNDED, 1e4, 1e-3, 'rad is expected, and this looks like degrees')
_SLIDING = Reach(100.0, 20.0, 1e-5, 'm is expected, and this looks like millimetres')
# A position in a map frame may be far from its origin.
_FRAME_POSITION = Reach(1e7, 1e3, 1e-5, 'm is expected, and this looks like millimetres')
_ANY = Reach(UNBOUNDED, UNBOUNDED, 0.0)


def reach_of_joint(kind: str) -> Reach:
    """Return the plausible limits of a joint of a URDF, by its type."""
    return {'revolute': _TURNING, 'continuous': _WHEEL, 'prismatic': _SLIDING}.get(kind, _ANY)


def reach_of_unit(unit: Unit) -> Reach:
    """
    Return the plausible limits of an output.

    :param unit: The unit of the action: of a position, or of a velocity.
    """
    if unit.measures == ANGLE:
        known = _WHEEL if unit.is_rate else _TURNING
    elif unit.measures == LENGTH:
        known = _FRAME_POSITION
    else:
        return _ANY
    return Reach(
        known.position / unit.size, known.speed / unit.size, known.width / unit.size,
        known.hint if unit.size == 1 else '')


def start_margin(unit: Unit, width: float) -> float:
    """
    Return how far outside of its range an output may be measured for commands to start from there.

    A robot beyond a bound is led back from where it is. What is measured much further out is no
    place of the robot: a raw count of an encoder, degrees, or a value that was never set.

    :param unit: The unit of the action.
    :param width: Width of the range.
    """
    known = {ANGLE: _TURNING.position, LENGTH: _SLIDING.position}.get(unit.measures)
    if known is None:
        return 100 * width
    return max(10 * width, known / unit.size)


def range_fault(low: float, high: float, reach: Reach = _ANY) -> str:
    """
    Describe the fault of a range of positions; empty if it is valid.

    :param low: The lowest position.
    :param high: The highest position.
    :param reach: Their plausible size.
    """
    for name, value in (('low', low), ('high', high)):
        if math.isnan(value):
            return f'found {name} {value}, expected a number'
    if low >= high:
        return (
            f'found low {shown(low)}, expected less than high, {shown(high)}'
            + ('; an empty range is a position that the robot would be driven to'
               if low == high else ''))
    for name, value in (('low', low), ('high', high)):
        if not abs(value) <= min(reach.position, UNBOUNDED):
            return (
                f'found {name} {shown(value)}, expected at most {reach.position:.4g} either way; '
                + reach.explain(value, reach.position))
    if high - low < reach.width:
        return (
            f'found {shown(low)} to {shown(high)}, expected a range that is at least '
            f'{reach.width:g} wide; the robot would be driven there')
    return ''


def speed_fault(value: float, reach: Reach = _ANY) -> str:
    """
    Describe the fault of a speed limit; empty if it is valid.

    :param value: The speed.
    :param reach: Its plausible size.
    """
    if fault := amount_fault(value):
        return fault
    if value > reach.speed:
        return f'found {shown(value)}, expected at most {reach.speed:.4g} a second; ' + (
            reach.explain(value, reach.speed))
    return ''


def amount_fault(value: float) -> str:
    """Describe the fault of a limit of speed or acceleration; empty if it is valid."""
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
    Describe the fault of an intersection of ranges; empty if it is valid.

    :param low: Lower end of the intersection.
    :param high: Upper end of the intersection.
    :param sources: Origin and ends of each range.
    """
    widths = [
        (upper - lower, name) for name, lower, upper in sources
        if math.isfinite(lower) and math.isfinite(upper)]
    # A range that is a single point by itself is intended: the policy never moves that output.
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
