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
"""Takeover by a person: bumpless edges, priorities, and what becomes of the policy meanwhile."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.description.takeover import DISPLACEMENT, HOLD, INCREMENT, TARGET, VELOCITY
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.safety import SafetySettings
from testing.fixtures.people import Cell, meaning, RandomPolicy, spec_of, taken_over

# Of each number of a command: three joints, the slide, the base, its turn, the pump, the grip.
SPEED = np.array([1.0, 1.5, 2.0, 0.3, 0.8, 1.0, 2.0, np.inf])
ACCELERATION = np.array([5.0, 4.0, 10.0, 1.0, 1.5, 3.0, 8.0, np.inf])
LOW = np.array([-1.5, -1.5, -1.5, 0.0, -0.8, -1.0, -2.0, -2.0])
HIGH = np.array([1.5, 1.5, 1.5, 1.0, 0.8, 1.0, 2.0, 2.0])
IS_POSITION = np.array([True] * 4 + [False] * 4)
ROUNDING = 1e-9


class Steps:
    """Largest speed and acceleration of commands, as a fraction of their limits."""

    def __init__(self, cell: Cell) -> None:
        self._tick = cell.tick * 1e-9
        # At rest.
        self._last = np.array([*cell.position, 0.0, 0.0, 0.0, 0.0])
        self._speed = np.zeros(8)

    def add(self, sent: np.ndarray) -> np.ndarray:
        """Add a command; return how far it is out of bounds, its speed and its acceleration."""
        speed = np.where(IS_POSITION, (sent - self._last) / self._tick, sent)
        found = np.array([
            np.maximum(sent - HIGH, LOW - sent).max(), (np.abs(speed) / SPEED).max(),
            (np.abs(speed - self._speed) / self._tick / ACCELERATION).max()])
        self._last, self._speed = sent, speed
        return found


def cells() -> list[Cell]:
    """Make cells with each meaning of a person's numbers, at several rates, with blending."""
    robot, made = taken_over(), []
    for i, wanted in enumerate((TARGET, VELOCITY, INCREMENT, DISPLACEMENT)):
        each = meaning(meaning(robot, 'joint_positions', wanted), 'grip', wanted)
        each = meaning(each, 'slide_step', (VELOCITY, DISPLACEMENT, TARGET, INCREMENT)[i])
        made += [Cell(each, noise_seed=i), Cell(
            each, rate=100.0, noise_seed=i,
            planning=PlanningSettings(mode='receding', replan_every=2, join_jump=0.2))]
    return made


@pytest.mark.parametrize('each', [300, pytest.param(1250, marks=pytest.mark.long)])
def test_both_edges_are_within_the_limits(each: int) -> None:
    """
    Position, velocity and acceleration, over random instants of taking over and giving.

    They are 10^4 in the long version; the eight cells are the same in both.
    """
    random = np.random.default_rng(0)
    edges, worst = 0, np.zeros(3)
    for cell in cells():
        steps, last = Steps(cell), Commanding.NOBODY
        near, mine = 0, 0
        # The policy first: a grip that was never commanded has no place to move on from.
        first = cell.step().sent
        assert first is not None
        steps.add(first)
        while mine < each:
            if random.random() < 0.3:
                cell.hold(random.random() < 0.5)
            if random.random() < 0.3:
                cell.axes = random.uniform(-1, 1, 4).tolist()
            if random.random() < 0.3:
                # Far outside of the range of the robot, now and then.
                cell.leader = (random.standard_normal(2) * random.choice([0.1, 1, 10])).tolist()
            cell.buttons[:2] = random.integers(0, 2, 2).tolist()
            decision = cell.step()
            assert decision.sent is not None
            assert decision.state is State.RUNNING, decision.text
            found = steps.add(decision.sent)
            if decision.commander is not last:
                near, last = 3, decision.commander
                mine += 1
            if near:
                worst, near = np.maximum(worst, found), near - 1
            assert (found <= [ROUNDING, 1 + ROUNDING, 1 + ROUNDING]).all(), (found, decision)
        edges += mine
    print(f'{edges} edges: outside by {worst[0]:.3g}, {worst[1]:.12g} of the velocity and '
          f'{worst[2]:.12g} of the acceleration')
    assert edges >= 8 * each
    # A test whose commands never come near the limits would prove nothing.
    assert worst[1] > 0.99
    assert worst[2] > 0.99


