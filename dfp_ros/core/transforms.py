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
"""Rotations in the forms that policies are trained with; quaternions are w x y z, w the scalar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math
from types import MappingProxyType
from typing import TypeAlias

Quaternion: TypeAlias = tuple[float, float, float, float]
Vector: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Transform:
    """
    Another form of a rotation.

    :param size: How many numbers it has.
    :param compute: Makes them of a quaternion of length near 1, whichever its sign.
    :param is_angle: Whether it is an angle that jumps by a turn.
    :param jumps: Whether near rotations may have numbers that are far apart in another way.
    """

    size: int
    compute: Callable[[Quaternion], tuple[float, ...]]
    is_angle: bool = False
    jumps: bool = False


def _yaw(quaternion: Quaternion) -> float:
    """Rotation about the vertical axis (Z-Y-X angles, REP-103), in (-pi, pi]."""
    w, x, y, z = quaternion
    return math.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def _yaw_cosine_sine(quaternion: Quaternion) -> tuple[float, float]:
    """Yaw as a point on the unit circle."""
    yaw = _yaw(quaternion)
    return math.cos(yaw), math.sin(yaw)


def _six_d(quaternion: Quaternion) -> tuple[float, ...]:
    """First two columns of the rotation matrix, one after the other (Zhou et al. 2019)."""
    w, x, y, z = _unit(quaternion)
    return (
        1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
        2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))


def _axis_angle(quaternion: Quaternion) -> Vector:
    """Axis times angle in rad; the angle is in [0, pi]."""
    w, x, y, z = quaternion if quaternion[0] >= 0 else [-value for value in quaternion]
    sine = math.hypot(x, y, z)
    factor = 2 * math.atan2(sine, w) / sine if sine else 2.0
    return factor * x, factor * y, factor * z


#: Forms by the name that a description calls them.
TRANSFORMS: Mapping[str, Transform] = MappingProxyType({
    'yaw': Transform(1, lambda quaternion: (_yaw(quaternion),), is_angle=True),
    'yaw_cosine_sine': Transform(2, _yaw_cosine_sine),
    'rotation_6d': Transform(6, _six_d),
    'axis_angle': Transform(3, _axis_angle, jumps=True)})


def rotation_in_frame(rotation: Quaternion, frame: Quaternion) -> Quaternion:
    """
    Turn a rotation into a frame.

    :param rotation: A rotation.
    :param frame: The frame's rotation, in what the first is in.
    :return: The rotation as seen from the frame: ``frame^-1 * rotation``.
    """
    (a, b, c, d), (w, x, y, z) = _unit(frame), rotation
    return (
        a * w + b * x + c * y + d * z, a * x - b * w - c * z + d * y,
        a * y + b * z - c * w - d * x, a * z - b * y + c * x - d * w)


def point_in_frame(point: Vector, origin: Vector, frame: Quaternion) -> Vector:
    """
    Give a point as a frame sees it.

    :param point: The point.
    :param origin: The frame's origin, in what the point is in.
    :param frame: The frame's rotation, in what the point is in.
    """
    x, y, z = (mine - other for mine, other in zip(point, origin, strict=True))
    w, a, b, c = _unit(frame)
    # v + 2 w (u x v) + 2 u x (u x v) for the inverse rotation, whose axis u is (-a, -b, -c).
    s, t, r = c * y - b * z, a * z - c * x, b * x - a * y
    return (
        x + 2 * (w * s + c * t - b * r), y + 2 * (w * t + a * r - c * s),
        z + 2 * (w * r + b * s - a * t))


def _unit(quaternion: Quaternion) -> Quaternion:
    """Scale to length 1; what drivers publish as float32 is off by a little."""
    w, x, y, z = quaternion
    length = math.sqrt(w * w + x * x + y * y + z * z)
    return w / length, x / length, y / length, z / length
