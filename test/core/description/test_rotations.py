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
"""Encodings of rotations, both ways, against scipy's."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.rotations import (
    AXIS_ANGLE,
    COMMAND_ENCODINGS,
    nearest_form,
    OBSERVATION_ENCODINGS,
    SIX_D,
    WXYZ,
    XYZW,
)

VECTORS = st.lists(st.floats(-3, 3), min_size=3, max_size=3)
RANDOM = [*np.random.default_rng(0).normal(size=(200, 4))]
# No turn, half turns about each axis, the poles of Z-Y-X angles, and turns by next to nothing.
SPECIAL = [np.array(each, float) for each in (
    (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 0, 0, 1), (1, 1e-9, 0, 0),
    (1, 0, 0, 1e-160), (1e-9, 0, 0, 1))]
QUATERNIONS = [each / np.linalg.norm(each) for each in (*RANDOM, *SPECIAL)]


def scipy_of(quaternion: Any) -> Rotation:
    """Make scipy's rotation, whose quaternions are x y z w."""
    return Rotation.from_quat(np.asarray(quaternion)[[1, 2, 3, 0]])


def same(found: tuple[float, ...], expected: Rotation) -> None:
    """Compare a quaternion with a rotation; its sign means nothing."""
    assert math.hypot(*found) == pytest.approx(1)
    assert (scipy_of(found) * expected.inv()).magnitude() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('sign', [1, -1])
def test_forms_of_a_rotation(sign: int) -> None:
    """Yaw, 6-D, axis and angle are scipy's, of a quaternion and of its negative."""
    for quaternion in QUATERNIONS:
        expected = scipy_of(quaternion)
        found = {
            name: np.array(encoding.encode(tuple(sign * quaternion)))
            for name, encoding in OBSERVATION_ENCODINGS.items()}
        for name, encoding in OBSERVATION_ENCODINGS.items():
            assert found[name].shape == (encoding.size,)
        matrix = expected.as_matrix()
        np.testing.assert_allclose(
            found['rotation_6d'], np.concatenate([matrix[:, 0], matrix[:, 1]]), atol=1e-12)
        np.testing.assert_allclose(
            Rotation.from_rotvec(found['axis_angle']).as_matrix(), matrix, atol=1e-12)
        assert np.linalg.norm(found['axis_angle']) <= np.pi + 1e-12
        np.testing.assert_allclose(
            found['projected_gravity'], expected.inv().apply([0, 0, -1]), atol=1e-12)
        # At the poles of Z-Y-X angles, where yaw is not defined, both columns' heading is nought.
        if np.hypot(matrix[0, 0], matrix[1, 0]) > 1e-6:
            heading = np.arctan2(matrix[1, 0], matrix[0, 0])
            circle = np.cos(heading), np.sin(heading)
            np.testing.assert_allclose(found['yaw_cosine_sine'], circle, atol=1e-9)
            np.testing.assert_allclose(
                [np.cos(found['yaw'][0]), np.sin(found['yaw'][0])], circle, atol=1e-9)


def test_axis_and_angle_are_exact_for_small_turns() -> None:
    """No digit is lost for small angles, as a formula with an arc cosine would."""
    angle = 1e-7
    found = COMMAND_ENCODINGS[AXIS_ANGLE].encode(
        (np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0))
    np.testing.assert_allclose(found, (0, angle, 0), rtol=1e-12)


@given(st.floats(0.99, 1.01), st.integers(0, len(QUATERNIONS) - 1))
def test_a_length_that_is_a_little_off(length: float, which: int) -> None:
    """It changes no angle; a matrix stays one of a rotation."""
    quaternion = tuple(QUATERNIONS[which] * length)
    for name in ('yaw_cosine_sine', 'axis_angle'):
        np.testing.assert_allclose(
            OBSERVATION_ENCODINGS[name].encode(quaternion),
            OBSERVATION_ENCODINGS[name].encode(tuple(QUATERNIONS[which])), atol=1e-9)
    columns = np.reshape(OBSERVATION_ENCODINGS['rotation_6d'].encode(quaternion), (2, 3))
    np.testing.assert_allclose(columns @ columns.T, np.eye(2), atol=1e-12)


@pytest.mark.parametrize('name', COMMAND_ENCODINGS)
def test_there_and_back(name: str) -> None:
    """The numbers of a quaternion, and of no rotation, give the rotation back."""
    encoding = COMMAND_ENCODINGS[name]
    assert len(encoding.identity) == encoding.size
    assert encoding.decode(encoding.identity) == (1, 0, 0, 0)
    for quaternion in QUATERNIONS:
        numbers = encoding.encode(tuple(quaternion))
        assert len(numbers) == encoding.size
        same(encoding.decode(numbers), scipy_of(quaternion))


@given(VECTORS)
def test_axis_and_angle(vector: list[float]) -> None:
    """Against scipy, through zero and beyond half a turn."""
    same(COMMAND_ENCODINGS[AXIS_ANGLE].decode(vector), Rotation.from_rotvec(vector))


@given(VECTORS, st.floats(0.1, 5), st.floats(0.1, 5), st.floats(-2, 2))
def test_six_numbers(vector: list[float], first: float, second: float, skew: float) -> None:
    """Two columns of any length, the second not perpendicular, give back the rotation."""
    rotation = Rotation.from_rotvec(vector)
    columns = rotation.as_matrix().T
    numbers = np.concatenate([first * columns[0], second * columns[1] + skew * columns[0]])
    same(COMMAND_ENCODINGS[SIX_D].decode(numbers.tolist()), rotation)


def test_quaternions_in_either_order_and_of_any_length() -> None:
    """They are scaled to length 1."""
    assert COMMAND_ENCODINGS[XYZW].decode([0, 0, 3, 4]) == (0.8, 0, 0, 0.6)
    assert COMMAND_ENCODINGS[WXYZ].decode([4, 0, 0, 3]) == (0.8, 0, 0, 0.6)


@pytest.mark.parametrize(('kind', 'numbers'), [
    (XYZW, [0, 0, 0, 0]), (SIX_D, [0, 0, 0, 1, 0, 0]), (SIX_D, [1, 0, 0, 2, 0, 0])])
def test_no_direction(kind: str, numbers: list[float]) -> None:
    """Numbers that are no rotation are refused, not sent as one."""
    with pytest.raises(ValueError, match='has no direction'):
        COMMAND_ENCODINGS[kind].decode(numbers)


@given(VECTORS, VECTORS)
def test_the_nearest_form_is_the_same_rotation(vector: list[float], other: list[float]) -> None:
    """In numbers that are no further away, and never the long way round."""
    numbers, reference = np.array(vector), np.array(other)
    near = nearest_form(AXIS_ANGLE, numbers, reference)
    assert np.linalg.norm(near - reference) <= np.linalg.norm(numbers - reference)
    same(COMMAND_ENCODINGS[AXIS_ANGLE].decode(near.tolist()), Rotation.from_rotvec(vector))
    quaternion, here = Rotation.from_rotvec([vector, other]).as_quat()
    for sign in (1, -1):
        near = nearest_form(XYZW, sign * quaternion, here)
        assert near @ here >= 0
        same(COMMAND_ENCODINGS[XYZW].decode(near.tolist()), Rotation.from_rotvec(vector))
    np.testing.assert_array_equal(nearest_form(SIX_D, np.ones(6), -np.ones(6)), np.ones(6))
