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
"""Detection of simulated time with steps longer than a tick."""

from __future__ import annotations

import math

import pytest

from dfp_ros.core.safety.clock_steps import ClockSteps, describe_slow_clock

MS = 1_000_000


def test_the_usual_step_is_found() -> None:
    """Neither the jump to the first time, nor one back, nor a stall is the usual step."""
    steps = ClockSteps()
    for step in (1_700_000_000_000 * MS, 100 * MS, 100 * MS, 100 * MS):
        steps.add(step)
    assert steps.step is None, 'too few to tell'
    for step in (-500 * MS, 100 * MS, 700 * MS, 100 * MS):
        steps.add(step)
    assert steps.step == pytest.approx(0.1)


def test_a_clock_that_is_fast_enough_is_nothing() -> None:
    """Up to one step a tick, each tick has a time of its own."""
    for step in (0.001, 0.05, 0.05001, math.nan):
        assert describe_slow_clock(step, 0.05) == ''


def test_a_slow_clock_is_reported_with_its_cost() -> None:
    """Gazebo's 10 Hz under a policy of 20 Hz."""
    assert describe_slow_clock(0.1, 0.05) == (
        '/clock moves in steps of 100 ms (10 Hz), and the ticks are 50 ms apart (20 Hz): 50% of '
        'them are missed; have the simulator publish /clock at 20 Hz or more, better at ten '
        'times that')