def test_a_person_commands_and_the_policy_goes_on() -> None:
    """Who commands, both actions, and that the policy's does not move the robot."""
    cell, other = Cell(), Cell(noise_seed=5)
    for each in (cell, other):
        assert {decision.commander for decision in each.run(4)} == {Commanding.POLICY}
        each.controller.limiter.reset()
        each.position = [0.1, -0.2, 0.3, 0.5]
        each.hold()
        each.axes[1] = 1.0
        each.leader = [0.4, 0.5]
    mine, others = cell.run(40), other.run(40)
    for decision, beside in zip(mine, others, strict=True):
        assert decision.commander is Commanding.PERSON
        assert decision.state is State.RUNNING
        assert Reason.PERSON in decision.reason
        assert decision.response is Response.WARN
        assert decision.action is not None
        assert decision.command is not None
        assert decision.person is not None
        assert beside.action is not None
        assert (decision.action != beside.action).any()
        # The elbow, the turn and the pump are not commanded.
        assert np.isnan(decision.person).tolist() == [False, False, True, False, False, True,
                                                      True, False]
    # Another policy beside changes nothing, once both stand where they began.
    np.testing.assert_allclose(mine[-1].sent[:2], [0.4, 0.5])
    assert mine[-1].sent[4] == pytest.approx(0.8), 'scaled beyond the limit of velocity'
    assert mine[-1].sent[5] == mine[-1].sent[6] == 0.0
    assert mine[-1].sent[2] == mine[-2].sent[2], 'the elbow stays'


def test_letting_go_is_a_fresh_plan() -> None:
    """Never an old chunk, from the tick on at which the person lets go."""
    cell = Cell()
    cell.run(2)
    cell.hold()
    for ticks in (1, 2, 3, 4, 7):
        cell.hold()
        held = cell.run(ticks)
        assert all(decision.commander is Commanding.PERSON for decision in held)
        cell.hold(False)
        asked = cell.policy.asked
        decision = cell.step()
        assert decision.commander is Commanding.POLICY
        assert cell.policy.asked == asked + 1
        assert decision.chunk_index == 0
        assert decision.inference is not None
        cell.run(ticks)


def test_a_fresh_plan_is_joined_to_the_persons_command() -> None:
    """With join_jump, from the action that the person's last command was."""
    cell = Cell(planning=PlanningSettings(join_jump=0.01))
    cell.run(3)
    cell.hold()
    cell.axes[1] = 1.0
    cell.run(40)
    cell.hold(False)
    decision = cell.step()
    assert decision.joined is not None
    assert decision.joined[4] == pytest.approx(0.4, abs=0.011), '0.8 m/s of 2 m/s'
    assert decision.joined[3] == pytest.approx(0.0, abs=0.011), 'a step from where it is'


@pytest.mark.parametrize('wanted', [VELOCITY, INCREMENT, DISPLACEMENT])
def test_meanings_start_from_where_the_robot_is(wanted: str) -> None:
    """What the person asks for adds to the place where the takeover began."""
    cell = Cell(meaning(taken_over(), 'joint_positions', wanted))
    cell.leader = [0.5, 0.0]
    cell.hold()
    first = cell.step()
    assert first.person is not None
    began = {VELOCITY: 0.1 + 0.5 * 0.05, INCREMENT: 0.1, DISPLACEMENT: 0.1}[wanted]
    assert first.person[0] == pytest.approx(began)
    if wanted == DISPLACEMENT:
        cell.leader = [0.7, 0.0]
    cell.run(30)
    if wanted == INCREMENT:
        cell.leader, cell.silent = [0.01, 0.0], {'leader'}
        before = cell.step().person
        again = cell.step().person
        assert before is not None
        assert again is not None
        assert before[0] == again[0], 'a message moves it once'
        return
    cell.leader = [0.7 if wanted == DISPLACEMENT else 0.0, 0.0]
    decision = cell.run(20)[-1]
    assert decision.sent is not None
    assert decision.sent[0] == pytest.approx(0.3 if wanted == DISPLACEMENT else 0.86, abs=0.1)


