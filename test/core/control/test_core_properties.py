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
"""
Property tests of the whole core: each decision is bounded, or a stop with a reason.

A script is a list of ticks; each says how time passes, what becomes of each source, what the
policy is like, and what an operator does. It is played to the real controller, planner and
limiter; only the policy is made up, as a real one is never as unreliable as this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from hypothesis import event, example, given, settings, strategies
import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray, UNBOUNDED
from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.safety import SafetySettings
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.policies.small_policy import cube_spec

MS = 1_000_000
PERIOD = 50 * MS
START = 1000 * 1000 * MS
MAX_AGE = 0.2
SPEC = cube_spec()
SCALE = ActionScale.of_policy(SPEC)
# One output of each kind: a velocity cut off, two that are slowed down, a position, a gripper.
STOPS = (Stop.ZERO, Stop.RAMP, Stop.RAMP, Stop.HOLD, Stop.KEEP)
POSITIONS = np.array([stop is Stop.HOLD for stop in STOPS])
VELOCITY, ACCELERATION = np.full(5, 4.0), np.full(5, 3.0)
WHEN_STALE = ('warn', 'hold', 'ramp', 'deactivate')

Fates = dict[str, str]
QUIET: Fates = dict.fromkeys(rest_samples(0), 'fresh')


def shipped(when_stale: str) -> RobotDescription:
    """Describe the shipped robot; one source has another response when it is stale."""
    robot = shipped_robot()
    changed = replace(robot.sources['effector'], when_stale=when_stale)
    return replace(robot, sources={**robot.sources, 'effector': changed})


ROBOTS = {when_stale: shipped(when_stale) for when_stale in WHEN_STALE}


@dataclass(frozen=True)
class Tick:
    """Events in and before one tick."""

    passed: int
    fates: Fates
    mood: str
    operator: str


@dataclass(frozen=True)
class Setup:
    """Configuration of the core."""

    planning: PlanningSettings
    safety: SafetySettings
    tick: int
    when_stale: str
    is_measured: bool


class Moody:
    """A policy whose next answer is set by its mood; inference moves a clock of its own."""

    def __init__(self) -> None:
        self.spec = SPEC
        self.mood = 'well'
        self.time = 0

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer."""
        self.time += 80 * MS if self.mood == 'slow' else MS
        if self.mood == 'fails':
            raise PolicyError('failed')
        actions = np.tanh(noise[0] + observation.sum()).reshape(SPEC.horizon, -1)
        if self.mood == 'huge':
            actions = actions * np.float32(3e38)
        elif self.mood == 'nan':
            actions[-1, 2] = np.nan
        return Chunk(actions, 0.0, 5.0 if self.mood == 'unsure' else 0.1)


def usually(usual: str, *others: str) -> strategies.SearchStrategy[str]:
    """Choose something out of the ordinary now and then."""
    return strategies.one_of(*[strategies.just(usual)] * 3, strategies.sampled_from(others))


CHAOS = strategies.fixed_dictionaries({
    name: usually('fresh', 'fresh', 'late', 'silent', 'lost', 'ahead', 'unstamped', 'nan', 'huge',
                  'unreadable', 'jittery') for name in QUIET})
TICKS = strategies.builds(
    Tick,
    strategies.one_of(
        *[strategies.just(0)] * 3, strategies.sampled_from(
            (-10**13, -PERIOD, -1, 2 * PERIOD, 10**12)), strategies.integers(-MS, MS)),
    strategies.one_of(*[strategies.just(QUIET)] * 2, CHAOS),
    usually('well', 'well', 'slow', 'fails', 'huge', 'nan', 'unsure'),
    usually('', '', '', '', 'stop', 'resume', 'reset', 'swap'))
# What befalls may last a while, so that sources grow old and doubts come and go.
SCRIPTS = strategies.lists(
    strategies.tuples(TICKS, strategies.sampled_from((1, 1, 2, 6))), min_size=1, max_size=15).map(
        lambda parts: [tick for tick, times in parts for _ in range(times)])
