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
"""Policy node with policies whose inference takes many ticks, and runs beside the loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import signal
from typing import Any

import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.planning.plan_trace import Answered
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.tools.replay.main import main
from testing.faults.cell import FaultCell, PATIENT
from testing.faults.robots import CUBE
from testing.policies.endless_policy import write_endless_policy
from testing.policies.slow_policy import LOOP, rounds_in, write_slow_policy
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import NodeProcess

# Fifty actions of 20 ms, as the large policies have.
SPEC = replace(CUBE.spec, horizon=50)
LATENCY = 0.06
# Seconds that threads of the node wait for a processor on a machine that stops the robot.
STARVED = 0.1
# Early enough for a machine on which much else runs.
BESIDE: dict[str, Any] = {'planning__asynchronous': 'true', 'planning__lead': 0.8, **LOOP}


@pytest.fixture(scope='module')
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a policy whose inference takes three ticks, or more."""
    folder = tmp_path_factory.mktemp('slow')
    trial = write_slow_policy(folder / 'trial.onnx', SPEC, CUBE.place)
    return write_slow_policy(
        folder / 'slow.onnx', SPEC, CUBE.place, rounds_in(trial, CUBE.place, LATENCY), gain=0.7)


def rows(cell: FaultCell, begin: int = 0) -> list[RecordedDecision]:
    """Return the decisions since one."""
    return [seen.row for seen in cell.decisions[begin:]]


def running(cell: FaultCell, ticks: int) -> list[RecordedDecision]:
    """
    Wait for so many more decisions, and require that each of them commands the robot.

    Beside much other work the node waits for a processor, and the robot is rightly stopped.
    """
    for _ in range(10):
        begin, starved = len(cell.decisions), cell.starved()
        cell.wait_for(lambda begin=begin: len(cell.decisions) >= begin + ticks, f'{ticks} ticks')
        found = rows(cell, begin)
        stopped = [(row.number, row.reason) for row in found if row.state is not State.RUNNING]
        if not stopped:
            return found
        assert cell.starved() - starved > STARVED, stopped
        cell.wait_for_motion()
    raise AssertionError(f'stopped each time, {stopped}')


def call(cell: FaultCell, name: str) -> None:
    """Call a service of the node."""
    answer = cell.answer(cell.ask(Trigger, name, Trigger.Request()))
    assert answer.success, answer.message