@pytest.mark.parametrize('direction', [1, -1])
def test_a_device_that_is_turned_past_the_end_of_its_reading_moves_nothing_else(
        direction: int) -> None:
    """Some are read within half a turn either way: from there, the robot would go a turn back."""
    cell = Cell(meaning(taken_over(), 'joint_positions', DISPLACEMENT))
    cell.step()
    cell.hold()
    before = cell.position[0]
    for i in range(60):
        cell.leader = [math.remainder((3.0 + 0.005 * i) * direction, math.tau), 0.0]
        cell.step()
    assert cell.leader[0] * direction < 0
    assert cell.position[0] == pytest.approx(before + 0.005 * 59 * direction, abs=1e-3)
    # The next takeover begins anew.
    cell.hold(False)
    cell.step()
    cell.hold()
    before = cell.position[0]
    cell.run(20)
    assert cell.position[0] == pytest.approx(before, abs=0.02)


@pytest.mark.parametrize(('scale', 'readings'), [
    # In degrees, by 5, and past the end of the reading; in radians, for motions of a third.
    (math.radians(1), (20.0, 25.0, 30.0, 35.0)), (math.radians(1), (178.0, 181.0, -176.0, -173.0)),
    (0.3333, (3.1, -3.1, -3.0, -2.9)),
    # It counts turns.
    (1.0, (7.0, 7.1, 7.2))])
def test_a_device_moves_the_robot_as_far_as_it_was_moved(
        scale: float, readings: tuple[float, ...]) -> None:
    """Whatever its unit is, which only the scale tells."""
    robot = meaning(taken_over(), 'joint_positions', DISPLACEMENT)
    assert robot.takeover is not None
    cell = Cell(replace(robot, takeover=replace(robot.takeover, entries=tuple(
        replace(entry, reading=replace(entry.reading, scale=(scale,) * len(entry.numbers)))
        if entry.action == 'joint_positions' else entry for entry in robot.takeover.entries))))
    cell.leader = [readings[0], 0.0]
    cell.step()
    cell.hold()
    cell.step()
    before, turn = cell.position[0], 360.0 if scale < 0.1 else math.tau
    for reading in readings:
        cell.leader[0] = reading
        cell.run(20)
    moved = (readings[-1] - readings[0]) % turn
    assert cell.position[0] == pytest.approx(before + moved * scale, abs=0.01)


@pytest.mark.parametrize('start', [1.0, 4.5, 30.0])
def test_a_dead_zone_is_no_turn_of_a_device(start: float) -> None:
    """It stretches what is outside: by more than half a turn, if the device is turned far."""
    robot = meaning(taken_over(), 'joint_positions', DISPLACEMENT)
    assert robot.takeover is not None
    cell = Cell(replace(robot, takeover=replace(robot.takeover, entries=tuple(
        replace(entry, dead_zone=(0.5,) * len(entry.numbers))
        if entry.action == 'joint_positions' else entry
        for entry in robot.takeover.entries))))
    cell.leader = [start, 0.0]
    cell.step()
    cell.hold()
    cell.step()
    before = cell.position[0]
    cell.run(20)
    assert cell.position[0] == pytest.approx(before, abs=0.02)
    cell.leader[0] += 0.1
    cell.run(40)
    assert cell.position[0] == pytest.approx(before + 0.2, abs=0.02)


@pytest.mark.parametrize('step', [0.02, 0.1, 0.3])
def test_increments_are_not_saved_up(step: float) -> None:
    """If they come faster than the robot moves, it stops soon after the person does."""
    cell = Cell(meaning(taken_over(), 'joint_positions', INCREMENT))
    cell.position[0] = -1.4
    cell.hold()
    cell.step()
    cell.leader = [step, 0.0]
    moved = cell.run(20)[-1]
    assert moved.sent is not None
    assert moved.sent[0] > -1.4 + min(0.8 * 20 * step, 0.7), 'as fast as it may'
    cell.leader = [0.0, 0.0]
    after = cell.run(60)[-1]
    assert after.sent is not None
    # The braking distance at 1 rad/s and 5 rad/s^2, two ticks at that speed, and one increment.
    assert after.sent[0] - moved.sent[0] <= max(0.2, step) + 1e-9


def test_a_large_increment_is_made_in_full() -> None:
    """One that is longer than the robot needs to stop, with messages of 0 after it."""
    cell = Cell(meaning(taken_over(), 'joint_positions', INCREMENT))
    cell.hold()
    cell.step()
    cell.leader = [0.8, 0.0]
    cell.step()
    cell.leader = [0.0, 0.0]
    decision = cell.run(60)[-1]
    assert decision.sent is not None
    assert decision.sent[0] == pytest.approx(0.9)


