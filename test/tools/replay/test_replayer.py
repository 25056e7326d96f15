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
"""Replayer: decisions are equal bit for bit, with every kind of controller input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, HealthCheck, strategies
from hypothesis import settings as hypothesis_settings
import numpy as np
import pytest

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.robot_limits import make_limits
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import DecisionRow, read_decision
from dfp_ros.core.control.input_log import Failed, InputLog, policy_number
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.tools.replay.replayed_policy import Conditions, ReplayedPolicy
from dfp_ros.tools.replay.replayer import RecordedStep, Replayer
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.policies.small_policy import cube_spec, write_policy

SHA = 'a1b2c3d4e5f6' + '0' * 52
PERIOD = 50_000_000
ROBOT = shipped_robot()
SPEC = cube_spec(candidates=2, noise_scale=1.0)
ROW = DecisionRow(
    ROBOT.sources, SPEC.observation_size, [(member.name, member.size) for member in SPEC.action])


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> OnnxPolicy:
    """Load a small policy."""
    return OnnxPolicy(write_policy(tmp_path_factory.mktemp('policy') / 'x.onnx', SPEC))


@pytest.fixture(scope='module')
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> OnnxPolicy:
    """Load a small policy with a state."""
    return OnnxPolicy(write_policy(
        tmp_path_factory.mktemp('policy') / 'x.onnx', cube_spec(
            candidates=2, noise_scale=1.0, state_size=7)))


def make(
        policy: Any, clock: Callable[[], int], planning: PlanningSettings | None = None,
        ramp_in: float = 0.5) -> Controller:
    """Make a controller, by default one that remembers much: it ramps in and out."""
    limits = replace(
        make_limits(ROBOT, SPEC), stop=Stop.RAMP,
        acceleration=2.0 if ramp_in == 0.5 else np.inf)
    noise = NoiseStream(3, 2, SPEC.noise_size)
    return Controller(
        ROBOT, policy.spec, Planner(policy, noise, PERIOD, clock, planning),
        CommandLimiter(limits, PERIOD, ramp_in),
        SafetySettings(inference_deadline=0.2, late_inference='hold'), PERIOD)


class Node:
    """Ticks like the node, and records its output."""

    def __init__(
            self, policy: OnnxPolicy, planning: PlanningSettings | None = None,
            ramp_in: float = 0.5) -> None:
        """Begin an episode."""
        self.conditions = Conditions()
        self.input_log = InputLog()
        self.input_log.loop = 1
        self.steps: list[RecordedStep] = []
        self.now = 10**18
        self._make = lambda: make(
            ReplayedPolicy(policy, self.conditions), self.conditions.clock, planning,
            ramp_in)
        self.controller = self._make()
        self._random = np.random.default_rng(0)
        self.reset(3)

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self.controller.reset(seed)
        self.input_log.reset(seed)

    def swap(self) -> None:
        """Switch to another loop."""
        old, self.controller = self.controller, self._make()
        self.controller.transfer_from(old)
        loop = self.input_log.loop
        self.input_log.note_transfer(3)
        self.input_log.loop = loop + 1

    def ask_for_stop(self) -> None:
        """Stop because samples stay away."""
        self.controller.halt()
        self.input_log.ask_for_stop()

    def tick(
            self, inference: float = 0.001, fails: bool = False, stale: bool = False,
            sending_fails: bool = False, prepared: float = 0.001, waits: bool = False,
            given_up: bool = False, unsent: bool = False) -> None:
        """Tick once, under conditions."""
        self.now += PERIOD + int(self._random.integers(-10**6, 10**6))
        samples = rest_samples(self.now - (10**9 if stale else 10**6), self.now - 10**5)
        values = samples['arm'].values
        samples['arm'] = Sample(samples['arm'].stamp, samples['arm'].received, {
            **values, 'position': self._random.normal(size=6).tolist()})
        if waits:
            del samples['cube_0']
        self.conditions.inference, self.conditions.fails = inference, fails
        self.conditions.is_late = given_up
        is_stopped, failed = self.controller.operator.is_stopped, Failed.NOTHING
        last = self.controller.limiter.last
        decision = self.controller.step(self.now, samples)
        if sending_fails:
            decision, failed = self.controller.fail(OSError('x')), Failed.SENDING
        if unsent:
            self.controller.limiter.return_to(last, range(SPEC.action_size))
            decision, failed = self.controller.fail(OSError('x')), Failed.UNSENT
        self.conditions.inference, self.conditions.fails = prepared, False
        self.conditions.is_late = False
        self.controller.planner.prepare()
        row = np.array(ROW.write(
            len(self.steps) + 1, self.now, False, decision, samples,
            self.input_log.step(SHA, is_stopped, failed)))
        self.steps.append(RecordedStep(read_decision(ROW.parts, row), row, samples))


def replay(
        steps: list[RecordedStep], policy: OnnxPolicy, planning: PlanningSettings | None = None,
        known: Callable[[int], bool] = lambda loop: True, ramp_in: float = 0.5,
        identity: Callable[[int], tuple[int, int] | None] = lambda loop: None) -> Replayer:
    """Replay steps."""
    conditions = Conditions()
    replayer = Replayer(
        ROW, lambda loop: make(
            ReplayedPolicy(policy, conditions), conditions.clock, planning, ramp_in)
        if known(loop) else None,
        lambda before, until: range(before + 1, until + 1), conditions, identity=identity)
    for i, step in enumerate(steps):
        replayer.step(step, steps[i + 1] if i + 1 < len(steps) else None)
    return replayer


PLANS = (
    PlanningSettings(), PlanningSettings(mode='receding', replan_every=2, join_jump=0.1),
    PlanningSettings(mode='ensemble', replan_every=2), PlanningSettings(ahead=True),
    PlanningSettings(noise='held'))
EVENTS: Mapping[str, Callable[[Node], None]] = {
    'tick': Node.tick, 'wait': lambda node: node.tick(waits=True),
    'late': lambda node: node.tick(inference=0.03),
    'given up': lambda node: node.tick(given_up=True),
    'prepared late': lambda node: node.tick(prepared=0.03),
    'failure': lambda node: node.tick(fails=True), 'stale': lambda node: node.tick(stale=True),
    'not sent': lambda node: node.tick(sending_fails=True),
    'unsent': lambda node: node.tick(unsent=True),
    'stop': lambda node: node.controller.operator.stop('x'),
    'resume': lambda node: node.controller.operator.resume(),
    'reset': lambda node: node.reset(len(node.steps)), 'swap': Node.swap,
    'stop command': Node.ask_for_stop,
    'clock': lambda node: setattr(node, 'now', node.now - 10**9)}


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strategies.sampled_from(PLANS),
    strategies.lists(strategies.sampled_from(sorted(EVENTS)), max_size=30))
def test_all_comes_out_again(
        policy: OnnxPolicy, planning: PlanningSettings, events: list[str]) -> None:
    """Every decision is reproduced bit for bit after any sequence of events."""
    node = Node(policy, planning)
    for name in ('tick', *events, 'tick', 'tick', 'tick'):
        EVENTS[name](node)
    replayer = replay(node.steps, policy, planning)
    assert replayer.first is None, replayer.first
    assert replayer.replayed == len(node.steps)
    assert not replayer.left_out


@hypothesis_settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strategies.sampled_from(PLANS),
    strategies.lists(strategies.sampled_from(sorted(EVENTS)), max_size=30))
def test_a_state_comes_out_again(
        recurrent: OnnxPolicy, planning: PlanningSettings, events: list[str]) -> None:
    """A recurrent policy is reproduced bit for bit, too."""
    test_all_comes_out_again.hypothesis.inner_test(recurrent, planning, events)


def test_a_state_whose_past_is_not_recorded(recurrent: OnnxPolicy) -> None:
    """Comparison resumes after a stop, from which the state starts anew."""
    node = Node(recurrent, ramp_in=0.0)
    for i in range(40):
        node.tick(stale=i == 20)
    assert not replay(node.steps, recurrent, ramp_in=0.0).different
    late = replay(node.steps[7:], recurrent, ramp_in=0.0)
    assert not late.different
    assert late.replayed >= 19
    assert late.left_out['its past is not in the recording'] >= 10


def test_a_bit_is_found(policy: OnnxPolicy) -> None:
    """At its tick, in its part, whichever it is; all others are equal."""
    node = Node(policy)
    for _ in range(12):
        node.tick()
    labels = [label for label, _ in ROW.parts]
    for label in ('observation', 'sent/gripper_rate', 'command/effector_yaw_rate', 'state',
                  'value', 'chunk_index', 'reason'):
        row = node.steps[7].row.copy()
        start = sum(size for _, size in ROW.parts[:labels.index(label)])
        if label in ('state', 'reason', 'chunk_index'):
            row[start] += 1
        else:
            row.view(np.int64)[start] ^= 1
        steps = [*node.steps[:7], replace(node.steps[7], row=row), *node.steps[8:]]
        replayer = replay(steps, policy)
        assert replayer.first is not None, label
        assert (replayer.first.number, replayer.first.part) == (8, label)
        assert replayer.first.recorded[0] != replayer.first.computed[0]
        assert replayer.first.is_certain
        assert (replayer.different, replayer.replayed) == (1, 12)


@pytest.mark.parametrize(('label', 'every'), [
    ('policy', False), ('policy', True), ('seed', False), ('seed', True), ('step', False)])
def test_rows_of_another_policy_or_seed(policy: OnnxPolicy, label: str, every: bool) -> None:
    """Policy and seed in the rows are compared with the recorded settings of the loop."""
    node = Node(policy)
    for _ in range(10):
        node.tick()
    labels = [part for part, _ in ROW.parts]
    place = sum(size for _, size in ROW.parts[:labels.index(label)]) + (label == 'seed')
    steps = []
    for i, step in enumerate(node.steps):
        row = step.row.copy()
        row[place] += every or i == 6
        steps.append(replace(step, row=row, decision=read_decision(ROW.parts, row)))

    def identity(loop: int) -> tuple[int, int]:
        return policy_number(SHA), 3

    assert not replay(node.steps, policy, identity=identity).different
    replayer = replay(steps, policy, identity=identity)
    assert replayer.first is not None
    assert (replayer.first.number, replayer.first.part) == (1 if every else 7, label)
    assert replayer.different == (10 if every else 1)


def test_loops_that_come_back(policy: OnnxPolicy) -> None:
    """None does, so the rest is as after a gap; and controllers are not made without end."""
    node = Node(policy, ramp_in=0.0)
    for _ in range(40):
        node.tick()
    steps = []
    for i, step in enumerate(node.steps):
        row = step.row.copy()
        row[[part for part, _ in ROW.parts].index('loop') + 1] = 20 if i % 2 else 1
        steps.append(replace(step, row=row, decision=read_decision(ROW.parts, row)))
    replayer = replay(steps, policy, ramp_in=0.0)
    assert replayer.left_out['its past is not in the recording'] > 0


def test_goes_on_after_a_gap(policy: OnnxPolicy) -> None:
    """Comparison resumes at the next chunk, or at a reset; skipped decisions are counted."""
    node = Node(policy, ramp_in=0.0)
    for i in range(40):
        if i == 30:
            node.reset(5)
        node.tick()
    horizon = SPEC.horizon
    gone = replay([*node.steps[:6], *node.steps[8:20], *node.steps[30:]], policy, ramp_in=0.0)
    assert not gone.different
    # Ticks 0 to 5, then from the next chunk until the second gap, then all after the reset.
    assert gone.replayed == 6 + (20 - 2 * horizon) + 10
    assert gone.left_out == {'its past is not in the recording': 2 * horizon - 8}


def test_begins_while_the_node_waits(policy: OnnxPolicy) -> None:
    """Nothing was done by then that would have to be known."""
    node = Node(policy)
    for i in range(20):
        node.tick(waits=i < 10)
    replayer = replay(node.steps[4:], policy)
    assert (replayer.replayed, replayer.different) == (16, 0)


def test_begins_while_a_history_is_incomplete(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ticks in it are not in the recording, although the node still waits."""
    robot = replace(ROBOT, observation=tuple(
        replace(entry, history=4) if entry.name == 'joint_positions' else entry
        for entry in ROBOT.observation))
    first, *others = SPEC.observation
    spec = replace(SPEC, observation=(
        replace(first, size=4 * first.size, low=4 * first.low, high=4 * first.high), *others))
    for name, value in (('ROBOT', robot), ('ROW', DecisionRow(
            robot.sources, spec.observation_size,
            [(member.name, member.size) for member in spec.action]))):
        monkeypatch.setattr(f'{__name__}.{name}', value)
    policy = OnnxPolicy(write_policy(tmp_path / 'x.onnx', spec))
    node = Node(policy, ramp_in=0.0)
    for i in range(30):
        node.tick(waits=i < 3)
    states = [step.decision.state for step in node.steps]
    assert states == [State.WAITING] * 6 + [State.RUNNING] * 24
    for start in 4, 5:
        replayer = replay(node.steps[start:], policy, ramp_in=0.0)
        assert not replayer.different, replayer.first
        # From the chunk after the one whose observation has ticks from before the recording.
        assert replayer.left_out == {
            'its past is not in the recording': 6 - start + SPEC.horizon}
    for start, left_out in (0, 0), (2, 0), (3, 3):
        replayer = replay(node.steps[start:], policy, ramp_in=0.0)
        assert (replayer.replayed, replayer.different) == (30 - start - left_out, 0)


