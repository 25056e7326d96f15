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
"""Controller: states, transitions and responses to every fault."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.spec import PolicySpec, SpecMismatch
from testing.fixtures.controllers import controller, S, TICK
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.policies.small_policy import cube_spec, write_policy

START = 100 * S


@pytest.fixture(name='policy', scope='module')
def small_policy(tmp_path_factory: pytest.TempPathFactory) -> OnnxPolicy:
    """Load a small policy."""
    return OnnxPolicy(write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx'))


def with_source(name: str = 'effector', **changes: Any) -> RobotDescription:
    """Describe the shipped robot with one source changed."""
    robot = shipped_robot()
    sources = {**robot.sources, name: replace(robot.sources[name], **changes)}
    return replace(robot, sources=sources)


def with_derivative() -> RobotDescription:
    """Describe a robot whose joint velocities are the derivative of the positions."""
    robot = shipped_robot()
    return replace(robot, observation=tuple(
        replace(entry, derivative=entry.name == 'joint_velocities')
        for entry in robot.observation))


def run(
        controller: Controller, ticks: int,
        change: Callable[[int, dict[str, Sample]], None] = lambda i, samples: None
) -> list[Decision]:
    """Step at the control rate with fresh samples of a robot at rest, changed tick by tick."""
    decisions = []
    for i in range(ticks):
        now = START + i * TICK
        samples = rest_samples(now - 1000, now)
        change(i, samples)
        decisions.append(controller.step(now, samples))
    return decisions


def test_plays_the_policy_s_chunks(policy: OnnxPolicy) -> None:
    """Every command is the one that policy, noise and observation give, scaled to SI units."""
    decisions = run(controller(policy), 12)
    noise = NoiseStream(3, 2, policy.spec.noise_size)
    observation = ObservationBuilder(shipped_robot().observation).build(rest_samples(0), 0)
    high = np.array([1, 1, 1, 6, 20])
    for i, decision in enumerate(decisions):
        if i % 5 == 0:
            actions = policy.act(observation, noise.next()).actions
        assert decision.state is State.RUNNING
        assert decision.reason == Reason.NONE
        assert decision.chunk_index == i % 5
        assert decision.inference == (0.001 if i % 5 == 0 else None)
        assert decision.observation_age == pytest.approx(1e-6)
        np.testing.assert_array_equal(decision.observation, observation)
        np.testing.assert_array_equal(decision.action, actions[i % 5])
        np.testing.assert_allclose(decision.sent, actions[i % 5] * high, rtol=1e-6)


def test_waits_for_every_source(policy: OnnxPolicy) -> None:
    """Nothing is commanded, and no noise is drawn, before all sources were seen."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        if i < 3:
            del samples['cube_0']

    decisions = run(controller(policy), 5, change)
    for decision in decisions[:3]:
        assert decision.state is State.WAITING
        assert decision.sent is None
        assert 'cube_0_pose' in decision.text
    np.testing.assert_array_equal(
        decisions[3].sent, run(controller(policy), 1)[0].sent)  # type: ignore[arg-type]


def test_waits_until_there_is_a_first_observation(policy: OnnxPolicy) -> None:
    """A derivative needs two ticks; before it has them, and after a gap, no policy is asked."""
    robot = with_derivative()

    def change(i: int, samples: dict[str, Sample]) -> None:
        if 3 <= i < 5:
            samples['arm'] = rest_samples(START - S)['arm']

    derives = controller(policy, robot=robot)
    decisions = run(derives, 8, change)
    derives.reset(3)
    now = START + 8 * TICK
    assert derives.step(now, rest_samples(now)).state is State.WAITING, 'another episode'
    assert [decision.state for decision in decisions] == [
        State.WAITING, *[State.RUNNING] * 2, *[State.HOLD] * 3, *[State.RUNNING] * 2]
    for decision in (decisions[0], decisions[5]):
        assert decision.reason == Reason.WAITING
        assert decision.text.startswith('joint_velocities needs more ticks')
    assert decisions[0].sent is None
    assert not decisions[5].sent.any()  # type: ignore[union-attr]


