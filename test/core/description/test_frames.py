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
"""Poses as another frame sees them, against scipy's."""

from typing import Any

from hypothesis import given, strategies
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.frames import point_in_frame, rotation_in_frame

RANDOM = np.random.default_rng(0).normal(size=(200, 4))
QUATERNIONS = [each / np.linalg.norm(each) for each in (*RANDOM, *np.eye(4))]


def scipy_of(quaternion: Any) -> Rotation:
    """Make scipy's rotation, whose quaternions are x y z w."""
    return Rotation.from_quat(np.asarray(quaternion)[[1, 2, 3, 0]])


def test_a_pose_as_another_sees_it() -> None:
    """Position and rotation of B in A, as scipy has them."""
    random = np.random.default_rng(1)
    for a, b in zip(QUATERNIONS, QUATERNIONS[::-1], strict=True):
        origin, point = random.normal(size=(2, 3))
        frame = scipy_of(a)
        np.testing.assert_allclose(
            point_in_frame(tuple(point), tuple(origin), tuple(a)),
            frame.inv().apply(point - origin), atol=1e-12)
        np.testing.assert_allclose(
            scipy_of(rotation_in_frame(tuple(b), tuple(a))).as_matrix(),
            (frame.inv() * scipy_of(b)).as_matrix(), atol=1e-12)


@given(strategies.floats(0.99, 1.01), strategies.integers(0, len(QUATERNIONS) - 1))
def test_a_frame_whose_length_is_a_little_off(length: float, which: int) -> None:
    """A point stays as far away as it was."""
    moved = point_in_frame(
        (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), tuple(QUATERNIONS[which] * length))
    assert np.linalg.norm(moved) == pytest.approx(np.sqrt(14), rel=1e-12)
