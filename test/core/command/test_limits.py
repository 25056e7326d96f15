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
"""Command scaling and limits."""

from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.arrays import UNBOUNDED
from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.rotations import COMMAND_ENCODINGS
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.spec import PolicySpec
from testing.policies.small_policy import cube_spec


def limiter(spec: PolicySpec) -> tuple[ActionScale, CommandLimiter]:
    """Make scale and limiter from the ranges of the policy file."""
    scale = ActionScale.of_policy(spec)
    return scale, CommandLimiter(Limits(scale.low, scale.high), 50_000_000)


def test_scaling_is_exact() -> None:
    """Commands are low + (a + 1) / 2 * (high - low) in float64, and give the float32 back."""
    scale, limits = limiter(cube_spec())
    random = np.random.default_rng(0)
    for action in random.uniform(-1, 1, (1000, 5)).astype(np.float32):
        asked = scale.command(action)
        sent, reason = limits.limit(asked)
        assert reason == Reason.NONE
        np.testing.assert_array_equal(asked, sent)
        np.testing.assert_array_equal(
            sent, scale.low + (action.astype(np.float64) + 1) / 2 * (scale.high - scale.low))
        np.testing.assert_array_equal((sent / scale.high).astype(np.float32), action)


def test_clipped() -> None:
    """Actions outside the bounds are clipped, and this is reported."""
    scale, limits = limiter(cube_spec())
    asked = scale.command(np.array([2, -2, 0.5, 1, -1], np.float32))
    np.testing.assert_array_equal(asked, [2, -2, 0.5, 6, -20])
    sent, reason = limits.limit(asked)
    assert reason == Reason.CLIPPED
    np.testing.assert_array_equal(sent, [1, -1, 0.5, 6, -20])


def test_rounding_is_not_clipping() -> None:
    """Actions of exactly 1 and -1 stay within bounds that are no binary fractions, unflagged."""
    spec = cube_spec()
    odd = replace(spec, action=tuple(
        replace(member, low=(-0.3,) * member.size, high=(0.1,) * member.size)
        for member in spec.action))
    scale, limits = limiter(odd)
    for value in (1, -1):
        sent, reason = limits.limit(scale.command(np.full(5, value, np.float32)))
        assert reason == Reason.NONE
        assert (sent >= -0.3).all()
        assert (sent <= 0.1).all()


# A joint, a pose relative to where it is, a velocity that stops at once and has a wall, one that
# stops slowly, and a gripper.
ROBOT = Limits(
    low=np.array([-1.0, -0.1, -1.0, -2.0, 0.0]), high=np.array([1.0, 0.1, 1.0, 2.0, 1.0]),
    stop=(Stop.HOLD, Stop.HOLD, Stop.ZERO, Stop.RAMP, Stop.KEEP),
    velocity=np.array([1.0, 0.5, UNBOUNDED, UNBOUNDED, UNBOUNDED]),
    acceleration=np.array([4.0, 3.0, 5.0, 2.0, UNBOUNDED]),
    position_low=np.array([-1.0, -0.4, -0.5, -UNBOUNDED, -UNBOUNDED]),
    position_high=np.array([1.0, 0.4, 0.5, UNBOUNDED, UNBOUNDED]),
    relative=np.array([False, True, False, False, False]))
ROBOT_TICK = 50_000_000
SLACK = 1e-9
HERE = np.array([0.2, -0.1, 0.0, np.nan, 0.5])
NUMBERS = st.one_of(
    st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308]))
VECTORS = st.lists(st.one_of(st.floats(-2, 2), NUMBERS), min_size=5, max_size=5).map(np.array)
EVENTS = st.lists(st.one_of(
    st.tuples(st.just('limit'), VECTORS, st.floats(0.05, 1)),
    st.tuples(st.just('limit'), VECTORS, st.just(1.0)),
    st.tuples(st.sampled_from(['stop', 'ramp', 'lost', 'swap', 'ahead']), VECTORS, st.just(1.0)),
), min_size=1, max_size=60)


@example(
    [('limit', np.zeros(5), 1.0), ('limit', np.eye(5)[2], 1.0), ('ramp', np.full(5, np.nan), 1.0)],
    0.0, True)
