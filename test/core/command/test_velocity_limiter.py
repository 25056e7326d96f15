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
"""Velocity limiter: bounds for any request, and braking before a position limit."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dfp_ros.core.arrays import UNBOUNDED
from dfp_ros.core.command.velocity_limiter import VelocityLimiter

LOW, HIGH = np.array([-1.0, -0.5]), np.array([1.0, 2.0])
ACCELERATION = 3.0
TICK = 0.02
SLACK = 1e-9
WALL = np.array([0.5, UNBOUNDED])
ANYWHERE = np.full(2, np.nan)


class Pair:
    """Limiters of two numbers; the first has a wall on both sides."""

    def __init__(
            self, wall: np.ndarray = WALL, acceleration: float = ACCELERATION,
            ramps: bool = False) -> None:
        """Make them."""
        self.both = [
            VelocityLimiter(low, high, acceleration, -each, each, ramp, TICK)
            for low, high, each, ramp in zip(LOW, HIGH, wall, (ramps, False), strict=True)]

    def move(self, asked: np.ndarray, position: np.ndarray, share: float) -> np.ndarray:
        """Move each."""
        return np.array([
            each.move(number, place, share)
            for each, number, place in zip(self.both, asked, position, strict=True)])

    def stop(self, ramp: bool) -> np.ndarray:
        """Stop each."""
        return np.array([each.stop(ramp) for each in self.both])


ASKED = st.lists(
    st.one_of(st.floats(-3, 3), st.sampled_from([-1e308, 1e308, 1.0])), min_size=2,
    max_size=2).map(np.array)
STEPS = st.lists(
    st.tuples(st.one_of(st.just('stop'), st.just('ramp'), ASKED, ASKED, ASKED, ASKED, ASKED),
              st.floats(0.01, 1)), min_size=1, max_size=100)


@settings(max_examples=100)
@given(STEPS, st.booleans(), st.integers(0, 1), st.sampled_from([0.5, 3.0, 100.0]))
def test_limits_hold_for_any_request(
        steps: list, ramps: bool, late: int, acceleration: float) -> None:
    """Bounds, acceleration and position limits hold, even if the feedback is one tick late."""
    made = Pair(acceleration=acceleration, ramps=ramps)
    places, last = [np.zeros(2), np.zeros(2)], np.zeros(2)
    for asked, share in steps:
        sudden = False
        if isinstance(asked, str):
            sent = made.stop(asked == 'ramp')
            sudden = asked == 'stop'
            assert (np.abs(sent) <= np.abs(last)).all()
            assert not sudden or ramps or (sent == 0).all()
        else:
            sent = made.move(asked, places[-1 - late], share)
        assert (sent >= LOW).all()
        assert (sent <= HIGH).all()
        change = np.abs(sent - last)
        bound = acceleration * TICK + SLACK
        assert change[0] <= bound or (sudden and not ramps)
        assert change[1] <= bound or sudden
        places.append(places[-1] + sent * TICK)
        assert abs(places[-1][0]) <= WALL[0] + SLACK
        last = sent


def test_within_its_limits_nothing_is_changed() -> None:
    """Without walls and without a bound on acceleration, velocities leave as they came."""
    made = Pair(np.full(2, UNBOUNDED), UNBOUNDED)
    for asked in np.random.default_rng(0).uniform(LOW, HIGH, (100, 2)):
        np.testing.assert_array_equal(made.move(asked, ANYWHERE, 1), asked)


@pytest.mark.parametrize('late', [0, 1])
def test_slows_down_before_the_wall_and_gets_there(late: int) -> None:
    """At full speed towards the wall, seen now or a tick late: it arrives, and not beyond."""
    made, places = Pair(), [np.zeros(2), np.zeros(2)]
    fastest = 0.0
    for _ in range(200):
        sent = made.move(np.ones(2), places[-1 - late], 1)
        fastest = max(fastest, sent[0])
        places.append(places[-1] + sent * TICK)
        assert places[-1][0] <= 0.5 + SLACK
    assert fastest == pytest.approx(1.0)
    assert places[-1][0] == pytest.approx(0.5, abs=0.02)
    # The other output has no wall.
    assert places[-1][1] == pytest.approx(200 * TICK, rel=0.1)


def test_at_or_behind_a_wall_only_the_way_back_is_free() -> None:
    """Beyond its wall the robot may go back, and is not driven back by itself."""
    made = Pair()
    outside = np.array([0.6, 0.0])
    np.testing.assert_array_equal(made.move(np.array([1.0, 0.0]), outside, 1), [0, 0])
    assert made.move(np.array([-1.0, 0.0]), outside, 1)[0] == -ACCELERATION * TICK


def test_towards_a_wall_at_an_unknown_distance_it_brakes() -> None:
    """An output with position limits stops if its position is unknown; others continue."""
    made = Pair()
    for _ in range(20):
        moving = made.move(np.ones(2), np.zeros(2), 1)
    assert moving[0] == pytest.approx(1.0)
    for _ in range(20):
        sent = made.move(np.ones(2), ANYWHERE, 1)
    np.testing.assert_array_equal(sent, [0, 1])
