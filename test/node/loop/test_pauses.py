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
"""Pauses of the node and of the clock: the robot stops, and no tick is made up for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal
import time

import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition

from dfp_ros.node.monitors.claim import TIMEOUT
from testing.fixtures.robot_samples import rest_messages
from testing.policies.small_policy import write_policy
from testing.processes.policy_cell import Cell, CommonNode, speed

_TICK = 0.05  # s
# Shorter than the claim to the robot lasts, after which it would begin again.
_PAUSE = 0.5  # s


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')


@pytest.fixture(name='running', scope='module')
def running_node(policy: Path) -> Iterator[CommonNode]:
    """Have a node in real time."""
    with CommonNode(policy) as node:
        yield node


@pytest.fixture(name='simulated', scope='module')
def simulated_node(policy: Path) -> Iterator[CommonNode]:
    """Have a node in simulated time."""
    with CommonNode(policy, use_sim_time='true') as node:
        yield node


@pytest.mark.parametrize('is_robot_silent', [True, False])
def test_a_paused_process_does_not_act_on_old_samples(
        running: CommonNode, is_robot_silent: bool) -> None:
    """Without new samples its first command is a stop, and missed ticks are not made up for."""
    with Cell(running) as cell:
        cell.wait_for_motion()
        before = cell.counts()
        cell.process.process.send_signal(signal.SIGSTOP)
        if is_robot_silent:
            cell.silent |= set(rest_messages(cell.now()))
        paused = time.monotonic()
        cell.peer.wait_for(lambda: time.monotonic() > paused + _PAUSE)
        cell.twists.clear()
        pause = time.monotonic() - paused
        cell.process.process.send_signal(signal.SIGCONT)
        cell.peer.wait_for(lambda: cell.twists)
        if is_robot_silent:
            assert speed(cell.twists[0]) == 0
            cell.silent.clear()
        cell.wait_for_motion()
        after = cell.counts()
        ticks, missed = after.ticks - before.ticks, after.missed - before.missed
        assert missed >= pause / _TICK - 2
        # As many deadlines as there were, so nothing was made up for.
        assert abs(ticks + missed - (after.time - before.time) / _TICK) <= 2


def test_a_process_that_was_paused_for_long_ends_the_motion_first(running: CommonNode) -> None:
    """The robot goes on at its last velocity, and there may be no sample to decide on."""
    with Cell(running) as cell:
        cell.wait_for_motion()
        cell.process.process.send_signal(signal.SIGSTOP)
        cell.silent |= set(rest_messages(cell.now()))
        paused = time.monotonic()
        cell.peer.wait_for(lambda: time.monotonic() > paused + TIMEOUT + _PAUSE)
        cell.twists.clear()
        cell.process.process.send_signal(signal.SIGCONT)
        cell.peer.wait_for(lambda: cell.twists)
        assert speed(cell.twists[0]) == 0
        cell.silent.clear()
        cell.wait_for_motion()


def test_a_simulation_that_is_paused(simulated: CommonNode) -> None:
    """The robot is held while time stands still, then continues; slow time is no pause."""
    with Cell(simulated, pace=0.2) as cell:
        cell.wait_for_motion()
        cell.pace = 1e-12
        cell.wait_for_stop()
        cell.report(state='hold')
        assert 'holding: simulated time has stood still for' in cell.process.output
        # No tick came meanwhile that could have moved it.
        assert all(speed(twist) == 0 for twist in cell.twists)
        for pace in (1.0, 0.02):
            cell.pace = pace
            cell.wait_for_motion()
        # A tick takes 2.5 s on the wall now.
        cell.twists.clear()
        begin = cell.time
        cell.peer.wait_for(lambda: cell.time > begin + 1.2 * _TICK)
        assert cell.twists
        assert all(speed(twist) > 0 for twist in cell.twists)


@pytest.mark.parametrize('is_ticking', [False, True])
def test_a_policy_that_is_set_while_the_simulation_is_paused(
        simulated: CommonNode, policy: Path, tmp_path: Path, is_ticking: bool) -> None:
    """The answer waits for no tick, and the policy is there once time continues."""
    other = write_policy(tmp_path / 'other.onnx', seed=5)
    with Cell(simulated, pace=1.0) as cell:
        cell.wait_for_motion()
        # A tick takes 50 s on the wall, or comes never.
        cell.pace = 1e-3 if is_ticking else 1e-12
        if not is_ticking:
            cell.wait_for_stop()
        answers = [
            cell.ask_to_set('policy', str(tmp_path / 'none.onnx')),
            cell.ask_to_set('policy', str(other))]
        cell.peer.wait_for(lambda: all(answer.done() for answer in answers), 30.0)
        refused, accepted = (answer.result().results[0] for answer in answers)
        assert 'there is no such file' in refused.reason
        assert accepted.successful, accepted.reason
        cell.peer.wait_for(lambda: f'({other}, sha256 ' in cell.process.output, 30.0)
        assert is_ticking or speed(cell.twists[-1]) == 0
        cell.pace = 1.0
        cell.wait_for_motion()
        assert cell.set('policy', str(policy)) == (True, '')
        cell.peer.wait_for(lambda: f'({policy}, sha256 ' in cell.process.output, 30.0)


def test_two_simulations_that_are_paused(simulated: CommonNode) -> None:
    """Time that goes back and forth by less than a tick makes no tick due: the robot is held."""
    with Cell(simulated, pace=1.0) as cell:
        cell.wait_for_motion()
        cell.pace = 1e-12
        begin = cell.time

        def stops() -> bool:
            cell.time = begin + (0.1 * _TICK if cell.time < begin + 0.05 * _TICK else 0)
            return bool(cell.twists) and speed(cell.twists[-1]) == 0

        cell.peer.wait_for(stops)
        # The log comes after the command.
        cell.peer.wait_for(
            lambda: 'holding: simulated time has stood still for' in cell.process.output)
        cell.pace = 1.0
        cell.wait_for_motion()


@pytest.mark.parametrize('is_simulated', [True, False])
def test_the_clock_is_not_exchanged_under_way(
        running: CommonNode, simulated: CommonNode, is_simulated: bool) -> None:
    """Ticks by one clock and samples by another: a silent source would never be too old."""
    with Cell(simulated if is_simulated else running, pace=float(is_simulated)) as cell:
        cell.wait_for_motion()
        is_taken, reason = cell.set('use_sim_time', not is_simulated)
        assert not is_taken
        assert 'deactivate' in reason, reason
        # The value that it has anyway is no change.
        assert cell.set('use_sim_time', is_simulated) == (True, '')
        assert cell.change(Transition.TRANSITION_DEACTIVATE)
        assert cell.set('use_sim_time', not is_simulated) == (True, '')
        assert cell.set('use_sim_time', is_simulated) == (True, '')
        assert cell.change(Transition.TRANSITION_ACTIVATE)
        cell.wait_for_motion()


def test_a_simulation_that_never_starts(policy: Path) -> None:
    """No command is sent, and the log names the cause of the wait."""
    with Cell(policy, use_sim_time='true') as cell:
        said = 'waiting, nothing is commanded: simulated time has stood still'
        cell.peer.wait_for(lambda: said in cell.process.output)
        assert 'nothing came on /clock; start what publishes it' in cell.process.output
        assert not cell.twists
        cell.end()


def test_a_simulation_that_leaps(simulated: CommonNode) -> None:
    """Deadlines that time leaps over are missed, and not made up for."""
    with Cell(simulated, pace=1.0) as cell:
        cell.wait_for_motion()
        before = cell.counts()
        cell.time += _PAUSE
        after = cell.counts()
        ticks, missed = after.ticks - before.ticks, after.missed - before.missed
        assert missed >= _PAUSE / _TICK - 2
        assert abs(ticks + missed - (after.time - before.time) / _TICK) <= 2
        cell.wait_for_motion()