@settings(max_examples=100)
@given(EVENTS, st.sampled_from([0.0, 1.0]), st.booleans())
def test_commands_respect_limits_after_any_sequence(
        events: list[tuple[str, Any, float]], ramp_in: float, known: bool) -> None:
    """Commands are finite, and within bounds and the rate limit; or there are none."""
    limiter = CommandLimiter(ROBOT, ROBOT_TICK, ramp_in)
    seconds = ROBOT_TICK * 1e-9
    place = HERE.copy() if known else HERE * np.nan
    last, speed = None, np.zeros(2)
    for event, asked, share in events:
        sudden = event in ('stop', 'lost') or (
            event == 'limit' and not np.isfinite(asked).all())
        if event == 'swap':
            old, limiter = limiter, CommandLimiter(ROBOT, ROBOT_TICK, ramp_in)
            limiter.transfer_from(old)
            continue
        if event == 'ahead':
            limiter.ahead(np.array([asked, asked]), place, 2 * ROBOT_TICK)
            continue
        if event == 'limit':
            sent, reason = limiter.limit(asked, place, share)
            assert np.isfinite(asked).all() or reason
        elif event == 'lost':
            sent, reason = limiter.limit(asked, None, share)
            assert reason
        else:
            sent = limiter.stop(place, event == 'ramp')
        if sent is None:
            assert last is None, 'nothing to send, after something was sent'
            continue
        assert np.isfinite(sent).all()
        assert (np.abs(sent) <= [1, 0.4, 1, 2, 1]).all()
        assert sent[4] >= 0
        before = np.array([HERE[0], HERE[1], 0, 0, sent[4]]) if last is None else last
        change = (sent - before) / seconds
        assert (np.abs(change[:2]) <= np.array([1, 0.5]) + SLACK).all()
        assert (np.abs(change[:2] - speed) <= np.array([4, 3]) * seconds + SLACK).all()
        assert abs(change[2]) <= 5 + SLACK or sudden
        assert abs(change[3]) <= 2 + SLACK
        if sudden and last is not None:
            assert sent[2] == 0
            assert sent[4] == last[4]
        last, speed = sent, change[:2]
        if known:
            place[2] += sent[2] * seconds
            assert abs(place[2]) <= 0.5 + SLACK


def test_a_position_starts_where_the_robot_is() -> None:
    """Nothing is sent before that is known; then the first command is next to it, never zero."""
    limiter = CommandLimiter(ROBOT, ROBOT_TICK)
    for lost in (None, np.full(5, np.nan), np.array([np.nan, 0, 0, 0, 0])):
        assert limiter.limit(np.zeros(5), lost) == (None, Reason.UNMEASURED)
        assert limiter.stop(lost) is None
    sent, reason = limiter.limit(np.array([-1, 0.1, 0, 0, 0.5]), HERE)
    assert sent is not None
    assert reason == Reason.LIMITED
    # Acceleration for one tick, from rest.
    np.testing.assert_allclose(sent[:2], HERE[:2] + np.array([-4, 3]) * 0.05**2)


def test_stop_before_the_first_command() -> None:
    """Positions hold the measured position, velocities are zero, a gripper keeps its state."""
    np.testing.assert_array_equal(
        CommandLimiter(ROBOT, ROBOT_TICK).stop(HERE), [0.2, -0.1, 0, 0, 0.5])
    assert CommandLimiter(ROBOT, ROBOT_TICK).stop(np.where([1, 1, 1, 1, 0], HERE, np.nan)) is None


def test_each_output_stops_in_its_own_way() -> None:
    """Hold stays, zero is immediate, ramp decelerates, keep continues; optionally zero ramps."""
    for ramp, velocity in ((False, 0.0), (True, 0.25)):
        limiter = CommandLimiter(ROBOT, ROBOT_TICK)
        for _ in range(2):
            sent, _ = limiter.limit(np.array([1.0, 0, 1, 1, 0.7]), HERE)
        assert sent is not None
        np.testing.assert_allclose(sent[2:], [0.5, 0.2, 0.7])
        stopped = limiter.stop(HERE, ramp)
        assert stopped is not None
        np.testing.assert_allclose(stopped[2:], [velocity, 0.1, 0.7])
        for _ in range(20):
            stopped = limiter.stop(HERE, ramp)
        assert stopped is not None
        np.testing.assert_array_equal(stopped[2:], [0, 0, 0.7])
        assert sent[0] < stopped[0] < sent[0] + 0.05
        np.testing.assert_array_equal(limiter.stop(HERE), stopped)


