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
"""Replay of decisions whose inference ran beside the loop: bit for bit, without threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import example, given, HealthCheck, strategies
from hypothesis import settings as hypothesis_settings
import numpy as np
import pytest

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.robot_limits import make_limits
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, PLAN, read_decision
from dfp_ros.core.control.input_log import Failed, InputLog
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.planning.background_planner import BackgroundPlanner
from dfp_ros.core.planning.plan_trace import Answered, Origin, PlanTrace
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.tools.replay.replayed_policy import Conditions, ReplayedInference
from dfp_ros.tools.replay.replayer import RecordedStep, Replayer
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.policies.small_policy import cube_spec, write_policy
from testing.policies.ticked_inference import FailingPolicy, TickedInference

ROBOT, PERIOD, SHA = shipped_robot(), 50_000_000, 'a' * 64
SPEC = cube_spec(horizon=20)
ROW = DecisionRow(
    ROBOT.sources, SPEC.observation_size, [(member.name, member.size) for member in SPEC.action],
    has_plan=True)


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> OnnxPolicy:
    """Load a small policy."""
    return OnnxPolicy(write_policy(tmp_path_factory.mktemp('policy') / 'x.onnx', SPEC))


def make(inference: Any, planning: PlanningSettings, ramp_in: float = 0.5) -> Controller:
    """Make a controller that remembers much: it ramps in and out."""
    limits = replace(
        make_limits(ROBOT, SPEC), stop=Stop.RAMP, acceleration=2.0 if ramp_in else np.inf)
    return Controller(
        ROBOT, SPEC, BackgroundPlanner(
            inference, NoiseStream(3, 1, SPEC.noise_size), PERIOD, planning),
        CommandLimiter(limits, PERIOD, ramp_in), tick=PERIOD)


class Node:
    """Ticks like the node, and records its output; answers take some ticks."""

    def __init__(
            self, policy: OnnxPolicy, planning: PlanningSettings, *ticks: float,
            ramp_in: float = 0.5) -> None:
        """Begin an episode."""
        self.policy = FailingPolicy(policy)
        self.inference = TickedInference(self.policy, *ticks)
        self.input_log = InputLog()
        self.input_log.loop = 1
        self.steps: list[RecordedStep] = []
        self.decisions: list[Decision] = []
        self.now = 10**18
        self.make = lambda: make(self.inference, planning, ramp_in)
        self.controller = self.make()
        self._random = np.random.default_rng(0)
        self.reset(3)

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self.controller.reset(seed)
        self.input_log.reset(seed)

    def swap(self) -> None:
        """Switch to another loop."""
        old, self.controller = self.controller, self.make()
        self.controller.transfer_from(old)
        loop = self.input_log.loop
        self.input_log.note_transfer(3)
        self.input_log.loop = loop + 1

    def ask_for_stop(self) -> None:
        """Stop because samples stay away."""
        self.controller.halt()
        self.input_log.ask_for_stop()

    def tick(
            self, count: int = 1, stale: bool = False, sending_fails: bool = False,
            waits: bool = False) -> list[Decision]:
        """Tick, under conditions; return the decisions."""
        for _ in range(count):
            self._tick(stale, sending_fails, waits)
        return self.decisions[-count:]

    def _tick(self, stale: bool, sending_fails: bool, waits: bool) -> None:
        self.inference.pass_tick()
        self.now += PERIOD + int(self._random.integers(-10**6, 10**6))
        samples = rest_samples(self.now - (10**9 if stale else 10**6), self.now - 10**5)
        values = samples['arm'].values
        samples['arm'] = Sample(samples['arm'].stamp, samples['arm'].received, {
            **values, 'position': self._random.normal(size=6).tolist()})
        if waits:
            del samples['cube_0']
        is_stopped, failed = self.controller.operator.is_stopped, Failed.NOTHING
        decision = self.controller.step(self.now, samples)
        if sending_fails:
            decision, failed = self.controller.fail(OSError('x')), Failed.SENDING
        self.decisions.append(decision)
        row = np.array(ROW.write(
            len(self.steps) + 1, self.now, False, decision, samples,
            self.input_log.step(SHA, is_stopped, failed)))
        self.controller.planner.prepare()
        self.steps.append(RecordedStep(read_decision(ROW.parts, row), row, samples))


def replay(
        steps: list[RecordedStep], policy: OnnxPolicy, planning: PlanningSettings,
        ramp_in: float = 0.5) -> Replayer:
    """Replay steps."""
    conditions = Conditions()
    replayer = Replayer(
        ROW, lambda loop: make(ReplayedInference(policy, conditions), planning, ramp_in),
        lambda before, until: range(before + 1, until + 1), conditions)
    for i, step in enumerate(steps):
        replayer.step(step, steps[i + 1] if i + 1 < len(steps) else None)
    return replayer


PLANS = (
    PlanningSettings(asynchronous=True, lead=0.3, join_jump=0.1),
    PlanningSettings(asynchronous=True),
    PlanningSettings(asynchronous=True, lead=0.2, mode='receding', replan_every=4),
    PlanningSettings(asynchronous=True, mode='ensemble', replan_every=2),
    PlanningSettings(asynchronous=True, noise='held', lead=0.3))
EVENTS: Mapping[str, Callable[[Node], object]] = {
    'tick': Node.tick, 'ticks': lambda node: node.tick(7), 'more': lambda node: node.tick(23),
    'wait': lambda node: node.tick(waits=True), 'stale': lambda node: node.tick(stale=True),
    'not sent': lambda node: node.tick(sending_fails=True),
    'failing': lambda node: setattr(node.policy, 'fails', True),
    'answering': lambda node: setattr(node.policy, 'fails', False),
    'stop': lambda node: node.controller.operator.stop('x'),
    'resume': lambda node: node.controller.operator.resume(),
    'reset': lambda node: node.reset(len(node.steps)), 'swap': Node.swap,
    'stop command': Node.ask_for_stop,
    'clock': lambda node: setattr(node, 'now', node.now - 10**9)}


@hypothesis_settings(
    max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strategies.sampled_from(PLANS),
    strategies.lists(strategies.integers(1, 30), min_size=1, max_size=8),
    strategies.lists(strategies.sampled_from(sorted(EVENTS)), max_size=30))
# The answer came in a step whose command could not be sent.
@example(PLANS[0], [5], ['ticks', 'not sent', 'tick', 'more', 'not sent'])
def test_all_comes_out_again(
        policy: OnnxPolicy, planning: PlanningSettings, ticks: list[int],
        events: list[str]) -> None:
    """Every decision is reproduced bit for bit, whenever the answers came."""
    node = Node(policy, planning, *ticks)
    for name in ('tick', *events, 'ticks'):
        EVENTS[name](node)
    replayer = replay(node.steps, policy, planning)
    assert replayer.first is None, replayer.first
    assert replayer.replayed == len(node.steps)
    assert not replayer.left_out


def test_the_decisions_of_this_test_have_what_is_replayed(policy: OnnxPolicy) -> None:
    """The origin of each plan, and when the answers came."""
    node = Node(policy, PLANS[0], 3)
    assert [each.state for each in node.tick(3)] == [State.HOLD] * 3
    assert all(Reason.PLANNING in each.reason for each in node.decisions)
    assert node.decisions[0].plan == PlanTrace(asked=1)
    begun = node.tick(15)
    assert [each.state for each in begun] == [State.RUNNING] * 15
    first = Origin(1, node.steps[0].decision.stamp)
    assert begun[0].plan == PlanTrace(Answered.CHUNK, None, first)
    assert begun[14].plan == PlanTrace(Answered.NOTHING, 2, first)
    assert begun[0].inference == 0.125
    for step, decision in zip(node.steps, node.decisions, strict=True):
        assert step.decision.plan == decision.plan
    node.policy.fails = True
    assert node.tick(4)[2].plan == PlanTrace(Answered.FAILURE, 3, first)


def test_goes_on_after_a_gap(policy: OnnxPolicy) -> None:
    """Comparison resumes with a chunk whose request is in the recording."""
    node = Node(policy, PLANS[1], 4, ramp_in=0.0)
    node.tick(100)
    replayer = replay(node.steps[30:], policy, PLANS[1], ramp_in=0.0)
    assert not replayer.different
    assert replayer.replayed >= 60
    assert set(replayer.left_out) == {'its past is not in the recording'}


def test_an_answer_at_another_tick_is_found(policy: OnnxPolicy) -> None:
    """A recording that was changed does not come out."""
    node = Node(policy, PLANS[0], 3)
    node.tick(30)
    labels = [label for label, _ in ROW.parts]
    place = sum(size for _, size in ROW.parts[:labels.index('answered')])
    steps = []
    for i, step in enumerate(node.steps):
        row = step.row.copy()
        row[place] = 0 if i == 20 else row[place]
        steps.append(replace(step, row=row, decision=read_decision(ROW.parts, row)))
    assert node.decisions[20].plan is not None
    assert node.decisions[20].plan.answered is Answered.CHUNK
    assert replay(steps, policy, PLANS[0]).different


@pytest.mark.parametrize(('label', 'number', 'message'), [
    ('answered', 3, "the part 'answered': found 3, expected 0 to 2"),
    ('answered', np.nan, "the part 'answered': found nan, expected 0 to 2"),
    ('asked', -1, "the part 'asked': found -1, expected a whole number from 0 on"),
    ('plan_step', -2, "the part 'plan_step': found -2, expected a whole number from 0 on"),
    ('plan_stamp', np.inf, "the part 'plan_stamp'")])
def test_damaged_rows(policy: OnnxPolicy, label: str, number: float, message: str) -> None:
    """Numbers that no node writes are refused, by name."""
    node = Node(policy, PLANS[0], 1)
    node.tick(3)
    labels = [part for part, _ in ROW.parts]
    row = node.steps[-1].row.copy()
    row[sum(size for _, size in ROW.parts[:labels.index(label)])] = number
    with pytest.raises(ValueError, match='.') as caught:
        read_decision(ROW.parts, row)
    assert message in str(caught.value)
    short = tuple(part for part in ROW.parts if part[0] != PLAN[-1][0])
    place = sum(size for _, size in ROW.parts[:labels.index('asked')])
    kept = np.delete(node.steps[-1].row, place)
    with pytest.raises(ValueError, match='asked'):
        read_decision(short, kept)


def test_what_is_in_flight_is_dropped_by_every_stop(policy: OnnxPolicy) -> None:
    """After a stop, a stale source, a reset or a watchdog, the plan is of a new observation."""
    stops: Mapping[str, Callable[[Node], object]] = {
        'stop': lambda node: (
            node.controller.operator.stop('x'), node.tick(), node.controller.operator.resume()),
        'stale': lambda node: node.tick(stale=True),
        'not sent': lambda node: node.tick(sending_fails=True),
        'reset': lambda node: node.reset(5), 'stop command': Node.ask_for_stop,
        'overdue': lambda node: node.controller.overdue(None, 'x')}
    for name, stop in stops.items():
        node = Node(policy, PLANS[0], 3, 5)
        node.tick(19)
        assert node.inference.asked == 2, name
        stop(node)
        stopped = node.now
        states = [each.state for each in node.tick(30)]
        # One call at a time: the dropped one ends, then that of the new observation.
        assert states[0] is not State.RUNNING, name
        again = states.index(State.RUNNING)
        assert again >= 5, name
        plan = node.decisions[-30:][again].plan
        assert plan is not None, name
        assert plan.origin is not None, name
        assert plan.origin.stamp > stopped, name
        assert node.decisions[-30:][again].chunk_index == 0, name


def test_a_swap_hands_the_plan_on(policy: OnnxPolicy) -> None:
    """No command waits for the first answer of the next policy; the old one's is dropped."""
    node = Node(policy, replace(PLANS[0], lead=0.6), 3, 5)
    # With 12 actions left, at tick 11, the policy is asked; it is free again at tick 16.
    node.tick(13)
    assert node.inference.asked == 2
    node.swap()
    assert [each.state for each in node.tick(40)] == [State.RUNNING] * 40
    # Of the request before the swap, which ends before the next begins, nothing is played.
    stamps = {
        each.plan.origin.stamp for each in node.decisions
        if each.plan is not None and each.plan.origin is not None}
    asked = [
        step.decision.stamp for step in node.steps
        if step.decision.plan is not None and step.decision.plan.asked is not None]
    assert asked[1] not in stamps
    assert asked[0] in stamps
    assert asked[2] in stamps