def test_a_dead_zone_and_its_rest() -> None:
    """Within it, nothing; outside, from 0 to the full scale."""
    cell = Cell()
    cell.hold()
    for axis, asked in ((0.05, 0.0), (-0.1, 0.0), (1.0, 0.9), (-1.0, -0.9), (0.55, 0.45)):
        cell.axes[1] = axis
        decision = cell.step()
        assert decision.person is not None
        assert decision.person[4] == pytest.approx(asked)


def commanders(decisions: list[Decision]) -> set[Commanding]:
    """List who commanded."""
    return {decision.commander for decision in decisions}


@pytest.mark.parametrize('mood', ['fails', 'nan'])
def test_faults_of_the_policy_do_not_stop_a_person(mood: str) -> None:
    """They are reported; the robot is held by them only once the person lets go."""
    cell = Cell()
    cell.run(3)
    cell.hold()
    cell.policy.mood = mood
    found = cell.run(12)
    assert commanders(found) == {Commanding.PERSON}
    reason = {'fails': Reason.INFERENCE_FAILED, 'nan': Reason.NOT_FINITE_ACTION}[mood]
    assert reason in found[-1].reason
    assert found[-1].response is Response.WARN
    cell.hold(False)
    assert cell.step().state is State.HOLD
    cell.policy.mood = 'well'
    assert cell.step().commander is Commanding.POLICY


def test_an_observation_outside_the_envelope_does_not_stop_a_person() -> None:
    """With envelope: hold, only the policy is held, and not run."""
    cell = Cell(safety=SafetySettings(envelope='hold'))
    cell.run(3)
    cell.hold()
    cell.step()
    cell.controller._monitors.envelope._ranges.middle[0] = -70.0
    found = cell.run(3)
    assert commanders(found) == {Commanding.PERSON}
    assert Reason.OUTSIDE_ENVELOPE in found[-1].reason
    assert found[-1].action is None
    cell.hold(False)
    assert cell.step().state is State.HOLD


def test_a_camera_that_falls_silent_does_not_stop_a_person() -> None:
    """A source that only the policy needs; feedback stops both."""
    cell = Cell()
    cell.run(3)
    cell.hold()
    cell.run(3)
    cell.silent = {'camera'}
    found = cell.run(10)
    assert commanders(found) == {Commanding.PERSON}
    assert Reason.STALE in found[-1].reason
    assert found[-1].response is Response.WARN, 'or a source with deactivate would end it all'
    cell.hold(False)
    assert cell.step().state is State.HOLD
    cell.hold()
    assert cell.step().commander is Commanding.PERSON, 'a person frees a robot that is held'
    cell.silent = {'arm'}
    held = cell.run(6)[-1]
    assert (held.state, held.commander) == (State.HOLD, Commanding.NOBODY)
    cell.silent = set()
    assert cell.step().commander is Commanding.PERSON


def test_a_watched_camera_that_was_never_there_does_not_stop_a_person() -> None:
    """What only the policy needs is watched once it comes."""
    robot = taken_over()
    robot = replace(robot, observation=tuple(
        replace(entry, changes_within=0.5) if {
            reading.source for reading in entry.readings} == {'camera'} else entry
        for entry in robot.observation))
    assert any(entry.changes_within for entry in robot.observation)
    cell = Cell(robot)
    cell.lost = frozenset({'camera'})
    cell.hold()
    found = cell.run(6)
    assert found[-1].commander is Commanding.PERSON
    assert Reason.WAITING in found[-1].reason
    cell.lost = frozenset()
    assert Reason.STUCK in cell.run(14)[-1].reason


def test_an_operators_stop_is_above_a_person() -> None:
    """It slows the robot down, and holds until ~/resume."""
    cell = Cell()
    cell.hold()
    cell.axes[1] = 1.0
    cell.run(30)
    cell.controller.operator.stop('by test')
    found = cell.run(20)
    assert commanders(found) == {Commanding.NOBODY}
    assert {decision.state for decision in found} == {State.STOPPED}
    assert found[-1].sent is not None
    assert found[-1].sent[4] == 0.0
    cell.controller.operator.resume()
    assert cell.step().commander is Commanding.PERSON


