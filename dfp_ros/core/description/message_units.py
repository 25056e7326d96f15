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
Units of standard messages, compared with the units that a description gives.

The messages of ROS are in rad and m (REP 103). A field in degrees or millimetres without a scale
is therefore a question: a robot that is sent 90 for 90 degrees is sent to 90 rad. The key
``scale`` answers it, with 1.0 for a driver that departs from REP 103.
"""

from __future__ import annotations

import math
import re

from dfp_ros.core.description.command_kind import quantity
from dfp_ros.core.units import ANGLE, LENGTH, read_unit

# Packages whose messages follow REP 103.
_STANDARD = (
    'geometry_msgs', 'sensor_msgs', 'trajectory_msgs', 'nav_msgs', 'control_msgs', 'tf2_msgs')
# Messages of these packages that do not: degrees, and numbers without a unit.
_OTHERS = ('NavSatFix', 'Joy', 'JoyFeedback')
# Message fields that have one quantity.
_QUANTITIES = {
    'linear': LENGTH, 'linear_velocity': LENGTH, 'linear_acceleration': LENGTH,
    'translation': LENGTH, 'point': LENGTH, 'angular': ANGLE, 'angular_velocity': ANGLE,
    'angular_acceleration': ANGLE}
_NAMES = {ANGLE: 'rad', LENGTH: 'm'}
_INDEX = re.compile(r'\[\d+\]')


def unit_fault(unit: str, message: str, path: str, is_command: bool) -> str:
    """
    Describe the mismatch of a unit and a message, for a field without a scale; empty if they fit.

    :param unit: Unit of the action or the observation.
    :param message: Type of the message.
    :param path: Message field.
    :param is_command: Whether it goes into the message, or comes from it.
    """
    known = read_unit(unit)
    if known.measures not in _NAMES or not _is_standard(message):
        return ''
    what = f'found the unit {unit!r} without a scale, but '
    measures = _measures(path)
    if measures and measures != known.measures:
        return (
            f'{what}{path!r} of {message} is in {_NAMES[measures]}, or {_NAMES[measures]}/s; is '
            'it another message field that is meant? If not, give the scale between the two')
    if math.isclose(known.size, 1, rel_tol=1e-6):
        return ''
    scale = known.size if is_command else 1 / known.size
    return (
        f'{what}{message} is in {_NAMES[known.measures]} by REP 103. Is this one in {unit}? If '
        f'not, add scale: {scale:.9g}; if so, add scale: 1.0')


def rate_fault(unit: str, message: str, path: str, is_derivative: bool) -> str:
    """
    Describe a unit that is that of another derivative than what is observed, without a scale.

    :param unit: Unit of the observation.
    :param message: Type of the message.
    :param path: Message field.
    :param is_derivative: Whether the change a second of the field is observed.
    :return: The fault; empty if there is none, or if the field may be either.
    """
    known, (name, seconds) = read_unit(unit), quantity(path)
    if known.measures not in _NAMES or not name or not _is_standard(message):
        return ''
    if seconds is not None and known.seconds == seconds - is_derivative:
        return ''
    return (
        f'found the unit {unit!r} without a scale, but {path!r} of {message} is {name}'
        + (', whose derivative is observed' if is_derivative else '')
        + '; name the message field that is meant, or give the scale between the two')


def _is_standard(message: str) -> bool:
    """Return whether a message type follows REP 103."""
    package, _, name = message.partition('/')
    return package in _STANDARD and name.rpartition('/')[2] not in _OTHERS


def _measures(path: str) -> str:
    """Return whether a message field is an angle or a length; empty if it may be either."""
    words = _INDEX.sub('', path).split('.')
    for before, word in zip(['', *words], words, strict=False):
        if word in _QUANTITIES:
            return _QUANTITIES[word]
        if word == 'position' and before in ('pose', 'poses'):
            return LENGTH
    return ''