def test_a_swap_keeps_the_observations_history(policy: OnnxPolicy) -> None:
    """A derivative is known at the first tick of the policy that takes over."""
    robot = with_derivative()
    old, new = controller(policy, robot=robot), controller(policy, robot=robot)
    run(old, 2)
    new.transfer_from(old)
    now = START + 2 * TICK
    assert new.step(now, rest_samples(now - 1000, now)).state is State.RUNNING


def test_a_source_that_is_lost_afterwards_is_a_stop(policy: OnnxPolicy) -> None:
    """A robot that may be moving is stopped, not left alone."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        if i == 2:
            del samples['arm']

    decision = run(controller(policy), 3, change)[-1]
    assert decision.state is State.HOLD
    assert decision.reason == Reason.WAITING
    np.testing.assert_array_equal(decision.sent, np.zeros(5))


def test_holds_while_stale_and_plans_anew(policy: OnnxPolicy) -> None:
    """Zero while a source is too old; afterwards a new chunk from a fresh observation."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        if 2 <= i < 9:
            samples['effector'] = rest_samples(START + TICK)['effector']

    decisions = run(controller(policy), 12, change)
    states = [decision.state for decision in decisions]
    # Last sample at tick 1, maximum age 0.2 s: ticks 2 to 5 are still within it.
    assert states == [State.RUNNING] * 6 + [State.HOLD] * 3 + [State.RUNNING] * 3
    for decision in decisions[6:9]:
        assert decision.reason == Reason.STALE
        assert "source 'effector'" in decision.text
        np.testing.assert_array_equal(decision.sent, np.zeros(5))
    assert [decision.chunk_index for decision in decisions[9:]] == [0, 1, 2]


def test_holds_on_nan(policy: OnnxPolicy) -> None:
    """An observation with a NaN never reaches the policy."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        if i == 1:
            values = {**samples['arm'].values, 'velocity': [0, 0, np.nan, 0, 0, 0]}
            samples['arm'] = replace(samples['arm'], values=values)

    decisions = run(controller(policy), 3, change)
    assert decisions[1].state is State.HOLD
    assert decisions[1].reason == Reason.NOT_FINITE_OBSERVATION
    assert decisions[1].text.startswith('joint_velocities[2] is nan')
    assert decisions[1].observation is None
    np.testing.assert_array_equal(decisions[1].sent, np.zeros(5))
    assert decisions[2].state is State.RUNNING
    assert decisions[2].chunk_index == 0


def test_holds_on_an_unknown_joint(policy: OnnxPolicy) -> None:
    """A joint that the robot does not have is named."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        values = {**samples['gripper'].values, 'name': ['finger_joint']}
        samples['gripper'] = replace(samples['gripper'], values=values)

    decision = run(controller(policy), 1, change)[0]
    assert decision.state is State.HOLD
    assert decision.reason == Reason.UNREADABLE
    assert "joint 'gripper_opening' is not in the messages of source 'gripper'" in decision.text


# Its training data do not have where the robot is.
NARROW = cube_spec(observation=tuple(
    replace(field, low=(-1.0,) * field.size, high=(1.0,) * field.size)
    for field in cube_spec().observation))


