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
"""Control steps of recordings: sources whose time goes back."""

from __future__ import annotations

import pytest

pytest.importorskip('rosbags')

from testing.fixtures.bags import MS, START
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from training.data.formats.rosbag.steps import Observer


def test_a_decision_on_an_earlier_sample_splits_the_episode() -> None:
    """As nodes of earlier releases made them from messages that others had overtaken."""
    observer = Observer(shipped_robot())
    problems = [
        observer.observe(START, rest_samples(START - age * MS))[1] for age in (0, 60, 0)]
    assert problems == ['', 'stamps out of order', '']
