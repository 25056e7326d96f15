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
Encodings of rotations: the numbers that policies see and command, and the quaternions of messages.

Quaternions are w x y z here, w the scalar, as in the observations of MuJoCo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from dfp_ros.core.arrays import Vector
from dfp_ros.core.text.numbers import all_shown

Quaternion: TypeAlias = tuple[float, float, float, float]

XYZW, WXYZ, AXIS_ANGLE, SIX_D = 'quaternion_xyzw', 'quaternion_wxyz', 'axis_angle', 'rotation_6d'
# Below this length, there is no direction.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Encoding:
    """
    Numbers that stand for a rotation.

    :param size: How many numbers.
    :param encode: Computes them from a quaternion of length near 1, whichever its sign.
    :param is_angle: Whether it is an angle that jumps by a turn.
    :param jumps: Whether near rotations may have numbers that are far apart in another way.
    """

    size: int
    encode: Callable[[Quaternion], tuple[float, ...]]
    is_angle: bool = False
    jumps: bool = False


@dataclass(frozen=True, kw_only=True)
class TwoWayEncoding(Encoding):
    """
    Numbers from which the rotation can be computed again.

    :param decode: Computes a quaternion of length 1 from finite numbers. A quaternion may have
        any length; the vector of axis and angle is as long as its angle in rad; the six numbers
        are the first two columns of a rotation matrix, which need not be perpendicular (Zhou et
        al., On the Continuity of Rotation Representations in Neural Networks, 2019).
        It raises a ValueError if the numbers have no direction, such as four zeros.
    :param identity: The numbers of no rotation.
    """

    decode: Callable[[Sequence[float]], Quaternion]
    identity: tuple[float, ...]