def test_a_clock_that_is_set_back_is_above_a_person() -> None:
    """The age of the person's messages is unknown, too."""
    cell = Cell()
    cell.hold()
    cell.run(5)
    cell.now -= 10 * cell.tick
    found = cell.step()
    assert Reason.CLOCK_RESET in found.reason
    assert found.commander is Commanding.NOBODY


@pytest.mark.parametrize('when_stale', ['end', HOLD])
@pytest.mark.parametrize('source', ['pad', 'leader'])
def test_a_person_falls_silent_while_holding(source: str, when_stale: str) -> None:
    """The takeover ends, or the robot is held until the source is back."""
    robot = taken_over()
    assert robot.takeover is not None
    cell = Cell(replace(robot, takeover=replace(robot.takeover, when_stale=when_stale)))
    cell.hold()
    cell.axes[1] = 1.0
    cell.run(20)
    cell.silent = {source}
    found = cell.run(10)
    after = [decision for decision in found if decision.commander is not Commanding.PERSON]
    assert len(after) >= 3
    assert Reason.PERSON_SILENT in after[0].reason
    if when_stale == 'end':
        assert commanders(after) == {Commanding.POLICY}
        assert after[0].chunk_index == 0
        assert after[0].inference is not None
    else:
        assert commanders(after) == {Commanding.NOBODY}
        assert after[-1].state is State.HOLD
    cell.silent = set()
    assert cell.step().commander is Commanding.PERSON
    cell.hold(False)
    assert cell.step().commander is Commanding.POLICY


def test_numbers_of_a_person_that_are_not_finite() -> None:
    """They are a fault of the person's source: never sent."""
    cell = Cell()
    cell.hold()
    cell.run(3)
    cell.leader[1] = np.nan
    found = cell.step()
    assert found.commander is Commanding.POLICY
    assert Reason.PERSON_SILENT in found.reason
    assert 'nan' in found.text


def test_a_takeover_that_cannot_begin_says_why() -> None:
    """The dead-man is held, and another source was never received."""
    cell = Cell()
    cell.lost = frozenset({'leader'})
    cell.hold()
    found = cell.step()
    assert found.commander is Commanding.POLICY
    assert 'cannot begin' in found.text
    assert 'leader' in found.text
    cell.hold(False)
    assert not cell.step().reason & Reason.PERSON_SILENT


def test_a_person_may_be_the_first_who_commands() -> None:
    """Without a camera the policy waits; the person does not."""
    cell = Cell()
    cell.lost = frozenset({'camera'})
    assert cell.step().state is State.WAITING
    cell.hold()
    assert cell.step().commander is Commanding.PERSON
    cell.hold(False)
    assert cell.step().state is State.HOLD


def test_an_output_that_was_never_commanded_cannot_be_kept() -> None:
    """The gripper, if the person does not command it; after the policy did, it can be."""
    robot = taken_over()
    assert robot.takeover is not None
    robot = replace(robot, takeover=replace(robot.takeover, entries=tuple(
        entry for entry in robot.takeover.entries if entry.action != 'grip')))
    cell = Cell(robot)
    cell.hold()
    found = cell.step()
    assert found.sent is None
    assert 'never commanded' in found.text
    cell.hold(False)
    before = cell.step()
    cell.hold()
    found = cell.step()
    assert found.commander is Commanding.PERSON
    assert before.sent is not None
    assert found.sent is not None
    assert found.sent[7] == before.sent[7]


@pytest.mark.parametrize('wanted', [VELOCITY, INCREMENT, DISPLACEMENT])
def test_a_person_moves_nothing_on_from_where_it_never_was(wanted: str) -> None:
    """A gripper without feedback after a reset: it is not sent to 0, and the reason says so."""
    cell = Cell(meaning(taken_over(), 'grip', wanted))
    before = cell.run(2)[-1]
    assert before.sent is not None
    assert abs(before.sent[7]) > 0.1, 'a jump to 0 would be one'
    cell.hold()
    cell.controller.reset(0)
    for found in cell.run(3):
        assert found.sent is None
        assert (found.state, found.commander) == (State.HOLD, Commanding.NOBODY)
        assert Reason.UNMEASURED in found.reason
        assert 'command[7] has stop: keep, was never commanded since the reset' in found.text
    # The person commands nothing, and the policy neither.
    assert cell.controller.counts[Reason.PERSON] == 0
    assert cell.controller.dead_man_steps == 3
    cell.controller.operator.stop('stopped')
    cell.step()
    cell.controller.operator.resume()
    assert cell.controller.dead_man_steps == 3
    cell.hold(False)
    before = cell.step()
    assert before.commander is Commanding.POLICY
    assert before.sent is not None
    cell.hold()
    found = cell.step()
    assert found.commander is Commanding.PERSON
    assert found.sent is not None
    assert found.sent[7] == before.sent[7]