@pytest.mark.parametrize(('event', 'prepared'), [
    ({'unsent': True, 'inference': 0.03}, 0.001), ({'unsent': True}, 0.03),
    ({'sending_fails': True, 'inference': 0.03}, 0.001), ({'sending_fails': True}, 0.03)])
def test_an_answer_that_was_late_and_not_sent(
        policy: OnnxPolicy, event: dict[str, Any], prepared: float) -> None:
    """Its time counts for the steps after it, so the step that failed has it, too."""
    planning = PlanningSettings(ahead=prepared == 0.03)
    node = Node(policy, planning)
    for _ in range(SPEC.horizon - 1):
        node.tick()
    node.tick(prepared=prepared)
    node.tick(**event)
    for _ in range(4):
        node.tick()
    failed, after = node.steps[SPEC.horizon:SPEC.horizon + 2]
    assert failed.decision.reason is Reason.INTERNAL_ERROR
    assert Reason.LATE_INFERENCE in after.decision.reason
    replayer = replay(node.steps, policy, planning)
    assert replayer.first is None, replayer.first
    assert replayer.replayed == len(node.steps)
    assert failed.decision.inference == pytest.approx(0.03)


def test_uncertain_differences_are_marked(policy: OnnxPolicy) -> None:
    """A ramp-in that began before the recording is compared, but its difference is uncertain."""
    node = Node(policy, ramp_in=2.0)
    for _ in range(30):
        node.tick()
    late = replay(node.steps[6:], policy, ramp_in=2.0)
    assert late.different
    assert late.first is not None
    assert late.first.part.startswith('reason') or late.first.part.startswith('limited')
    assert not late.first.is_certain
    assert not replay(node.steps, policy, ramp_in=2.0).different


