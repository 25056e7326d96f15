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
"""Formatting of numbers in messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dfp_ros.core.text.numbers import all_shown, shown


@pytest.mark.parametrize(('number', 'text'), [
    (0.1, '0.1'), (0.1 + 0.2, '0.3'), (-2 * math.pi, '-6.28319'), (20.0, '20.0'), (3, '3'),
    (2**53, '9007199254740992'), (1e-300, '1e-300'), (math.nan, 'nan'), (-math.inf, '-inf'),
    (np.float64(1 / 3), '0.333333'), (np.float32(0.1), '0.1'), (1795552048.837, '1.79555e+09')])
def test_a_number(number: float, text: str) -> None:
    """As it was written, or with six digits."""
    assert shown(number) == text


def test_numbers() -> None:
    """All sequence types are formatted as a list."""
    assert all_shown(np.array([0.1 + 0.2, math.nan, 5])) == '[0.3, nan, 5]'
    assert all_shown(()) == '[]'
