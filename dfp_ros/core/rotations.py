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
"""Rotations as policies command them, as the quaternions that messages carry."""

from __future__ import annotations

from collections.abc import Sequence
import math
from types import MappingProxyType

import numpy as np

from dfp_ros.core.arrays import Vector
from dfp_ros.core.text.numbers import all_shown

XYZW, WXYZ, AXIS_ANGLE, SIX_D = 'quaternion_xyzw', 'quaternion_wxyz', 'axis_angle', 'rotation_6d'
#: What the numbers of a rotation may be, and what they are where nothing is turned.
NO_TURN = MappingProxyType({
    XYZW: (0.0, 0.0, 0.0, 1.0), WXYZ: (1.0, 0.0, 0.0, 0.0), AXIS_ANGLE: (0.0, 0.0, 0.0),
    SIX_D: (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)})
#: How many numbers a rotation has, by what they are.
ROTATIONS = MappingProxyType({name: len(numbers) for name, numbers in NO_TURN.items()})

Quaternion = tuple[float, float, float, float]
# Below this length, there is no direction.
_NOTHING = 1e-6


def to_quaternion(rotation: str, numbers: Sequence[float]) -> Quaternion:
    """
    Turn a rotation into a quaternion.

    :param rotation: One of :data:`ROTATIONS`. A quaternion may have any length; the vector of
        axis and angle is as long as its angle in rad; the six numbers are the first two columns
        of a rotation matrix, which need not be perpendicular (Zhou et al., On the Continuity of
        Rotation Representations in Neural Networks, 2019).
    :param numbers: Its numbers, finite.
    :return: x, y, z, w, of length 1.
    :raises ValueError: Where the numbers have no direction, such as four zeros.
    """
    if rotation in (XYZW, WXYZ):
        x, y, z, w = _direction(numbers if rotation == XYZW else [*numbers[1:], numbers[0]])
        return x, y, z, w
    if rotation == AXIS_ANGLE:
        angle = math.hypot(*numbers)
        # sin(angle / 2) / angle, which is 1/2 at zero.
        factor = math.sin(angle / 2) / angle if angle > _NOTHING else 0.5
        x, y, z = (factor * number for number in numbers)
        return x, y, z, math.cos(angle / 2)
    first = _direction(numbers[:3])
    along = sum(a * b for a, b in zip(first, numbers[3:], strict=True))
    second = _direction([b - along * a for a, b in zip(first, numbers[3:], strict=True)])
    third = [
        first[1] * second[2] - first[2] * second[1], first[2] * second[0] - first[0] * second[2],
        first[0] * second[1] - first[1] * second[0]]
    return _from_columns(first, second, third)


def nearest_form(rotation: str, numbers: Vector, reference: Vector) -> Vector:
    """
    Write a rotation in the form that is nearest to another, so that the way there is short.

    A quaternion is the same with the other sign; axis and angle are the same with the angle the
    other way round.

    :param rotation: One of :data:`ROTATIONS`.
    :param numbers: The rotation.
    :param reference: The other one.
    :return: The rotation, of the same shape.
    """
    other = numbers
    if rotation in (XYZW, WXYZ):
        other = -numbers
    elif rotation == AXIS_ANGLE:
        angle = float(np.linalg.norm(numbers))
        if angle > _NOTHING:
            other = numbers * (1 - 2 * math.pi / angle)
    is_nearer = np.linalg.norm(other - reference) < np.linalg.norm(numbers - reference)
    return other if is_nearer else numbers


def _direction(numbers: Sequence[float]) -> list[float]:
    """Scale numbers to length 1."""
    length = math.hypot(*numbers)
    if length < _NOTHING:
        raise ValueError(f'found the rotation {all_shown(numbers)}, which has no direction')
    return [number / length for number in numbers]


def _from_columns(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> Quaternion:
    """Turn a rotation matrix, given by columns, into a quaternion (Shepperd, 1978)."""
    trace = a[0] + b[1] + c[2]
    # Four times the square of each component; the largest one is divided by.
    squares = [
        1 + 2 * a[0] - trace, 1 + 2 * b[1] - trace, 1 + 2 * c[2] - trace, 1 + trace]
    xy, xz, yz = a[1] + b[0], a[2] + c[0], b[2] + c[1]
    wx, wy, wz = b[2] - c[1], c[0] - a[2], a[1] - b[0]
    rows = [
        (squares[0], xy, xz, wx), (xy, squares[1], yz, wy), (xz, yz, squares[2], wz),
        (wx, wy, wz, squares[3])]
    largest = max(range(4), key=squares.__getitem__)
    x, y, z, w = _direction(rows[largest])
    return x, y, z, w