def test_the_last_command_before_silence_is_a_stop() -> None:
    """After the last command no velocity remains; positions stay as last sent."""
    limiter = CommandLimiter(ROBOT, ROBOT_TICK)
    assert limiter.halt() is None
    for _ in range(5):
        sent, _ = limiter.limit(np.array([1.0, 0, 1, 1, 0.7]), HERE)
    assert sent is not None
    last = limiter.halt()
    np.testing.assert_array_equal(last, [sent[0], sent[1], 0, 0, sent[4]])
    np.testing.assert_array_equal(limiter.halt(), last)
    np.testing.assert_array_equal(limiter.stop(HERE), last)
    velocities = CommandLimiter(Limits(-np.ones(2), np.ones(2), Stop.RAMP), ROBOT_TICK)
    np.testing.assert_array_equal(velocities.halt(), [0, 0])


@given(st.lists(st.tuples(*[st.floats(-2, 2)] * 5), min_size=1, max_size=30))
def test_slows_down_before_the_last_command(asked: list[tuple[float, ...]]) -> None:
    """Nothing that may slow down is stopped harder than its acceleration allows."""
    limiter = CommandLimiter(ROBOT, ROBOT_TICK)
    assert not limiter.is_fast
    path = [limiter.limit(np.array(command), HERE)[0] for command in asked]
    while limiter.is_fast:
        path.append(limiter.stop())
        assert len(path) <= len(asked) + 20, 'it never gets slow'
    path.append(limiter.halt())
    assert not limiter.is_fast
    sent, seconds = np.array(path), ROBOT_TICK * 1e-9
    assert (np.abs(np.diff(sent[:, :2], n=2, axis=0)) <= (
        np.array([4, 3]) * seconds**2 + SLACK)).all()
    assert (np.abs(np.diff(sent[:, 3])) <= 2 * seconds + SLACK).all()
    limiter.limit(np.full(5, 2.0), HERE)
    limiter.reset()
    assert not limiter.is_fast


def test_ramps_in() -> None:
    """The speed that is allowed grows with the time since the reset, and anew after the next."""
    free = replace(ROBOT, acceleration=UNBOUNDED)
    limiter = CommandLimiter(free, ROBOT_TICK, ramp_in=0.5)
    for _ in range(2):
        limiter.reset()
        speeds, last = [], HERE[0]
        for _ in range(14):
            sent, _ = limiter.limit(np.array([1.0, 0, 0, 2, 0]), HERE)
            assert sent is not None
            speeds.append([(sent[0] - last) / 0.05, sent[3] / 2])
            last = sent[0]
        expected = np.minimum(np.arange(1, 15) / 10, 1)
        np.testing.assert_allclose(speeds, np.stack([expected, expected], 1))


@pytest.mark.parametrize('place', [1e16, -1e16, 25.2, 1e300])
def test_a_position_where_no_robot_can_be(place: float) -> None:
    """Nothing is sent: neither a command, nor a stop at that place, until it is measured again."""
    limiter = CommandLimiter(replace(ROBOT, start_margin=24.0), ROBOT_TICK)
    there, asked = np.array([place, 0.0, 0.0, 0.0, 0.0]), np.zeros(5)
    assert limiter.limit(asked, there) == (None, Reason.UNMEASURED)
    assert 'command[0] was measured at' in limiter.start_fault
    assert limiter.stop(there) is None
    assert limiter.halt() is None
    # A robot that is beyond a bound is led back from there.
    there[0] = 20.0
    sent, reason = limiter.limit(asked, there)
    assert sent is not None
    assert reason == Reason.LIMITED
    assert 19.9 < sent[0] < 20.0
    assert not limiter.start_fault


