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
"""Points and rotations as another frame sees them; quaternions are w x y z, w the scalar."""

from __future__ import annotations

from typing import TypeAlias

from dfp_ros.core.rotations import Quaternion, unit

Point: TypeAlias = tuple[float, float, float]


def rotation_in_frame(rotation: Quaternion, frame: Quaternion) -> Quaternion:
    """
    Turn a rotation into a frame.

    :param rotation: A rotation.
    :param frame: The frame's rotation, in the frame of the first.
    :return: The rotation as seen from the frame: ``frame^-1 * rotation``.
    """
    (a, b, c, d), (w, x, y, z) = unit(frame), rotation
    return (
        a * w + b * x + c * y + d * z, a * x - b * w - c * z + d * y,
        a * y + b * z - c * w - d * x, a * z - b * y + c * x - d * w)


def point_in_frame(point: Point, origin: Point, frame: Quaternion) -> Point:
    """
    Give a point as a frame sees it.

    :param point: The point.
    :param origin: The frame's origin, in the frame of the point.
    :param frame: The frame's rotation, in the frame of the point.
    """
    x, y, z = (mine - other for mine, other in zip(point, origin, strict=True))
    w, a, b, c = unit(frame)
    # v + 2 w (u x v) + 2 u x (u x v) for the inverse rotation, whose axis u is (-a, -b, -c).
    s, t, r = c * y - b * z, a * z - c * x, b * x - a * y
    return (
        x + 2 * (w * s + c * t - b * r), y + 2 * (w * t + a * r - c * s),
        z + 2 * (w * r + b * s - a * t))
