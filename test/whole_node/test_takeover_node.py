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
"""Takeover of a whole node by a person: edges, silence, stops, swaps, and the recording of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.tools.replay.main import main as replay
from testing.fixtures.people import DESCRIPTION, spec_of, taken_over
from testing.processes.ros_processes import NodeProcess
from testing.processes.taken_over_cell import sent, TakenOverCell

TICK = 0.05
SPEED = np.array([1.0, 1.5, 2.0, 0.3, 0.8, 1.0, 2.0, np.inf])
ACCELERATION = np.array([5.0, 4.0, 10.0, 1.0, 1.5, 3.0, 8.0, np.inf])
IS_POSITION = np.array([True] * 4 + [False] * 4)


@pytest.fixture(name='policies', scope='module')
def two_policies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Write two policies that move a lot."""
    folder, spec = tmp_path_factory.mktemp('takeover'), spec_of(taken_over())
    return [
        write_policy(folder / f'{seed}.onnx', spec, seed, gain=1.0) for seed in (1, 2)]


def require_limits(decisions: list[RecordedDecision]) -> None:
    """Require that no command is beyond the limits of velocity and acceleration."""
    last, before = None, None
    for decision in decisions:
        now = sent(decision)
        if now is None:
            continue
        if last is not None:
            speed = np.where(IS_POSITION, (now - last) / TICK, now)
            assert (np.abs(speed) <= SPEED * (1 + 1e-9)).all(), decision
            if before is not None:
                change = np.abs(speed - before) / TICK
                # Its stop is zero at once.
                change[6] *= decision.state is State.RUNNING
                assert (change <= ACCELERATION * (1 + 1e-6)).all(), (decision, change)
            before = speed
        last = now


def first_step(decision: RecordedDecision) -> bool:
    """Whether a decision is the first of an episode."""
    return decision.entry is not None and decision.entry.step == 1


def require_fresh_plans(decisions: list[RecordedDecision]) -> int:
    """Require that the policy plans anew when it gets the robot back; return how often it did."""
    count = 0
    for last, decision in zip(decisions, decisions[1:], strict=False):
        if last.commander is Commanding.PERSON and decision.commander is Commanding.POLICY:
            assert decision.inference is not None
            count += 1
    return count


def test_a_person_takes_over_and_gives_back(policies: list[Path], tmp_path: Path) -> None:
    """Without a jump, at any time; and the recording is replayed bit for bit."""
    text, robot = DESCRIPTION.read_text(), tmp_path / 'robot.yaml'
    assert (by_target := '- action: grip\n      meaning: target') in text
    robot.write_text(text.replace(by_target, '- action: grip\n      meaning: increment'))
    with TakenOverCell(policies[0], robot=robot) as cell, NodeProcess(
            'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args',
            '-p', f'robot:={robot}', '-p', f'out:={tmp_path / "bag"}') as recorder:
        cell.wait_for_policy(10)
        cell.peer.wait_for(lambda: 'recording' in recorder.output.lower())
        random = np.random.default_rng(3)
        for i in range(8):
            cell.is_held = True
            cell.axes[1] = float(random.uniform(-1, 1))
            cell.leader = random.uniform(-1, 1, 2).tolist()
            found = cell.wait_for_person(2 + i)
            cell.is_held = False
            # So that the next takeover is at another action of its chunk.
            cell.wait_for_policy(3 + i % 5)
        assert any(decision.action is not None for decision in found)
        cell.is_held, cell.axes[1], cell.leader = True, 1.0, [0.4, -0.4]
        found = cell.wait_for_person(40)
        last = found[-1]
        assert last.person is not None
        assert last.action is not None
        assert last.sent is not None
        assert last.person['base_speed'] == pytest.approx([0.9])
        assert last.sent['base_speed'] == pytest.approx([0.8])
        assert last.sent['joint_positions'][:2] == pytest.approx([0.4, -0.4])
        assert np.isnan(last.person['base_turn']).all()

        # A stop is above the person; the person above the policy.
        cell.peer.call(Trigger, 'dfp_policy/stop')
        stopped = cell.wait_for(lambda each: each.state is State.STOPPED, 20)
        assert stopped[-1].commander is Commanding.NOBODY
        assert stopped[-1].sent is not None
        assert stopped[-1].sent['base_speed'] == [0.0]
        cell.peer.call(Trigger, 'dfp_policy/resume')
        cell.wait_for_person(10)

        # A camera that fails stops the policy only.
        cell.silent = {'target_pose'}
        blind = cell.wait_for(
            lambda each: each.commander is Commanding.PERSON and Reason.STALE in each.reason, 5)
        assert blind[-1].commander is Commanding.PERSON
        cell.is_held = False
        cell.wait_for(lambda each: each.state is State.HOLD, 3)
        cell.silent = set()
        cell.wait_for_policy(5)

        # A person who falls silent while holding.
        cell.is_held = True
        cell.wait_for_person(10)
        cell.silent = {'joy'}
        silent = cell.wait_for_policy(5)
        [first] = [each for each in silent if Reason.PERSON_SILENT in each.reason]
        assert first.commander is Commanding.POLICY
        cell.is_held, cell.silent = False, set()
        cell.wait_for_policy(5)
        decisions = cell.decisions

        # After a reset nobody knows where the grip is, until the policy has commanded it.
        cell.is_held = True
        cell.wait_for_person(3)
        cell.peer.call(Trigger, 'dfp_policy/reset')
        unknown = cell.wait_for(lambda each: Reason.UNMEASURED in each.reason, 5)
        assert {each.state for each in unknown[-5:]} == {State.HOLD}
        assert {each.sent is None for each in unknown[-5:]} == {True}
        cell.is_held = False
        cell.wait_for_policy(3)
        cell.is_held = True
        cell.wait_for_person(3)
        assert recorder.stop() == 0, recorder.output
        assert 'a person commands' in cell.process.output
        assert 'command[7] has stop: keep, was never commanded' in cell.process.output
    require_limits(decisions)
    assert require_fresh_plans(decisions) >= 9
    assert replay([str(tmp_path / 'bag'), '--policy', str(policies[0]),
                   '--robot', str(robot)]) == 0