def test_a_target_needs_no_place_to_move_on_from() -> None:
    """A person who says where the gripper shall be commands at once."""
    cell = Cell(meaning(taken_over(), 'grip', TARGET))
    cell.buttons[0] = 1
    cell.hold()
    found = cell.step()
    assert found.commander is Commanding.PERSON
    assert found.sent is not None
    assert found.sent[7] == 0.1


def test_a_target_that_leaves_an_output_as_it_is() -> None:
    """A gripper is sent NaN by a person who has not asked for any place yet; no joint takes it."""
    robot = meaning(taken_over(), 'grip', TARGET)
    assert robot.takeover is not None
    entries = [
        entry if entry.action != 'grip' else replace(entry, dead_zone=(0.1,), reading=replace(
            robot.takeover.entries[2].reading, name='grip', unit='1', scale=(1.0,)))
        for entry in robot.takeover.entries]
    cell = Cell(replace(robot, takeover=replace(robot.takeover, entries=tuple(
        entry for entry in entries if entry.action != 'base_speed'))))
    cell.axes[1] = np.nan
    cell.hold()
    found = cell.step()
    assert found.sent is None
    assert 'command[7] has stop: keep, was never commanded' in found.text
    cell.hold(False)
    before = cell.step()
    cell.hold()
    for _ in range(3):
        found = cell.step()
        assert found.commander is Commanding.PERSON
        assert found.person is not None
        assert np.isnan(found.person[7])
        assert found.sent is not None
        assert before.sent is not None
        assert found.sent[7] == before.sent[7]
    cell.axes[1] = 1.0
    found = cell.step()
    assert found.sent is not None
    assert found.sent[7] == 1.0
    cell.axes[1] = np.inf
    assert 'inf' in cell.step().text


def test_a_swap_during_a_takeover() -> None:
    """The person goes on without a jump, and lets go to a fresh plan of the new policy."""
    cell = Cell(meaning(taken_over(), 'joint_positions', INCREMENT))
    steps = Steps(cell)
    cell.hold()
    cell.axes[1], cell.leader = 1.0, [0.05, 0.05]
    for i in range(60):
        if i == 20:
            new = RandomPolicy(spec_of(cell.robot))
            old, cell.controller, cell.policy = cell.controller, cell.make(new), new
            cell.controller.transfer_from(old)
        if i == 40:
            cell.hold(False)
        decision = cell.step()
        assert decision.sent is not None
        assert (steps.add(decision.sent) <= [ROUNDING, 1 + ROUNDING, 1 + ROUNDING]).all(), i
        assert decision.commander is (Commanding.PERSON if i < 40 else Commanding.POLICY)
        if i == 40:
            assert decision.chunk_index == 0
            assert decision.inference is not None


def test_without_a_person_nothing_changes() -> None:
    """A robot without the section decides the same, to the last bit."""
    cell, other = Cell(), Cell(replace(taken_over(), takeover=None))
    for i in range(100):
        for each in (cell, other):
            each.silent = {'camera'} if i % 40 > 30 else set()
        mine, theirs = cell.step(), other.step()
        assert (mine.state, mine.reason, mine.text) == (theirs.state, theirs.reason, theirs.text)
        assert mine.sent is not None
        assert theirs.sent is not None
        assert mine.sent.tolist() == theirs.sent.tolist()
        assert mine.commander is theirs.commander


def test_stops_between_two_ticks_begin_anew() -> None:
    """A single stop command, and a defect: the person goes on from where the robot is then."""
    cell = Cell(meaning(taken_over(), 'joint_positions', DISPLACEMENT))
    cell.hold()
    cell.run(3)
    cell.leader = [0.3, 0.0]
    cell.run(30)
    stopped = cell.controller.halt()
    assert stopped is not None
    decision = cell.step()
    assert decision.person is not None
    assert decision.person[0] == pytest.approx(stopped[0])
    failed = cell.controller.fail(RuntimeError('by test'))
    assert failed.commander is Commanding.NOBODY
    assert cell.step().commander is Commanding.PERSON