class Broken:
    """A policy that fails, or answers nonsense, at one of its calls."""

    def __init__(self, answer: float | None, is_narrow: bool = False) -> None:
        self.spec: PolicySpec = NARROW if is_narrow else cube_spec()
        self.calls = 0
        self._answer = answer

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Fail at the first call."""
        self.calls += 1
        if self.calls > 1:
            return Chunk(np.zeros((5, 5), np.float32), 0.0, 0.0)
        if self._answer is None:
            raise PolicyError('inference failed')
        return Chunk(np.full((5, 5), self._answer, np.float32), 0.0, 0.0)


@pytest.mark.parametrize(('answer', 'reason'), [
    (None, Reason.INFERENCE_FAILED), (np.nan, Reason.NOT_FINITE_ACTION)])
def test_holds_on_a_broken_answer(answer: float | None, reason: Reason) -> None:
    """A policy that fails stops the robot, and is asked again at the next tick."""
    broken = Broken(answer)
    robot = controller(broken, 0, 1)
    first, second = run(robot, 2)
    assert first.state is State.HOLD
    assert first.reason == reason
    np.testing.assert_array_equal(first.sent, np.zeros(5))
    assert second.state is State.RUNNING
    assert broken.calls == 2


def test_an_error_elsewhere_is_a_stop_and_a_new_plan(policy: OnnxPolicy) -> None:
    """An unsent chunk is not continued: zero, then a new chunk."""
    robot = controller(policy)
    run(robot, 2)
    decision = robot.fail(TypeError('cannot be sent'))
    assert decision.state is State.HOLD
    assert decision.reason == Reason.INTERNAL_ERROR
    assert decision.text == 'TypeError: cannot be sent'
    np.testing.assert_array_equal(decision.sent, np.zeros(5))
    now = START + 2 * TICK
    assert robot.step(now, rest_samples(now)).chunk_index == 0
    other = controller(policy)
    assert other.fail(TypeError()).sent is None, 'there is nothing to stop'


def test_a_clock_that_is_set_back_revives_no_dead_source(policy: OnnxPolicy) -> None:
    """The last samples come at 100 s, the clock is set to 90 s and comes by 99.9 s: a stop."""
    robot = controller(policy)
    store = SampleStore(shipped_robot().sources)
    for name, sample in rest_samples(100 * S).items():
        store.add(name, sample)

    def step(now: int) -> State:
        store.pass_time(now)
        return robot.step(now, store.samples).state

    assert step(100 * S) is State.RUNNING
    for tenths in (900, 901, 990, 998, 999, 1000, 1001, 1010):
        assert step(tenths * S // 10) is State.HOLD
    for name, sample in rest_samples(101 * S).items():
        store.add(name, sample)
    assert step(101 * S + TICK) is State.RUNNING


def test_a_clock_that_is_set_back_stops_the_robot_for_a_tick(policy: OnnxPolicy) -> None:
    """However fresh the samples look, the tick that finds the clock set back is a stop."""
    robot = controller(policy)
    run(robot, 2)
    back, after = (
        robot.step(START - i * S, rest_samples(START - i * S, START - i * S)) for i in (2, 1))
    assert back.state is State.HOLD
    assert back.reason == Reason.CLOCK_RESET
    assert back.text == 'the clock was set back by 2.050 s'
    assert not back.sent.any()  # type: ignore[union-attr]
    assert after.state is State.RUNNING
    assert after.chunk_index == 0
    assert robot.counts[Reason.CLOCK_RESET] == 1


def test_an_operator_s_stop_latches(policy: OnnxPolicy) -> None:
    """It holds through resets and swaps until it is taken back, and then plans anew."""
    robot = controller(policy)
    run(robot, 2)
    robot.operator.stop('the operator called ~/stop')
    decision = run(robot, 3)[-1]
    assert decision.state is State.STOPPED
    assert decision.response is Response.STOP
    assert decision.reason == Reason.OPERATOR_STOP
    assert decision.text == 'the operator called ~/stop'
    assert not decision.sent.any()  # type: ignore[union-attr]
    robot.reset(3)
    decision = run(robot, 1)[-1]
    assert decision.state is State.STOPPED
    assert decision.sent is None, 'nothing was commanded since the reset'
    other = controller(policy)
    other.transfer_from(robot)
    assert other.operator.is_stopped
    assert other.counts[Reason.OPERATOR_STOP] == 1
    assert run(other, 1)[-1].state is State.STOPPED
    other.operator.resume()
    assert [decision.chunk_index for decision in run(other, 2)] == [0, 1]


@pytest.mark.parametrize(('when_stale', 'state', 'response'), [
    ('warn', State.RUNNING, Response.WARN), ('hold', State.HOLD, Response.HOLD),
    ('ramp', State.HOLD, Response.RAMP), ('deactivate', State.HOLD, Response.DEACTIVATE)])
def test_each_source_has_its_own_response(
        policy: OnnxPolicy, monkeypatch: pytest.MonkeyPatch, when_stale: str, state: State,
        response: Response) -> None:
    """The response to a silent source is a setting of the source."""
    robot = controller(policy, robot=with_source(when_stale=when_stale))
    ramps = []
    stop = robot.limiter.stop
    monkeypatch.setattr(
        robot.limiter, 'stop', lambda measured, ramp: (ramps.append(ramp), stop())[1])

    def change(i: int, samples: dict[str, Sample]) -> None:
        samples['effector'] = rest_samples(START)['effector']

    decisions = run(robot, 6, change)
    assert {decision.response for decision in decisions[:5]} == {Response.PASS}
    assert decisions[5].state is state
    assert decisions[5].reason == Reason.STALE
    assert decisions[5].response is response
    assert ramps == ([] if state is State.RUNNING else [response is Response.RAMP])


@pytest.mark.parametrize(('answer', 'share'), [('ignore', 1.0), ('warn', 1.0), ('slow', 0.25)])
def test_outside_the_training_envelope_the_robot_slows_down(
        policy: OnnxPolicy, answer: str, share: float) -> None:
    """An observation outside the training range is reported, counted, and handled as set."""
    settings = SafetySettings(envelope=answer, slow_speed=0.25)
    usual = run(controller(Broken(1.0), 0, 1, ahead=True), 1)[0]
    robot = controller(Broken(1.0, True), 0, 1, settings=settings, ahead=True)
    decision = run(robot, 1)[0]
    for slowed, full in ((decision.sent, usual.sent), (decision.ahead, usual.ahead)):
        np.testing.assert_allclose(slowed, share * full)  # type: ignore[arg-type, operator]
    assert decision.state is State.RUNNING
    assert Reason.OUTSIDE_ENVELOPE in decision.reason or answer == 'ignore'
    assert ('effector_position[2] is 2' in decision.text) == (answer != 'ignore')
    assert robot.outside == {'effector_position[2]': 1, 'cube_0_position[2]': 1}


def test_a_reset_ends_doubts_and_forgets_clocks(policy: OnnxPolicy) -> None:
    """A reset clears the monitors and clock checks of the previous episode."""
    def unseen(i: int, samples: dict[str, Sample]) -> None:
        for name, place in (('effector', 2.0), ('cube_0', 0.0)):
            values = {**samples[name].values, 'pose.position.z': place if i == 0 else 0.0}
            samples[name] = replace(samples[name], values=values)
        if i == 0:
            samples['gripper'] = replace(samples['gripper'], stamp=START + S // 8)

    robot = controller(policy, settings=SafetySettings(envelope='warn'))
    both = Reason.OUTSIDE_ENVELOPE | Reason.CLOCK_SKEW
    assert [decision.reason for decision in run(robot, 2, unseen)] == [both, both]
    robot.reset(3)
    assert not robot.outside
    assert not robot.counts
    first = run(robot, 2, lambda i, samples: unseen(i + 1, samples))[0]
    assert first.reason == Reason.NONE


def test_a_swap_notices_that_the_clock_was_set_back(policy: OnnxPolicy) -> None:
    """The last tick of the old policy is the one before the first of the new."""
    old, new = controller(policy), controller(policy)
    run(old, 3)
    new.transfer_from(old)
    assert new.step(START, rest_samples(START)).reason == Reason.CLOCK_RESET


def test_another_rate_has_other_jumps(policy: OnnxPolicy) -> None:
    """Messages that are closer than a tick are compared over a tick, of the rate that is set."""
    robot = shipped_robot()
    first, *others = robot.observation
    robot = replace(robot, observation=(replace(first, max_rate=(3.0,) * 6), *others))
    old, new = controller(policy, robot=robot, tick=S), controller(policy, robot=robot)
    run(old, 1)
    new.transfer_from(old)

    def change(i: int, samples: dict[str, Sample]) -> None:
        values = samples['arm'].values
        samples['arm'] = replace(samples['arm'], values={
            **values, 'position': [place + i for place in values['position']]})

    assert Reason.JUMP in run(new, 3, change)[2].reason


def test_counts_go_on_at_a_swap() -> None:
    """They are those since the reset, whichever policy and parameters it was with."""
    old, new = controller(Broken(0.5, True)), controller(Broken(0.5, True))
    run(old, 3)
    assert set(old.outside.values()) == {3}
    new.transfer_from(old)
    for i in (3, 4):
        new.step(START + i * TICK, rest_samples(START + i * TICK))
    assert old.outside.keys() == new.outside.keys()
    assert set(new.outside.values()) == {5}
    assert new.counts[Reason.OUTSIDE_ENVELOPE] == 5
    assert set(old.outside.values()) == {3}, 'what is not asked any more counts no more'
    new.reset(3)
    assert not new.outside


def test_a_doubt_that_holds_does_not_ask_the_policy() -> None:
    """During a hold by a monitor, the policy is not asked, and the doubtful chunk is discarded."""
    unseen = Broken(0.5, True)
    decision = run(controller(unseen, settings=SafetySettings(envelope='hold')), 2)[-1]
    assert decision.state is State.HOLD
    assert decision.reason == Reason.OUTSIDE_ENVELOPE
    assert unseen.calls == 0
    late = controller(Broken(0.5), settings=SafetySettings(
        late_inference='hold', inference_deadline=0.015))
    decisions = run(late, 3)
    assert {decision.state for decision in decisions} == {State.HOLD}
    assert {decision.reason for decision in decisions} == {Reason.LATE_INFERENCE}
    assert [decision.draw for decision in decisions] == [1, 2, 3], 'measured until it is better'
    assert all(
        decision.sent is not None and not decision.sent.any() for decision in decisions)


def test_a_swap_joins_in_the_units_of_the_robot() -> None:
    """The next policy continues from the last command, not from the last action."""
    half = cube_spec()
    half = replace(half, action=tuple(
        replace(member, low=tuple(value / 2 for value in member.low),
                high=tuple(value / 2 for value in member.high)) for member in half.action))
    old, new = Broken(0.25), Broken(1.0)
    new.spec = half
    settings = PlanningSettings(join_jump=0.125, join_over=2)
    first, second = controller(old, planning=settings), controller(new, planning=settings)
    last = run(first, 1)[0]
    second.transfer_from(first)
    decision = run(second, 1)[0]
    assert decision.joined is not None
    np.testing.assert_allclose(decision.joined, 0.5 + 0.125)
    np.testing.assert_array_equal(decision.action, np.ones(5))
    np.testing.assert_allclose(decision.sent, last.sent * 1.25)  # type: ignore[operator]


def test_says_everything_about_a_step(policy: OnnxPolicy) -> None:
    """Draw, chunk, value and spread, and the planned commands."""
    robot = controller(policy, ahead=True)
    decisions = run(robot, 7)
    noise = NoiseStream(3, 2, policy.spec.noise_size)
    observation = ObservationBuilder(shipped_robot().observation).build(rest_samples(0), 0)
    chunk = policy.act(observation, noise.next())
    assert [decision.draw for decision in decisions] == [1] * 5 + [2] * 2
    assert (decisions[1].value, decisions[1].spread) == (chunk.value, chunk.spread)
    np.testing.assert_allclose(
        decisions[1].ahead, chunk.actions[2:] * np.array([1, 1, 1, 6, 20]), rtol=1e-6)
    np.testing.assert_array_equal(decisions[1].limited, decisions[1].sent)
    assert decisions[4].ahead.shape == (0, 5)  # type: ignore[union-attr]


def test_clips_commands_out_of_bounds() -> None:
    """An action outside [-1, 1] is sent clipped, with the reason, and kept as it was."""
    robot = controller(Broken(3.0), 0, 1)
    decision = run(robot, 1)[0]
    assert decision.state is State.RUNNING
    assert decision.reason == Reason.CLIPPED
    np.testing.assert_array_equal(decision.action, np.full(5, 3, np.float32))
    np.testing.assert_array_equal(decision.command, [3, 3, 3, 18, 60])
    np.testing.assert_array_equal(decision.sent, [1, 1, 1, 6, 20])


def test_reset_repeats_the_episode(policy: OnnxPolicy) -> None:
    """After a reset with the same seed, the same samples give the same commands."""
    robot = controller(policy)
    first = [decision.sent for decision in run(robot, 7)]
    robot.reset(3)
    np.testing.assert_array_equal([decision.sent for decision in run(robot, 7)], first)
    robot.reset(4)
    assert (run(robot, 1)[0].sent != first[0]).any()
    robot.reset(3)
    assert robot.step(START, {}).state is State.WAITING


def test_a_swap_goes_on_where_the_old_policy_was(policy: OnnxPolicy) -> None:
    """A controller that takes over plans anew, and knows that the robot may be moving."""
    old, new = controller(policy), controller(policy)
    run(old, 3)
    new.transfer_from(old)
    decision = new.step(START + 3 * TICK, rest_samples(START + 3 * TICK))
    assert decision.chunk_index == 0
    other = controller(policy)
    other.transfer_from(old)
    assert other.step(START + 3 * TICK, {}).state is State.HOLD


def test_refuses_a_policy_for_another_robot(tmp_path: Path) -> None:
    """A policy of another observation size is refused before anything moves."""
    spec = cube_spec(observation=cube_spec().observation[:-1])
    other = OnnxPolicy(write_policy(tmp_path / 'other.onnx', spec))
    with pytest.raises(SpecMismatch, match='observation field 8'):
        controller(other)


def test_no_swap_to_an_action_in_another_order(policy: OnnxPolicy, tmp_path: Path) -> None:
    """Both fit the robot, but the last command would be read in another order."""
    spec = cube_spec()
    other = OnnxPolicy(write_policy(
        tmp_path / 'other.onnx', replace(spec, action=spec.action[::-1])))
    new, old = controller(other), controller(policy)
    with pytest.raises(SpecMismatch, match='action field 0'):
        new.transfer_from(old)


def test_commands_are_bounded_for_any_samples(policy: OnnxPolicy) -> None:
    """Random samples and times: always a bounded command, a zero with a reason, or nothing."""
    random = np.random.default_rng(0)
    high = np.array([1, 1, 1, 6, 20])
    seen = set()
    for _ in range(60):
        robot, now, commanded = controller(policy), START, False
        latest: dict[str, Sample | None] = {}
        for _ in range(40):
            now += int(random.choice([TICK, 0, 10 * TICK, -TICK], p=[.85, .05, .05, .05]))
            for name, sample in rest_samples(now).items():
                if random.random() < 0.8:
                    values = {
                        key: value if key == 'name' or random.random() < 0.99 else np.nan
                        for key, value in sample.values.items()}
                    stamp = now + int(random.normal(0, TICK // 2))
                    latest[name] = Sample(stamp, now, {
                        key: [value] * 6 if isinstance(value, float) and key in (
                            'position', 'velocity', 'effort') else value
                        for key, value in values.items()})
            decision = robot.step(now, latest)
            seen.add(decision.state)
            if decision.state is State.RUNNING:
                commanded = True
                assert decision.observation is not None
                assert np.isfinite(decision.observation).all()
                assert (np.abs(decision.sent) <= high).all()  # type: ignore[arg-type]
            elif decision.state is State.HOLD:
                assert decision.reason
                assert decision.text
                np.testing.assert_array_equal(decision.sent, np.zeros(5))
            else:
                assert decision.sent is None
                assert not commanded
    assert seen == set(State) - {State.STOPPED}