ANSWERS = strategies.sampled_from(('ignore', 'warn', 'slow', 'hold'))
SETUPS = strategies.builds(
    Setup,
    strategies.builds(
        PlanningSettings, strategies.sampled_from(('open_loop', 'receding', 'ensemble')),
        strategies.integers(1, 6), strategies.sampled_from((-0.1, 0.01, 1.0)),
        strategies.sampled_from((0.0, 0.1)), strategies.integers(1, 6), strategies.booleans(),
        strategies.booleans(), strategies.sampled_from(('each_chunk', 'held', 'zero'))),
    strategies.builds(
        SafetySettings, envelope=strategies.one_of(ANSWERS, strategies.just('guard')),
        envelope_margin=strategies.sampled_from((0.1, 10.0)), spread=ANSWERS,
        late_inference=strategies.sampled_from(('warn', 'hold')),
        inference_deadline=strategies.sampled_from((0.0, 1.0))),
    strategies.sampled_from((PERIOD, PERIOD // 7, 3 * PERIOD)),
    strategies.sampled_from(WHEN_STALE), strategies.sampled_from((True, True, True, False)))


def make(setup: Setup, policy: Moody) -> Controller:
    """Put a controller together."""
    noise = NoiseStream(5, 1, SPEC.noise_size, mode=setup.planning.noise)
    planner = Planner(
        policy, noise, setup.tick, lambda: policy.time, setup.planning, POSITIONS)
    limiter = CommandLimiter(
        Limits(
            SCALE.low, SCALE.high, STOPS, VELOCITY, ACCELERATION,
            np.where(POSITIONS, SCALE.low, -UNBOUNDED),
            np.where(POSITIONS, SCALE.high, UNBOUNDED)),
        setup.tick)
    measured = np.full(5, 0.25 if setup.is_measured else np.nan)
    return Controller(
        ROBOTS[setup.when_stale], SPEC, planner, limiter, setup.safety, setup.tick,
        lambda samples: measured, ahead=True)


def befall(fate: str, name: str, now: int, last: Sample | None) -> Sample | None:
    """Make the newest sample of a source."""
    sample = rest_samples(now - MS, now)[name]
    if fate == 'silent':
        return last
    if fate == 'lost':
        return None
    if fate in ('late', 'ahead', 'jittery', 'unstamped'):
        offset = {'late': -300 * MS, 'ahead': 500 * MS, 'jittery': 30 * MS}.get(fate, -now)
        return replace(sample, stamp=now + offset)
    if fate in ('nan', 'huge'):
        wrong = np.nan if fate == 'nan' else 1e300
        return replace(sample, values={
            key: value if key == 'name' else
            [wrong] * len(value) if isinstance(value, list) else wrong
            for key, value in sample.values.items()})
    if fate == 'unreadable':
        return replace(sample, values={
            key: value[:0] if isinstance(value, list) else 0.0
            for key, value in sample.values.items()})
    return sample


@dataclass(frozen=True)
class Step:
    """Decision and its inputs."""

    now: int
    samples: dict[str, Sample | None]
    decision: Decision
    is_stopped: bool
    is_first: bool


def play(setup: Setup, script: list[Tick]) -> Iterator[Step]:
    """Play a script to a controller as a node would."""
    policy = Moody()
    controller = make(setup, policy)
    now, is_first = START, True
    samples: dict[str, Sample | None] = {}
    for tick in script:
        now = max(0, now + setup.tick + tick.passed)
        samples = {
            name: befall(fate, name, now, samples.get(name)) for name, fate in tick.fates.items()}
        policy.mood = tick.mood
        if tick.operator == 'stop':
            controller.operator.stop('the operator said so')
        elif tick.operator == 'resume':
            controller.operator.resume()
        elif tick.operator == 'reset':
            controller.reset(7)
            is_first = True
        elif tick.operator == 'swap':
            old, controller = controller, make(setup, policy)
            controller.transfer_from(old)
        decision = controller.step(now, samples)
        yield Step(now, samples, decision, controller.operator.is_stopped, is_first)
        controller.planner.prepare()
        is_first = False


def is_old(step: Step, name: str) -> bool:
    """Tell whether a source is beyond its maximum age, by either clock."""
    sample = step.samples[name]
    return sample is not None and (
        max(step.now - sample.received, step.now - sample.time) > MAX_AGE * 1e9)


QUIET = dict.fromkeys(rest_samples(0), 'fresh')
USUAL = Setup(PlanningSettings(), SafetySettings(), PERIOD, 'hold', True)
FALLS_SILENT = [
    *[Tick(0, QUIET, 'well', '')] * 3, *[Tick(0, {**QUIET, 'arm': 'silent'}, 'well', '')] * 9]


@settings(max_examples=300)
@given(SETUPS, SCRIPTS)
@example(USUAL, FALLS_SILENT)
def test_a_command_is_bounded_or_a_stop_with_a_reason(setup: Setup, script: list[Tick]) -> None:
    """Commands are finite and within bounds and rates; else the robot stops, with a reason."""
    last: np.ndarray | None = None
    has_seen_all = has_sent = False
    seconds = setup.tick * 1e-9
    for step in play(setup, script):
        decision = step.decision
        if step.is_first:
            last, has_seen_all, has_sent = None, False, False
        has_seen_all |= None not in step.samples.values()
        event(f'{decision.state.value}: {decision.reason.words}')

        sent = decision.sent
        assert has_seen_all or sent is None, 'nothing is sent before all sources were seen'
        if sent is not None:
            has_sent = True
            assert np.isfinite(sent).all()
            assert (SCALE.low <= sent).all()
            assert (sent <= SCALE.high).all()
        if sent is not None and last is not None:
            change = np.abs(sent - last)
            # Only what is stopped by zero may be cut off, and not while slowing down is asked for.
            assert change[0] <= ACCELERATION[0] * seconds + 1e-9 or (
                sent[0] == 0 and decision.response is not Response.RAMP)
            assert (change[1:3] <= ACCELERATION[1:3] * seconds + 1e-9).all()
            assert change[3] <= VELOCITY[3] * seconds + 1e-9
        last = last if sent is None else sent

        if decision.state is State.RUNNING:
            assert decision.response < Response.HOLD
            assert sent is decision.limited
            assert decision.observation is not None
            assert np.isfinite(decision.observation).all()
            assert np.isfinite(decision.command).all()  # type: ignore[arg-type]
            assert np.isfinite(decision.ahead).all()  # type: ignore[arg-type]
        else:
            assert decision.response >= Response.HOLD
            assert decision.reason
            assert decision.text
            assert decision.limited is None
        assert bool(decision.text) == bool(decision.reason)
        assert (decision.state is State.STOPPED) == step.is_stopped
        if decision.state is State.WAITING:
            assert not has_sent
            assert sent is None

        for name, source in ROBOTS[setup.when_stale].sources.items():
            if is_old(step, name):
                # The very tick that finds it.
                assert Reason.STALE in decision.reason
                assert decision.state is not State.RUNNING or source.when_stale == 'warn'


def same(one: Any, other: Any) -> bool:
    """Compare bit for bit, with NaN equal to itself."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and (
            (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()))
    return bool(one == other or (one != one and other != other))


@settings(max_examples=100)
@given(SETUPS, SCRIPTS)
def test_the_same_inputs_give_the_same_decisions(setup: Setup, script: list[Tick]) -> None:
    """Bit for bit, so that a recording can be replayed."""
    for one, other in zip(play(setup, script), play(setup, script), strict=True):
        for field in fields(Decision):
            values = getattr(one.decision, field.name), getattr(other.decision, field.name)
            assert same(*values), (field.name, *values)


@pytest.mark.parametrize('tick', [PERIOD, PERIOD // 10])
def test_a_robot_is_stopped_by_the_first_tick_beyond_the_limit(tick: int) -> None:
    """A source falls silent: at its maximum age the policy commands, a tick later it does not."""
    setup = replace(USUAL, tick=tick)
    quiet = round(MAX_AGE * 1e9 / tick) + 4
    script = [Tick(0, QUIET, 'well', '')] * 3
    script += [Tick(0, {**QUIET, 'arm': 'silent'}, 'well', '')] * quiet
    for step in play(setup, script):
        sample = step.samples['arm']
        assert sample is not None
        age = step.now - sample.time
        assert (step.decision.state is State.HOLD) == (age > MAX_AGE * 1e9), age
