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
"""Processors of the learner."""

from __future__ import annotations

import pytest

from training.config import ConfigError
from training.robot.process_priority import choose_processors


@pytest.mark.parametrize(('text', 'available', 'expected'), [
    ('all', {0, 1}, None), ('auto', {0, 1}, None), ('auto', {0, 1, 2}, None),
    ('auto', {0, 1, 2, 3}, {2, 3}), ('auto', {1, 4, 5, 6, 7}, {5, 6, 7}), ('1', {0, 1}, {1}),
    ('0,2-3', {0, 1, 2, 3}, {0, 2, 3})])
def test_processors(text: str, available: set[int], expected: set[int] | None) -> None:
    """Two are left to the robot, if there are enough."""
    assert choose_processors(text, available) == expected


@pytest.mark.parametrize('text', ['', 'none', '2', '1-', '3-1', '0,9', '0-99999999999'])
def test_what_is_no_choice_of_processors(text: str) -> None:
    with pytest.raises(ConfigError, match='expected auto, all, or numbers of 0, 1, such as'):
        choose_processors(text, {0, 1})