def test_relative_positions_are_from_where_the_robot_is() -> None:
    """The action is added to the measured position, within the bounds."""
    limiter = CommandLimiter(replace(
        ROBOT, velocity=UNBOUNDED, acceleration=UNBOUNDED), ROBOT_TICK)
    for place, step, expected in ((0.0, 0.05, 0.05), (0.3, 0.05, 0.35), (0.3, -9, 0.2),
                                  (0.39, 0.1, 0.4)):
        here = np.array([0, place, 0, 0, 0])
        sent, _ = limiter.limit(np.array([0, step, 0, 0, 0]), here)
        assert sent is not None
        np.testing.assert_allclose(sent[1], expected)
    sent, reason = limiter.limit(np.zeros(5), np.full(5, np.nan))
    assert sent is not None
    assert (sent[1], reason) == (0.4, Reason.UNMEASURED)


@pytest.mark.parametrize(('rotation', 'here', 'asked'), [
    ('quaternion_xyzw', [0, 0, 0, 1], [0, 0, -0.1, -0.995]),
    ('axis_angle', [0, 0, 3.1], [0, 0, -3.1])])
def test_a_rotation_goes_the_short_way(
        rotation: str, here: list[float], asked: list[float]) -> None:
    """Numbers that are far apart may be rotations that are near."""
    size = len(here)
    limiter = CommandLimiter(Limits(
        np.full(size, -np.pi), np.full(size, np.pi), Stop.HOLD, velocity=1.0,
        rotations=((slice(0, size), rotation),)), ROBOT_TICK)

    def rotation_of(numbers: list[float]) -> Rotation:
        w, x, y, z = COMMAND_ENCODINGS[rotation].decode(numbers)
        return Rotation.from_quat((x, y, z, w))

    last = rotation_of(here)
    goal = rotation_of(asked)
    far = (goal * last.inv()).magnitude()
    for _ in range(10):
        sent, _ = limiter.limit(np.array(asked), np.array(here))
        assert sent is not None
        turn = rotation_of(sent.tolist())
        left = (goal * turn.inv()).magnitude()
        assert left <= far
        far = left
    assert far < 1e-6


@pytest.mark.parametrize('acceleration', [UNBOUNDED, 4.0])
@pytest.mark.parametrize('steers', [False, True])
def test_a_rotation_that_goes_on_is_not_led_back(acceleration: float, steers: bool) -> None:
    """An axis with an angle of a whole turn and more went back through all of it."""
    limiter = CommandLimiter(Limits(
        np.full(3, -np.pi), np.full(3, np.pi), Stop.HOLD, velocity=1.0, acceleration=acceleration,
        rotations=((slice(0, 3), 'axis_angle'),)), ROBOT_TICK)
    here, goal = np.zeros(3), Rotation.identity()
    # One and a half turns, and then about another axis.
    for step in [[0.024, 0.0, 0.032]] * 236 + [[0.0, 0.03, 0.0]] * 120:
        goal = Rotation.from_rotvec(step) * goal
        asked = goal.as_rotvec()
        sent, _ = (limiter.steer if steers else limiter.limit)(asked, here)
        assert sent is not None
        w, x, y, z = COMMAND_ENCODINGS['axis_angle'].decode(sent.tolist())
        assert (goal * Rotation.from_quat((x, y, z, w)).inv()).magnitude() < 0.25


def test_a_look_ahead_is_limited_and_changes_nothing() -> None:
    """The previewed command equals the next one sent, at one tick per period."""
    limiter = CommandLimiter(ROBOT, ROBOT_TICK)
    limiter.limit(np.zeros(5), HERE)
    commands = np.random.default_rng(0).uniform(-1, 1, (6, 5))
    seen = limiter.ahead(commands, HERE, ROBOT_TICK)
    sent = [limiter.limit(command, HERE)[0] for command in commands]
    np.testing.assert_array_equal(seen, sent)
    seen = limiter.ahead(commands, HERE, ROBOT_TICK, 0.3)
    sent = [limiter.limit(command, HERE, 0.3)[0] for command in commands]
    np.testing.assert_array_equal(seen, sent)
    commands[2, 0] = np.nan
    assert limiter.ahead(commands, HERE, ROBOT_TICK).shape == (2, 5)
    assert limiter.ahead(commands[:0], HERE, ROBOT_TICK).shape == (0, 5)