def test_an_episode_that_begins_in_the_hands_of_a_person(
        policies: list[Path], tmp_path: Path) -> None:
    """The policy gets no step of it, not even before the person's next message."""
    with TakenOverCell(policies[0]) as cell, NodeProcess(
            'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args',
            '-p', f'robot:={DESCRIPTION}', '-p', f'out:={tmp_path / "bag"}') as recorder:
        cell.wait_for_policy(3)
        cell.peer.wait_for(lambda: 'recording' in recorder.output.lower())
        cell.is_held = True
        cell.wait_for_person(5)
        for _ in range(5):
            before = len(cell.decisions)
            # A slow source: its next message comes after the first step.
            cell.silent = {'joy', 'leader/joint_states'}
            cell.peer.call(Trigger, 'dfp_policy/reset')
            cell.peer.wait_for(lambda before=before: any(
                first_step(each) for each in cell.decisions[before:]))
            cell.silent = set()
            cell.wait_for_person(5)
            episode = cell.decisions[before:]
            while not first_step(episode[0]):
                episode.pop(0)
            # On a busy machine the robot's own messages may come after the first step.
            first = next(each for each in episode if each.state is not State.WAITING)
            # On a machine so busy that the person's messages are too old by then, they say so.
            assert first.commander is Commanding.PERSON or Reason.PERSON_SILENT in first.reason
        assert recorder.stop() == 0, recorder.output
    assert replay([str(tmp_path / 'bag'), '--policy', str(policies[0]),
                   '--robot', str(DESCRIPTION)]) == 0


def test_a_swap_during_a_takeover(policies: list[Path]) -> None:
    """The person goes on, and gives the robot back to the new policy."""
    with TakenOverCell(policies[0]) as cell:
        cell.wait_for_policy(5)
        cell.is_held, cell.axes[1], cell.leader = True, -1.0, [0.3, 0.2]
        before = cell.wait_for_person(5)[-1]
        cell.peer.call(
            SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(parameters=[
                Parameter(name='policy', value=ParameterValue(
                    type=ParameterType.PARAMETER_STRING, string_value=str(policies[1])))]))
        assert before.entry is not None
        old = before.entry.policy
        during = cell.wait_for(
            lambda each: each.entry is not None and each.entry.policy != old, 10)
        # Only a message of the robot that is late, on a busy machine, holds it in between.
        others = [each for each in during if each.commander is not Commanding.PERSON]
        assert len(others) < len(during)
        assert all(
            each.commander is Commanding.NOBODY and each.reason & (Reason.STALE | Reason.OVERDUE)
            for each in others), others
        cell.is_held = False
        cell.wait_for_policy(10)
        decisions = cell.decisions
    require_limits(decisions)
    assert require_fresh_plans(decisions) == 1


def test_letting_go_when_the_person_is_to_be_waited_for(
        policies: list[Path], tmp_path: Path) -> None:
    """With when_stale: hold, a person's silence holds the robot until the pad is back."""
    robot = tmp_path / 'robot.yaml'
    robot.write_text(DESCRIPTION.read_text() + '  when_stale: hold\n')
    with TakenOverCell(policies[0], robot=robot) as cell:
        cell.wait_for_policy(5)
        cell.is_held, cell.axes[1] = True, 1.0
        cell.wait_for_person(5)
        cell.silent = {'joy'}
        held = cell.wait_for(lambda each: each.state is State.HOLD, 20)
        assert Commanding.POLICY not in {each.commander for each in held}
        assert Reason.PERSON_SILENT in held[-1].reason
        cell.is_held, cell.silent = False, set()
        cell.wait_for_policy(5)
        decisions = cell.decisions
    require_limits(decisions)


def test_a_robot_that_waits_for_each_command(policies: list[Path], tmp_path: Path) -> None:
    """In lockstep the robot's time is another one; a person's age is by arrival, and replayed."""
    with TakenOverCell(policies[0], lockstep=True) as cell, NodeProcess(
            'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args',
            '-p', f'robot:={DESCRIPTION}', '-p', f'out:={tmp_path / "bag"}') as recorder:
        cell.wait_for_policy(10)
        cell.peer.wait_for(lambda: 'recording' in recorder.output.lower())
        cell.is_held, cell.axes[1], cell.leader = True, 1.0, [0.4, -0.4]
        last = cell.wait_for_person(40)[-1]
        assert last.lockstep
        assert last.sent is not None
        assert last.sent['base_speed'] == pytest.approx([0.8])
        cell.silent = {'joy'}
        silent = cell.wait_for_policy(5)
        assert any(Reason.PERSON_SILENT in each.reason for each in silent)
        cell.silent, cell.is_held = set(), False
        cell.wait_for_policy(5)
        decisions = cell.decisions
        assert recorder.stop() == 0, recorder.output
    require_limits(decisions)
    assert require_fresh_plans(decisions) >= 1
    assert replay([str(tmp_path / 'bag'), '--policy', str(policies[0]),
                   '--robot', str(DESCRIPTION)]) == 0