def test_a_slow_policy_runs_without_a_hold(
        slow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    No tick waits for it; stop, reset, swap, rollback and new parameters stay what they are.

    A recording, with the stop and the reset in it, is replayed with equal decisions.
    """
    bag = tmp_path / 'bag'
    other = write_slow_policy(
        tmp_path / 'other.onnx', SPEC, CUBE.place, 100, gain=0.6)
    with FaultCell(CUBE, slow, autostart='false', **BESIDE, **PATIENT) as cell, NodeProcess(
            'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args', '-p',
            f'robot:={CUBE.description}', '-p', f'out:={bag}') as recorder:
        cell.wait_for(lambda: 'recording' in recorder.output, 'a recorder')
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert cell.answer(cell.ask_to_change(transition)).success, cell.process.output
        cell.wait_for_motion()
        assert 'inference runs beside the loop' in cell.process.output
        before = rows(cell)
        held = [row for row in before if row.state is State.HOLD]
        assert held
        assert all(Reason.PLANNING in row.reason for row in held)
        found = running(cell, 100)
        inferences = [row for row in found if row.inference is not None]
        assert len(inferences) >= 3
        assert all(row.inference > SPEC.period for row in inferences if row.inference)
        steps = {row.entry.step: row.stamp for row in rows(cell) if row.entry is not None}
        for row in inferences:
            assert row.plan is not None
            assert row.plan.answered is Answered.CHUNK
            assert row.plan.origin is not None
            # The observation is older than the inference took, and the actions of that time are
            # skipped.
            assert steps[row.plan.origin.step] == row.plan.origin.stamp
            assert row.inference is not None
            assert row.stamp - row.plan.origin.stamp > row.inference * 1e9
        # A stop while inference goes on.
        cell.wait_for(lambda: _asked(rows(cell)[-1]), 'a request')
        call(cell, 'stop')
        begin = len(cell.decisions)
        cell.wait_for(lambda: len(cell.decisions) > begin + 20, 'ticks')
        assert {row.state for row in rows(cell, begin + 1)} == {State.STOPPED}
        resumed = cell.now()
        call(cell, 'resume')
        cell.wait_for_motion()
        origin = next(
            row.plan.origin for row in rows(cell, begin) if row.stamp > resumed
            and row.state is State.RUNNING and row.plan is not None)
        assert origin is not None
        assert origin.stamp > resumed - SPEC.period * 1e9
        # A reset.
        cell.wait_for(lambda: _asked(rows(cell)[-1]), 'a request')
        call(cell, 'reset')
        cell.wait_for_motion()
        running(cell, 30)
        assert recorder.stop() == 0, recorder.output
        # A swap, and back: the plan in hand is played on.
        assert cell.set(policy=str(other)).successful
        begin, starved = len(cell.decisions), cell.starved()
        cell.wait_for(lambda: cell.standing.get('name') and (
            str(other) in cell.standing.get('path', '')), 'a swap')
        running(cell, 30)
        call(cell, 'rollback')
        running(cell, 30)
        assert cell.starved() - starved > STARVED or all(
            row.state is State.RUNNING for row in rows(cell, begin))
        assert cell.set(planning__join_jump=0.2).successful
        running(cell, 30)
        assert cell.process.stop(signal.SIGINT) == 0
    assert main([str(bag), '--policy', str(slow), '--robot', str(CUBE.description)]) == 0
    assert 'all equal' in capsys.readouterr().out


def _asked(row: RecordedDecision) -> bool:
    return row.plan is not None and row.plan.asked is not None


def test_an_inference_that_never_ends(tmp_path: Path) -> None:
    """The plan in hand is played to its end, and the robot held; a signal ends the process."""
    policy = write_endless_policy(tmp_path / 'endless.onnx', SPEC, 0)
    with FaultCell(CUBE, policy, **{**BESIDE, 'planning__lead': 0.3}) as cell:
        cell.wait_for_motion()
        said = len(cell.process.output)

        def move(message: Any) -> Any:
            message.position = [0.9, *message.position[1:]]
            return message

        cell.disturb({'joint_states': move})
        cell.wait_for(
            lambda: cell.decisions[-1].row.state is State.HOLD, 'a hold')
        found = rows(cell)
        asked = max(i for i, row in enumerate(found) if _asked(row))
        held = next(i for i in range(asked, len(found)) if found[i].state is State.HOLD)
        # Asked with 15 actions left, the one of that tick included.
        assert 14 <= held - asked <= 15
        assert Reason.LATE_INFERENCE in found[held].reason
        begin = len(cell.decisions)
        cell.wait_for(lambda: len(cell.decisions) > begin + 50, 'ticks')
        assert {row.state for row in rows(cell, begin)} == {State.HOLD}
        # The thread that decides goes on; a stalling machine may delay it now and then.
        in_time = [row for row in rows(cell, begin) if Reason.OVERDUE not in row.reason]
        assert len(in_time) > 40
        cell.process.stop(signal.SIGTERM)
        assert cell.process.output[said:].count('which is overdue') <= 10


def test_a_policy_that_is_too_slow_even_so(slow: Path, tmp_path: Path) -> None:
    """A chunk that ends while the next is awaited is refused at a swap, and told at the start."""
    short = replace(SPEC, horizon=10)
    good = write_policy(tmp_path / 'good.onnx', short, gain=0.7)
    trial = write_slow_policy(tmp_path / 'trial.onnx', short, CUBE.place)
    bad = write_slow_policy(
        tmp_path / 'bad.onnx', short, CUBE.place, rounds_in(trial, CUBE.place, 0.2))
    with FaultCell(CUBE, good, **BESIDE) as cell:
        cell.wait_for_motion()
        assert cell.set(policy=str(bad)).successful
        refusal = cell.wait_for(lambda: cell.standing.get('last_refusal'), 'a refusal', 60.0)
        assert 'the time in which a chunk of 10 actions can wait for the next' in str(refusal)
        running(cell, 10)
