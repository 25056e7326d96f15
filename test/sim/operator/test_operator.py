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
"""When the operator takes over, and when it lets go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dfp_ros.sim.operator.operator import Operator, Temper
from dfp_ros.sim.operator.script import Scene

GOAL = np.array([0.5, 0.0, 0.02])
CUBE = np.array([0.35, 0.0, 0.02])
TEMPER = Temper(patience=(1.0, 1.0), latest=4.0)


def look(
        operator: Operator, time: float, height: float = 0.2, is_grasped: bool = False,
) -> list[float] | None:
    """Show an arm at a height above the cube, or with it."""
    effector = np.array([0.35, 0.0, height])
    return operator.look(Scene(
        time, effector, 0.0, float(is_grasped), effector if is_grasped else CUBE, 0.0))


def watch(
        operator: Operator, until: float, height: Callable[[float], float] = lambda time: 0.2,
        since: float = 0.0) -> float | None:
    """Show a scene until the operator takes over; return when."""
    for time in np.arange(since, until, 0.04):
        if look(operator, float(time), height(time)) is not None:
            return float(time)
    return None


@pytest.fixture(name='operator')
def an_operator() -> Operator:
    """Make an operator who waits for a second, within an episode."""
    operator = Operator(GOAL, temper=TEMPER)
    operator.begin()
    return operator


def test_nobody_takes_over_between_episodes() -> None:
    """Before the first one, and after the last."""
    operator = Operator(GOAL, temper=TEMPER)
    assert watch(operator, 10.0) is None
    operator.begin()
    operator.end('the episode has ended')
    assert watch(operator, 10.0) is None
    assert (operator.episodes, operator.takeovers) == (1, 0)


def test_no_progress(operator: Operator) -> None:
    """For longer than its patience; a way of less than 2 cm is no progress."""
    assert watch(operator, 9.0, lambda time: 0.2 - 0.01 * min(1.0, time)) == pytest.approx(
        1.0, abs=0.05)
    assert operator.reason == 'no progress for 1.0 s'


def test_progress(operator: Operator) -> None:
    """A policy that moves on is left alone until it is late."""
    assert watch(operator, 9.0, lambda time: 0.2 - 0.04 * time) == pytest.approx(4.0, abs=0.05)
    assert operator.reason == 'not done after 4.0 s'


def test_it_lets_go_of_a_lifted_cube_and_waits_again(operator: Operator) -> None:
    """The policy has the rest to do; if it does not, the operator does that, too."""
    assert watch(operator, 3.0) is not None
    assert look(operator, 1.2, 0.04, is_grasped=True) is not None
    assert look(operator, 1.5, 0.09, is_grasped=True) is None
    assert operator.reason == 'the cube is lifted'
    assert look(operator, 2.4, 0.09, is_grasped=True) is None
    assert look(operator, 2.6, 0.09, is_grasped=True) is not None
    assert look(operator, 2.7, 0.12, is_grasped=True) is not None
    operator.end('the episode has ended')
    assert not operator.is_commanding
    assert (operator.takeovers, operator.helped, operator.episodes) == (2, 1, 1)


def test_late_it_keeps_the_robot(operator: Operator) -> None:
    """To the end of the episode, because there is no time for another policy's mistake."""
    assert watch(operator, 9.0, lambda time: 0.2 - 0.04 * time) is not None
    assert look(operator, 4.5, 0.12, is_grasped=True) is not None
    operator.begin()
    assert not operator.is_commanding
    assert look(operator, 5.0) is None


def test_a_clock_that_is_set_back(operator: Operator) -> None:
    """It waits for as long as it would have, and not until the clock has caught up."""
    assert watch(operator, 100.5, since=100.0) is None
    assert watch(operator, 60.0, since=40.0) == pytest.approx(40.56, abs=0.05)
    operator.end('the episode has ended')
    operator.begin()
    assert watch(operator, 30.0, since=10.0) == pytest.approx(11.04, abs=0.05)


def test_a_mark_that_is_sent_again_begins_no_other_episode() -> None:
    """As a robot does whose learner is late; the patience of the next one is that of the seed."""
    once, again = (Operator(GOAL, 5, Temper((0.5, 1.5), 100.0)) for _ in range(2))
    for operator, times in (once, 1), (again, 3):
        for _ in range(times):
            operator.begin()
        look(operator, 0.0)
    # Begun anew, after something was seen.
    for operator in once, again:
        operator.begin()
    assert watch(once, 10.0) == watch(again, 10.0)
    assert (once.episodes, again.episodes) == (2, 2)


def test_the_seed_determines_its_patience() -> None:
    """Within the range, and anew in each episode."""
    def instants(seed: int) -> list[float | None]:
        operator = Operator(GOAL, seed, Temper(patience=(1.0, 2.0)))
        found = []
        for i in range(5):
            operator.begin()
            begin = 20.0 * i
            taken = watch(operator, begin + 9, since=begin)
            found.append(None if taken is None else round(taken - begin, 6))
        return found

    first = instants(3)
    assert first == instants(3) != instants(4)
    assert len(set(first)) > 1
    assert all(time is not None and 1.0 <= time <= 2.1 for time in first)
