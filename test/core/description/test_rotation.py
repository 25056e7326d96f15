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
"""Rotations of every kind become the quaternion that they are."""

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.rotations import AXIS_ANGLE, nearest_form, SIX_D, to_quaternion, WXYZ, XYZW

VECTORS = st.lists(st.floats(-3, 3), min_size=3, max_size=3)


def same(found: tuple[float, ...], expected: Rotation) -> None:
    """Compare a quaternion with a rotation; its sign means nothing."""
    assert math.hypot(*found) == pytest.approx(1)
    assert (Rotation.from_quat(found) * expected.inv()).magnitude() == pytest.approx(0, abs=1e-6)


@given(VECTORS)
def test_axis_and_angle(vector: list[float]) -> None:
    """Against scipy, through zero and beyond half a turn."""
    same(to_quaternion(AXIS_ANGLE, vector), Rotation.from_rotvec(vector))


@given(VECTORS, st.floats(0.1, 5), st.floats(0.1, 5), st.floats(-2, 2))
def test_six_numbers(vector: list[float], first: float, second: float, skew: float) -> None:
    """Two columns of any length, the second not perpendicular, give back the rotation."""
    rotation = Rotation.from_rotvec(vector)
    columns = rotation.as_matrix().T
    numbers = np.concatenate([first * columns[0], second * columns[1] + skew * columns[0]])
    same(to_quaternion(SIX_D, numbers.tolist()), rotation)


def test_quaternions_in_either_order_and_of_any_length() -> None:
    """They are scaled to length 1."""
    assert to_quaternion(XYZW, [0, 0, 3, 4]) == (0, 0, 0.6, 0.8)
    assert to_quaternion(WXYZ, [4, 0, 0, 3]) == (0, 0, 0.6, 0.8)


@pytest.mark.parametrize(('kind', 'numbers'), [
    (XYZW, [0, 0, 0, 0]), (SIX_D, [0, 0, 0, 1, 0, 0]), (SIX_D, [1, 0, 0, 2, 0, 0])])
def test_no_direction(kind: str, numbers: list[float]) -> None:
    """Numbers that are no rotation are refused, not sent as one."""
    with pytest.raises(ValueError, match='has no direction'):
        to_quaternion(kind, numbers)


@given(VECTORS, VECTORS)
def test_the_nearest_form_is_the_same_rotation(vector: list[float], other: list[float]) -> None:
    """In numbers that are no further away, and never the long way round."""
    numbers, reference = np.array(vector), np.array(other)
    near = nearest_form(AXIS_ANGLE, numbers, reference)
    assert np.linalg.norm(near - reference) <= np.linalg.norm(numbers - reference)
    same(to_quaternion(AXIS_ANGLE, near.tolist()), Rotation.from_rotvec(vector))
    quaternion, here = Rotation.from_rotvec([vector, other]).as_quat()
    for sign in (1, -1):
        near = nearest_form(XYZW, sign * quaternion, here)
        assert near @ here >= 0
        same(tuple(near), Rotation.from_rotvec(vector))
    np.testing.assert_array_equal(nearest_form(SIX_D, np.ones(6), -np.ones(6)), np.ones(6))
