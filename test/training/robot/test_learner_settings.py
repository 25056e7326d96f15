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
"""Settings of the learner: names that ROS accepts."""

from __future__ import annotations

import pytest

from training.config import ConfigError
from training.robot.settings import LearnerSettings


def test_names() -> None:
    """Relative and absolute ones, and no namespace."""
    LearnerSettings()
    LearnerSettings(
        policy_node='/left/dfp_policy', node_name='learner_2', namespace='/left/arm',
        marks='left/episode_marks')


@pytest.mark.parametrize('name', ['policy_node', 'node_name', 'namespace', 'marks'])
@pytest.mark.parametrize('value', ['a b', '', '7up', 'a//b', 'a\nb', 'a/b'])
def test_what_is_no_name(name: str, value: str) -> None:
    """It is refused by its own name, not by the middleware's."""
    if value == 'a/b' and name != 'node_name' or not value and name == 'namespace':
        LearnerSettings(**{name: value})
        return
    with pytest.raises(ConfigError, match=f'{name}: found .* expected a name such as'):
        LearnerSettings(**{name: value})


@pytest.mark.parametrize('rate', [0.0, -0.5, 1.5, float('nan')])
def test_a_learning_rate_that_learns_nothing_or_cannot_be(rate: float) -> None:
    """It is refused at once; that of the run has to be asked for."""
    assert LearnerSettings(learning_rate=1e-4).learning_rate == 1e-4
    with pytest.raises(ConfigError, match='learning_rate: found .*, or -1 for the highest of the'):
        LearnerSettings(learning_rate=rate)