def test_unreplayable_decisions_are_counted_by_reason(policy: OnnxPolicy) -> None:
    """A sample that was not recorded, settings that were not, and a row of the first layout."""
    node = Node(policy, ramp_in=0.0)
    for _ in range(15):
        node.tick()
    steps = [*node.steps]
    steps[2] = replace(steps[2], missing=('arm',))
    steps[6] = replace(steps[6], decision=replace(steps[6].decision, entry=None))
    replayer = replay(steps, policy, ramp_in=0.0)
    assert not replayer.different
    assert replayer.left_out['a sample is not in the recording'] == 1
    assert replayer.left_out['the recording lacks data for a replay'] == 1
    assert replayer.replayed >= 2 + (15 - 2 * SPEC.horizon)
    node.swap()
    node.tick()
    replayer = replay(node.steps, policy, known=lambda loop: loop == 1, ramp_in=0.0)
    assert (replayer.replayed, replayer.different) == (15, 0)
    assert replayer.left_out == {'its settings are not in the recording': 1}


def test_conditions(policy: OnnxPolicy) -> None:
    """A replayed policy advances the clock by its inference time, and fails as recorded."""
    conditions = Conditions(inference=0.0123456789)
    replayed = ReplayedPolicy(policy, conditions)
    observation = np.zeros(SPEC.observation_size, np.float32)
    noise = np.zeros((2, SPEC.noise_size), np.float32)
    before = conditions.clock()
    chunk = replayed.act(observation, noise)
    assert conditions.clock() - before == 12_345_679
    np.testing.assert_array_equal(chunk.actions, policy.act(observation, noise).actions)
    conditions.fails = True
    with pytest.raises(PolicyError, match='failed when it was recorded'):
        replayed.act(observation, noise)


def test_the_node_of_this_test_behaves_as_described(policy: OnnxPolicy) -> None:
    """Each event shows in the decisions, so that replaying them means something."""
    node = Node(policy)
    for name in ('tick', 'late', 'stale', 'failure', 'not sent', 'given up', 'stop', 'tick'):
        EVENTS[name](node)
    reasons = [step.decision.reason for step in node.steps]
    assert Reason.STALE in reasons[2]
    assert Reason.INFERENCE_FAILED in reasons[3]
    assert Reason.INTERNAL_ERROR in reasons[4]
    assert Reason.LATE_INFERENCE in reasons[5]
    assert node.steps[-1].decision.state is State.STOPPED
