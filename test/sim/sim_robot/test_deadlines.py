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
"""Deadlines on a simulated clock."""

import pytest

from dfp_ros.sim.sim_robot.deadlines import Deadlines


def test_deadlines_are_absolute() -> None:
    """Steps that take their time do not shift those that follow."""
    deadlines, now = Deadlines(0.01), 5.0
    deadlines.start(now)
    for step in range(100):
        assert now == pytest.approx(5.0 + 0.01 * step)
        now += 0.004
        deadlines.finish(now)
        now += deadlines.remaining(now)
    assert deadlines.overruns == 0
    assert deadlines.rate(now) == pytest.approx(1.0)


def test_a_late_step_is_counted_and_made_up_for() -> None:
    """After a step of 35 ms, late starts are counted until the deadlines are met again."""
    deadlines, now = Deadlines(0.01), 0.0
    deadlines.start(now)
    for step in range(10):
        now += 0.035 if step == 2 else 0.001
        deadlines.finish(now)
        now += deadlines.remaining(now)
    assert now == pytest.approx(0.1)
    # Done at 55, 56 and 57 ms, where 30, 40 and 50 ms were due.
    assert deadlines.overruns == 3
    assert deadlines.rate(now) == pytest.approx(1.0)


def test_a_long_stop_is_not_made_up_for() -> None:
    """After a second away the next steps are a period apart, and the rate tells the loss."""
    deadlines, now = Deadlines(0.01), 0.0
    deadlines.start(now)
    now += 1.0
    deadlines.finish(now)
    assert deadlines.remaining(now) == 0
    deadlines.finish(now)
    assert deadlines.remaining(now) == pytest.approx(0.01)
    assert deadlines.rate(now) == pytest.approx(0.02)