def nearest_form(rotation: str, numbers: Vector, reference: Vector) -> Vector:
    """
    Choose the equivalent form of a rotation that is nearest to another, for the shortest motion.

    A quaternion and its negative are the same rotation; so are an axis with an angle and the
    reversed axis with 2 pi minus the angle.

    :param rotation: A name of :data:`COMMAND_ENCODINGS`.
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


def shorter_form(numbers: Vector, rate: Vector) -> tuple[Vector, Vector]:
    """
    Choose the form of an axis with an angle whose angle is at most half a turn.

    :param numbers: Axis times angle, shape (3,), rad, less than a turn.
    :param rate: Their rate of change, shape (3,).
    :return: Numbers and rate of that form, which are the same rotation and its motion.
    """
    angle = float(np.linalg.norm(numbers))
    if angle <= math.pi:
        return numbers, rate
    axis, factor = numbers / angle, 1 - 2 * math.pi / angle
    # The derivative of numbers * (1 - 2 pi / angle).
    return factor * numbers, factor * rate + (1 - factor) * float(axis @ rate) * axis


def unit(quaternion: Quaternion) -> Quaternion:
    """Scale to length 1; drivers publish float32, whose length is slightly off."""
    w, x, y, z = quaternion
    length = math.sqrt(w * w + x * x + y * y + z * z)
    return w / length, x / length, y / length, z / length


def _direction(numbers: Sequence[float]) -> list[float]:
    """Scale numbers to length 1."""
    length = math.hypot(*numbers)
    if length < _NOTHING:
        raise ValueError(f'found the rotation {all_shown(numbers)}, which has no direction')
    return [number / length for number in numbers]


def _decode_xyzw(numbers: Sequence[float]) -> Quaternion:
    """Scale a quaternion x y z w to length 1."""
    x, y, z, w = _direction(numbers)
    return w, x, y, z


def _decode_wxyz(numbers: Sequence[float]) -> Quaternion:
    """Scale a quaternion w x y z to length 1, to the same bits as one in the other order."""
    return _decode_xyzw([*numbers[1:], numbers[0]])


def _encode_xyzw(quaternion: Quaternion) -> Quaternion:
    """Put the scalar last."""
    w, x, y, z = quaternion
    return x, y, z, w


def _yaw(quaternion: Quaternion) -> float:
    """Rotation about the vertical axis (Z-Y-X angles, REP-103), in (-pi, pi]."""
    w, x, y, z = quaternion
    return math.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def _yaw_cosine_sine(quaternion: Quaternion) -> tuple[float, float]:
    """Yaw as a point on the unit circle."""
    yaw = _yaw(quaternion)
    return math.cos(yaw), math.sin(yaw)


def _encode_six_d(quaternion: Quaternion) -> tuple[float, ...]:
    """First two columns of the rotation matrix, one after the other (Zhou et al. 2019)."""
    w, x, y, z = unit(quaternion)
    return (
        1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
        2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))


def _projected_gravity(quaternion: Quaternion) -> tuple[float, float, float]:
    """Direction of gravity, (0, 0, -1) in the frame of the orientation, seen in the body."""
    w, x, y, z = unit(quaternion)
    return 2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1


def _encode_axis_angle(quaternion: Quaternion) -> tuple[float, float, float]:
    """Axis times angle in rad; the angle is in [0, pi]."""
    w, x, y, z = quaternion if quaternion[0] >= 0 else [-value for value in quaternion]
    sine = math.hypot(x, y, z)
    factor = 2 * math.atan2(sine, w) / sine if sine else 2.0
    return factor * x, factor * y, factor * z


def _decode_axis_angle(numbers: Sequence[float]) -> Quaternion:
    """Turn about a vector by its length in rad."""
    angle = math.hypot(*numbers)
    # sin(angle / 2) / angle, which is 1/2 at zero.
    factor = math.sin(angle / 2) / angle if angle > _NOTHING else 0.5
    x, y, z = (factor * number for number in numbers)
    return math.cos(angle / 2), x, y, z


def _decode_six_d(numbers: Sequence[float]) -> Quaternion:
    """Make two columns of a rotation matrix perpendicular, and add the third."""
    first = _direction(numbers[:3])
    along = sum(a * b for a, b in zip(first, numbers[3:], strict=True))
    second = _direction([b - along * a for a, b in zip(first, numbers[3:], strict=True)])
    third = [
        first[1] * second[2] - first[2] * second[1], first[2] * second[0] - first[0] * second[2],
        first[0] * second[1] - first[1] * second[0]]
    return _from_columns(first, second, third)


def _from_columns(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> Quaternion:
    """Convert a rotation matrix, given by columns, to a quaternion (Shepperd, 1978)."""
    trace = a[0] + b[1] + c[2]
    # Four times the square of each component; the largest one is the divisor.
    squares = [
        1 + 2 * a[0] - trace, 1 + 2 * b[1] - trace, 1 + 2 * c[2] - trace, 1 + trace]
    xy, xz, yz = a[1] + b[0], a[2] + c[0], b[2] + c[1]
    wx, wy, wz = b[2] - c[1], c[0] - a[2], a[1] - b[0]
    rows = [
        (squares[0], xy, xz, wx), (xy, squares[1], yz, wy), (xz, yz, squares[2], wz),
        (wx, wy, wz, squares[3])]
    largest = max(range(4), key=squares.__getitem__)
    return _decode_xyzw(rows[largest])


#: Encodings that a policy may command, by the name in a robot description.
COMMAND_ENCODINGS: Mapping[str, TwoWayEncoding] = MappingProxyType({
    XYZW: TwoWayEncoding(
        4, _encode_xyzw, jumps=True, decode=_decode_xyzw, identity=(0.0, 0.0, 0.0, 1.0)),
    WXYZ: TwoWayEncoding(
        4, lambda quaternion: quaternion, jumps=True, decode=_decode_wxyz,
        identity=(1.0, 0.0, 0.0, 0.0)),
    AXIS_ANGLE: TwoWayEncoding(
        3, _encode_axis_angle, jumps=True, decode=_decode_axis_angle, identity=(0.0, 0.0, 0.0)),
    SIX_D: TwoWayEncoding(
        6, _encode_six_d, decode=_decode_six_d, identity=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))})
#: Encodings that a policy may observe, by the name in a robot description.
OBSERVATION_ENCODINGS: Mapping[str, Encoding] = MappingProxyType({
    'yaw': Encoding(1, lambda quaternion: (_yaw(quaternion),), is_angle=True),
    'yaw_cosine_sine': Encoding(2, _yaw_cosine_sine),
    SIX_D: COMMAND_ENCODINGS[SIX_D],
    AXIS_ANGLE: COMMAND_ENCODINGS[AXIS_ANGLE],
    'projected_gravity': Encoding(3, _projected_gravity)})
