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
"""Rotations in every form, against scipy's."""

from typing import Any

from hypothesis import given, strategies
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.transforms import point_in_frame, rotation_in_frame, TRANSFORMS

RANDOM = [*np.random.default_rng(0).normal(size=(200, 4))]
# No turn, half turns about each axis, the poles of Z-Y-X angles, and turns by next to nothing.
SPECIAL = [np.array(each, float) for each in (
    (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 0, 0, 1), (1, 1e-9, 0, 0),
    (1, 0, 0, 1e-160), (1e-9, 0, 0, 1))]
QUATERNIONS = [each / np.linalg.norm(each) for each in (*RANDOM, *SPECIAL)]


def scipy_of(quaternion: Any) -> Rotation:
    """Make scipy's rotation, whose quaternions are x y z w."""
    return Rotation.from_quat(np.asarray(quaternion)[[1, 2, 3, 0]])


@pytest.mark.parametrize('sign', [1, -1])
def test_forms_of_a_rotation(sign: int) -> None:
    """Yaw, 6-D, axis and angle are scipy's, of a quaternion and of its negative."""
    for quaternion in QUATERNIONS:
        expected = scipy_of(quaternion)
        found = {
            name: np.array(transform.compute(tuple(sign * quaternion)))
            for name, transform in TRANSFORMS.items()}
        for name, transform in TRANSFORMS.items():
            assert found[name].shape == (transform.size,)
        matrix = expected.as_matrix()
        np.testing.assert_allclose(
            found['rotation_6d'], np.concatenate([matrix[:, 0], matrix[:, 1]]), atol=1e-12)
        np.testing.assert_allclose(
            Rotation.from_rotvec(found['axis_angle']).as_matrix(), matrix, atol=1e-12)
        assert np.linalg.norm(found['axis_angle']) <= np.pi + 1e-12
        # At the poles of Z-Y-X angles, where yaw is not defined, both columns' heading is nought.
        if np.hypot(matrix[0, 0], matrix[1, 0]) > 1e-6:
            heading = np.arctan2(matrix[1, 0], matrix[0, 0])
            circle = np.cos(heading), np.sin(heading)
            np.testing.assert_allclose(found['yaw_cosine_sine'], circle, atol=1e-9)
            np.testing.assert_allclose(
                [np.cos(found['yaw'][0]), np.sin(found['yaw'][0])], circle, atol=1e-9)


def test_axis_and_angle_are_exact_for_small_turns() -> None:
    """No digit is lost where the angle is small, as a formula with an arc cosine would."""
    angle = 1e-7
    found = TRANSFORMS['axis_angle'].compute((np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0))
    np.testing.assert_allclose(found, (0, angle, 0), rtol=1e-12)


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
def test_a_length_that_is_a_little_off(length: float, which: int) -> None:
    """It changes no angle; a matrix stays one of a rotation, a point as far away as it was."""
    quaternion = tuple(QUATERNIONS[which] * length)
    for name in ('yaw_cosine_sine', 'axis_angle'):
        np.testing.assert_allclose(
            TRANSFORMS[name].compute(quaternion),
            TRANSFORMS[name].compute(tuple(QUATERNIONS[which])), atol=1e-9)
    columns = np.reshape(TRANSFORMS['rotation_6d'].compute(quaternion), (2, 3))
    np.testing.assert_allclose(columns @ columns.T, np.eye(2), atol=1e-12)
    moved = point_in_frame((1.0, 2.0, 3.0), (0.0, 0.0, 0.0), quaternion)
    assert np.linalg.norm(moved) == pytest.approx(np.sqrt(14), rel=1e-12)
