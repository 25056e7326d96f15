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
"""Position limiter: bounds, velocity and acceleration for any request."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from dfp_ros.core.arrays import UNBOUNDED, Vector
from dfp_ros.core.command.braking import braking_speed
from dfp_ros.core.command.position_limiter import PositionLimiter

LOW, HIGH = np.array([-1.0, -2.0]), np.array([1.0, 0.5])
VELOCITY, ACCELERATION = np.array([1.0, 2.0]), np.array([2.0, 30.0])
TICK = 0.05
SLACK = 1e-9


class Pair:
    """Limiters of two numbers, that start at zero."""

    def __init__(self, high: Vector = HIGH, acceleration: Vector = ACCELERATION) -> None:
        """Make them."""
        self.both = [
            PositionLimiter(*limits, TICK)
            for limits in zip(LOW, high, VELOCITY, acceleration, strict=True)]
        self.start(np.zeros(2))

    def start(self, position: Vector) -> None:
        """Start each."""
        for each, number in zip(self.both, position, strict=True):
            each.start(number)

    def move(self, asked: Vector, share: float) -> Vector:
        """Move each."""
        return np.array([
            each.move(number, share) for each, number in zip(self.both, asked, strict=True)])

    def brake(self) -> Vector:
        """Brake each."""
        return np.array([each.brake() for each in self.both])


@dataclass(frozen=True)
class Step:
    """One tick: something is asked for, or the robot is braked."""

    asked: Vector | None
    share: float


ASKED = st.lists(
    st.one_of(st.floats(-3, 3), st.sampled_from([-1e308, 1e308, -1.0, 0.5, 1.0])),
    min_size=2, max_size=2).map(np.array)
STEPS = st.lists(
    st.builds(Step, st.one_of(st.none(), ASKED, ASKED, ASKED), st.floats(0.01, 1)),
    min_size=1, max_size=60)


@settings(max_examples=100)
@given(STEPS, st.sampled_from([0.2, 2.0, 1000.0, UNBOUNDED]))
def test_limits_hold_for_any_request(steps: list[Step], acceleration: float) -> None:
    """Bounds hold exactly, velocity and acceleration up to rounding, for any request."""
    made = Pair(acceleration=np.full(2, acceleration))
    last, speed = np.zeros(2), np.zeros(2)
    for step in steps:
        sent = made.brake() if step.asked is None else made.move(step.asked, step.share)
        assert np.isfinite(sent).all()
        assert (sent >= LOW).all()
        assert (sent <= HIGH).all()
        new = (sent - last) / TICK
        assert (np.abs(new) <= VELOCITY + SLACK).all()
        assert (np.abs(new - speed) <= acceleration * TICK + SLACK).all()
        last, speed = sent, new
    # From wherever it is, it comes to rest without leaving its bounds, and stays there.
    for _ in range(int(VELOCITY.max() / (acceleration * TICK)) + 2):
        rest = made.brake()
        assert (np.abs(made.brake() - rest) <= VELOCITY * TICK).all()
    np.testing.assert_array_equal(made.brake(), made.brake())


@settings(max_examples=50)
@given(STEPS, ASKED, st.sampled_from([0.2, 2.0, 1000.0]))
def test_a_constant_request_is_reached(
        steps: list[Step], asked: Vector, acceleration: float) -> None:
    """A constant request is reached exactly; from rest, it is never overshot."""
    made = Pair(acceleration=np.full(2, acceleration))
    for step in steps:
        if step.asked is not None:
            made.move(step.asked, 1)
    while (made.brake() != made.brake()).any():
        pass
    start, goal = made.brake(), np.clip(asked, LOW, HIGH)
    # The way there at full speed, and the time to get to it and from it.
    seconds = np.max(np.abs(goal - start) / VELOCITY + 2 * np.sqrt(12 / acceleration)) + 1
    for _ in range(int(seconds / TICK)):
        sent = made.move(asked, 1)
        assert (np.abs(sent - start) <= np.abs(goal - start) + SLACK).all()
    np.testing.assert_array_equal(sent, goal)


def test_a_path_within_the_limits_is_sent_as_it_is() -> None:
    """A smooth path that respects every limit leaves bit by bit as it came."""
    made = Pair()
    for i in range(200):
        # Speed 0.4 * 1.5 = 0.6, acceleration 0.4 * 1.5**2 = 0.9, and 0 of each at the start.
        asked = np.full(2, 0.2 * (1 - np.cos(1.5 * i * TICK)))
        np.testing.assert_array_equal(made.move(asked, 1), asked)


def test_a_request_moving_to_a_bound_is_followed_within_braking_distance() -> None:
    """A path that ends at a bound at half the speed: the robot brakes before it, gently."""
    made, last, speed = Pair(), np.zeros(2), np.zeros(2)
    for i in range(80):
        sent = made.move(np.full(2, 0.5 * i * TICK), 1)
        new = (sent - last) / TICK
        assert (np.abs(new - speed) <= ACCELERATION * TICK + SLACK).all()
        last, speed = sent, new
    np.testing.assert_array_equal(last, HIGH)


def test_bounds_that_narrow_under_way_hold() -> None:
    """If another limiter takes over with a narrower bound, that bound has priority."""
    old = Pair()
    for _ in range(12):
        at = old.move(np.array([1.0, 0.0]), 1)
    new = Pair(np.array([at[0] + 0.02, 0.5]))
    for mine, others in zip(new.both, old.both, strict=True):
        mine.transfer_from(others)
    for _ in range(12):
        assert at[0] <= new.move(np.array([1.0, 0.0]), 1)[0] <= at[0] + 0.02


def test_the_share_slows_down() -> None:
    """Half the share is half the speed; if it shrinks during motion, the robot brakes to it."""
    made, at, speeds = Pair(), np.zeros(2), []
    for share in [1.0] * 12 + [0.2] * 12:
        sent = made.move(np.array([1.0, 0.5]), share)
        speeds.append((sent - at)[0] / TICK)
        at = sent
    assert max(speeds[:12]) > 0.9
    assert speeds[-1] <= 0.2 + SLACK
    assert (np.diff(speeds) >= -ACCELERATION[0] * TICK - SLACK).all()


def test_comes_back_in_without_a_jump() -> None:
    """A robot beyond a bound is led in, at the speed allowed, and never further out."""
    made = Pair()
    made.start(np.array([1.5, -2.3]))
    last = np.array([1.5, -2.3])
    for i in range(60):
        sent = made.move(np.array([5.0, -5.0]) if i < 50 else np.zeros(2), 1)
        assert sent[0] <= last[0]
        assert sent[1] >= last[1]
        assert (np.abs(sent - last) <= VELOCITY * TICK + SLACK).all()
        if i == 49:
            np.testing.assert_array_equal(sent, [1.0, -2.0])
        last = sent


@given(st.floats(0, 10), st.floats(0.01, 1e4), st.floats(0.001, 0.2))
def test_braking_speed_uses_all_of_the_gap(gap: float, acceleration: float, tick: float) -> None:
    """From the speed that is found, braking ends at the end of the gap."""
    speed = braking_speed(gap, acceleration, tick)
    way = 0.0
    while speed > 0 and way < 2 * gap + 1:
        way += speed * tick
        speed -= acceleration * tick
    assert abs(way - gap) <= 1e-6 * (1 + gap)
