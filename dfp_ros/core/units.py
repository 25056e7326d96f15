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
"""Units in descriptions and policy files, as far as safety depends on them."""

from __future__ import annotations

from dataclasses import dataclass
import math
import re
import sys
import unicodedata

ANGLE, LENGTH, EFFORT, NUMBER, OTHER = 'angle', 'length', 'effort', 'number', 'other'

_TURN = 2 * math.pi
# Quantity of a name, its size in SI units, and its power of the second.
_NAMES: dict[str, tuple[str, float, int]] = {
    **dict.fromkeys(('rad', 'radian', 'radians'), (ANGLE, 1.0, 0)),
    'mrad': (ANGLE, 1e-3, 0), 'krad': (ANGLE, 1e3, 0),
    **dict.fromkeys(('deg', 'degree', 'degrees', '°'), (ANGLE, _TURN / 360, 0)),
    **dict.fromkeys(('turn', 'turns', 'rev', 'revolution', 'revolutions', 'rot'), (
        ANGLE, _TURN, 0)),
    'rpm': (ANGLE, _TURN / 60, -1), 'rps': (ANGLE, _TURN, -1), 'dps': (ANGLE, _TURN / 360, -1),
    **dict.fromkeys(('m', 'meter', 'meters', 'metre', 'metres'), (LENGTH, 1.0, 0)),
    'km': (LENGTH, 1e3, 0), 'dm': (LENGTH, 0.1, 0), 'cm': (LENGTH, 1e-2, 0),
    **dict.fromkeys(('mm', 'millimeter', 'millimetre'), (LENGTH, 1e-3, 0)),
    **dict.fromkeys(('um', 'µm', 'μm'), (LENGTH, 1e-6, 0)),
    **dict.fromkeys(('in', 'inch', 'inches'), (LENGTH, 0.0254, 0)),
    **dict.fromkeys(('ft', 'foot', 'feet'), (LENGTH, 0.3048, 0)),
    'mps': (LENGTH, 1.0, -1), 'kmh': (LENGTH, 1 / 3.6, -1), 'mph': (LENGTH, 0.44704, -1),
    'kph': (LENGTH, 1 / 3.6, -1), 'kn': (LENGTH, 0.514444, -1), 'knots': (LENGTH, 0.514444, -1),
    **dict.fromkeys((
        'n', 'nm', 'newton', 'newtons', 'mnm', 'nmm', 'ncm', 'knm', 'kgf', 'gf', 'lbf', 'ozf', 'a',
        'ma', 'amp', 'amps', 'ampere', 'amperes', 'v', 'mv', 'kv', 'volt', 'volts', 'w', 'kw',
        'hp', 'watt', 'watts', 'pa', 'kpa', 'mpa', 'psi', 'bar'), (EFFORT, 1.0, 0)),
    **dict.fromkeys(('s', 'sec', 'second', 'seconds'), (NUMBER, 1.0, 1)),
    'ms': (NUMBER, 1e-3, 1), 'min': (NUMBER, 60.0, 1), 'h': (NUMBER, 3600.0, 1),
    'hz': (NUMBER, 1.0, -1), '%': (NUMBER, 0.01, 0), 'percent': (NUMBER, 0.01, 0),
}
_PART = re.compile(
    r'([/⁄∕÷]|(?<![a-z])per(?![a-z]))|([0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?)|([a-zµμ°%]+)'
    r'(?:\^|\*\*)?([-−]?[0-9]|[²³]|⁻[¹²])?|([\s*·⋅∙•×._()\[\]]+)', re.IGNORECASE)
_POWERS = {'²': 2, '³': 3, '⁻¹': -1, '⁻²': -2}
_LONGEST, _LONGEST_RATE = 100, 1000
# Units of a rate: times, and events that a controller repeats.
_TIME = (
    r'(?<![a-zµμ])(?:(?:milli|micro|nano|[munµμ])?(?:s|secs?|seconds?)|mins?|minutes?|hr?s?|'
    r'hours?|d|days?|steps?|ticks?|frames?|cycles?|periods?|iterations?|samples?)(?![a-zµμ])')
_RATE = re.compile(
    rf'(?:/|(?<![a-z])per(?![a-z]))[^/]*?{_TIME}|{_TIME}\s*(?:\^|\*\*)?[\s({{]*-\s*[0-9]|'
    r'per(?:sec|min|hour)|hz(?![a-z])|hertz|'
    r'(?<![a-z])(?:k?rpm|k?rps|dps|fps|ips|cps|pps|sps|spm|bpm|mps|kmp?h|kph|mph|knots?)(?![a-z])')
_SIGNS = str.maketrans('−–‐‑‒⁄∕÷', '-----///')


@dataclass(frozen=True)
class Unit:
    """
    A unit of measurement.

    :param measures: :data:`ANGLE`, :data:`LENGTH`, :data:`EFFORT` (a force, a torque, a current
        and the like), :data:`NUMBER` for a dimensionless number, or :data:`OTHER`.
    :param size: Its size in SI units.
    :param seconds: Power of the second in it: -1 of a velocity.
    """

    measures: str
    size: float = 1.0
    seconds: int = 0

    @property
    def turn(self) -> float:
        """Size of a full turn in it, or in its power of the second; infinite for no angle."""
        return _TURN / self.size if self.measures == ANGLE else math.inf

    @property
    def is_position(self) -> bool:
        """Whether it is an angle or a length."""
        return self.measures in (ANGLE, LENGTH) and self.seconds == 0

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate of change per second, of an angle, a length, or a number."""
        return self.measures in (ANGLE, LENGTH, NUMBER) and self.seconds == -1

    @property
    def is_acceleration(self) -> bool:
        """Whether it is the rate of a rate, or of an acceleration."""
        return self.measures in (ANGLE, LENGTH, NUMBER) and self.seconds <= -2


def read_unit(text: str) -> Unit:
    """
    Read a unit such as ``rad``, ``0.1 m``, ``m/s``, ``deg s^-1`` or ``1/3``.

    :param text: The unit, as in descriptions and policy files.
    :return: The unit; it measures :data:`OTHER` if it is not known.
    """
    measures, size, seconds, sign, end = NUMBER, 1.0, 0, 1, 0
    text = text.strip()
    if len(text) > _LONGEST:
        return Unit(OTHER)
    while end < len(text):
        part = _PART.match(text, end)
        if part is None:
            return Unit(OTHER)
        end = part.end()
        slash, number, name, power, _ = part.groups()
        if slash:
            sign = -1
        elif number:
            value = float(number)
            # Below the smallest normal number, the reciprocal is none.
            if 0 < value < sys.float_info.min:
                return Unit(OTHER)
            size *= value ** sign if value else 1.0
        elif name:
            known = _NAMES.get(name.casefold())
            exponent = sign * (_POWERS.get(power) or int(power.replace('−', '-')) if power else 1)
            if known is None:
                return Unit(OTHER)
            kind, factor, time = known
            seconds += time * exponent
            size *= factor ** exponent
            if kind == EFFORT or EFFORT in (measures, kind):
                measures = EFFORT
            elif kind != NUMBER:
                measures = kind if measures == NUMBER and exponent == 1 else OTHER
    return Unit(measures, size, seconds) if 1e-9 <= size <= 1e9 else Unit(OTHER)


def looks_like_rate(text: str) -> bool:
    """
    Tell whether a unit, known or not, looks like so much per time, such as ``counts/s``.

    :param text: The unit; of a long one, only the beginning counts.
    """
    text = unicodedata.normalize('NFKC', text[:_LONGEST_RATE]).translate(_SIGNS)
    return _RATE.search(text.casefold()) is not None
