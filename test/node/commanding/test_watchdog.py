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
"""Watchdog: an overdue decision stops the robot, regardless of the cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
import os
from pathlib import Path
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.watchdog import overdue_limit, Watchdog
from testing.faults.cell import FaultCell
from testing.faults.robots import CUBE
from testing.policies.endless_policy import write_endless_policy
from testing.processes.moving_robot import ACCELERATION, Ears, moving

LIMIT = 20.0  # s


class Log:
    """Hears errors."""

    def __init__(self) -> None:
        self.said = threading.Event()

    def error(self, text: str) -> None:
        """Take an error."""
        assert 'which is overdue' in text
        self.said.set()


def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture(name='watched')
def watched_loop(tmp_path: Path) -> Iterator[tuple[Any, Ears, Watchdog, list[np.ndarray], Log]]:
    """Make a robot that moves, and a watchdog over it."""
    loop, sent = moving(tmp_path, 20)
    ears, log = Ears(), Log()
    watchdog = Watchdog(ears.commander, lambda: loop, log)
    yield loop, ears, watchdog, sent, log
    watchdog.stop()


def test_it_slows_down_within_the_limits_and_keeps_saying_so(watched: Any) -> None:
    """It stops like a hold, from the last command; later commands continue from there."""
    loop, ears, watchdog, sent, log = watched
    tick = loop.tick * 1e-9
    watchdog.start(True)
    begun = watchdog.beat
    until(lambda: len(ears.sent) > 3 and not np.diff(ears.sent[-3:], axis=0).any())
    assert ears.times[0] - begun >= overdue_limit(loop, True) - 0.001
    assert watchdog.has_fired
    # What the controller of the thread that hangs remembers is as it was.
    limiter, text = watchdog.hand_back()
    assert 'so the watchdog stopped the robot' in text
    decision = loop.controller.overdue(limiter, text)
    assert (decision.state, decision.reason) == (State.HOLD, Reason.OVERDUE)
    commands = np.array([*sent[-3:], *ears.sent, decision.sent])
    changes = np.abs(np.diff(commands, 2, axis=0)) / tick
    assert changes.max() <= ACCELERATION * tick + 1e-9
    assert log.said.wait(LIMIT)
    assert not watchdog.has_fired
    # It watches on.
    count = len(ears.sent)
    until(lambda: len(ears.sent) > count)


def test_signs_of_life(watched: Any) -> None:
    """With them nothing is sent, and after the end of the watch neither."""
    loop, ears, watchdog, _, _ = watched
    watchdog.start(True)
    end = time.monotonic() + 3 * overdue_limit(loop, True)
    while time.monotonic() < end:
        watchdog.beat = time.monotonic()
        time.sleep(0.01)
    if not ears.sent:  # else the machine stood still
        watchdog.stop()
        time.sleep(2 * overdue_limit(loop, True))
        assert not ears.sent
    watchdog.stop()


def test_it_sends_nothing_without_a_claim_and_renews_one(watched: Any) -> None:
    """It asks for it while nothing is due, too, and stops the robot once it has it again."""
    loop, ears, _, _, log = watched
    asked: list[float] = []
    refused: list[float] = []
    entitled = threading.Event()

    def may_command() -> bool:
        asked.append(time.monotonic())
        if not entitled.is_set():
            refused.append(asked[-1])
        return entitled.is_set()

    commander = ears.commander
    commander.may_command = may_command
    watchdog = Watchdog(commander, lambda: loop, log)
    watchdog.start(True)
    limit, begun = overdue_limit(loop, True), watchdog.beat
    until(lambda: asked[-1:] > [begun + 2 * limit])
    assert not ears.sent
    assert not watchdog.has_fired
    entitled.set()
    until(lambda: ears.sent)
    # Before that, the control thread has the time to begin anew, from where the robot is by then.
    assert ears.times[0] - refused[-1] >= limit - 0.001
    entitled.clear()
    until(lambda: watchdog._limiter is None)
    entitled.set()
    count = len(ears.sent)
    until(lambda: len(ears.sent) > count)
    assert ears.times[count] - refused[-1] >= limit - 0.001
    watchdog.hand_back()
    watchdog.wait(LIMIT)
    # No decision is due for long.
    count = len(asked)
    until(lambda: len(asked) > count + 3)
    watchdog.stop()


def test_nothing_is_sent_before_the_first_command(watched: Any) -> None:
    """If the node has not commanded yet, no stop is sent."""
    loop, ears, watchdog, _, _ = watched
    loop.controller.reset(0)
    watchdog.start(True)
    time.sleep(2 * overdue_limit(loop, True))
    assert not ears.sent
    assert not watchdog.has_fired


def test_a_defect_does_not_end_the_watch(
        watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure between two threads must not leave the robot without a watchdog."""
    loop, ears, watchdog, _, log = watched
    copy, failed = loop.controller.copy_limiter, []

    def fail_once() -> Any:
        if not failed:
            failed.append(True)
            raise RuntimeError('dictionary changed size during iteration')
        return copy()

    monkeypatch.setattr(loop.controller, 'copy_limiter', fail_once)
    monkeypatch.setattr(log, 'error', lambda text: None)
    watchdog.start(True)
    until(lambda: ears.sent)
    assert failed


def test_when_a_decision_is_overdue(tmp_path: Path) -> None:
    """After a few periods at any rate; at slow rates, as long as inference may take."""
    loop, _ = moving(tmp_path, 1)

    def limit(rate: float, overdue: float = 5.0, share: float = 0.8, is_timed: bool = True) -> Any:
        settings = replace(
            loop.settings, latency_share=share,
            safety=replace(loop.settings.safety, overdue=overdue))
        changed = replace(loop, tick=round(1e9 / rate), settings=settings)
        return pytest.approx(overdue_limit(changed, is_timed))

    assert limit(1000) == 0.1
    assert limit(1000, overdue=50) == 0.1
    assert limit(50) == 0.1
    assert limit(20) == 0.25
    assert limit(50, overdue=20.0) == 0.4
    assert limit(5) == 0.25
    assert limit(1) == 0.8
    assert limit(1, share=10.0) == 1.0
    assert limit(50, is_timed=False) == 0.5


def zeros(cell: FaultCell) -> bool:
    """Tell whether the last twist is zero."""
    twists = [each for each in cell.commands if each.topic == 'twist_command']
    return bool(twists) and not twists[-1].numbers.any()


@pytest.mark.parametrize('how', ['warn', 'hold'])
def test_an_inference_that_never_ends(how: str, tmp_path: Path) -> None:
    """The robot is stopped, with a deadline and without; and a signal ends the process."""
    place = 0
    policy = write_endless_policy(tmp_path / 'endless.onnx', CUBE.spec, place)
    with FaultCell(CUBE, policy, execution__unbounded_operators='Loop',
                   safety__late_inference=how, safety__inference_deadline=1.0) as cell:
        cell.wait_for_motion()
        assert not zeros(cell)

        def move(message: Any) -> Any:
            message.position = [0.9, *message.position[1:]]
            return message

        cell.disturb({'joint_states': move})
        cell.wait_for(lambda: zeros(cell), 'a stop')
        count = len(cell.commands)
        # It is told again and again.
        cell.wait_for(lambda: len(cell.commands) > count + 10, 'more stops')
        assert zeros(cell)
        if how == 'warn':
            cell.wait_for(lambda: 'which is overdue' in cell.process.output, 'a line')
        cell.process.stop(signal.SIGTERM)
        assert zeros(cell)


def test_a_process_that_stands_still(tmp_path: Path) -> None:
    """A suspended process has its robot stopped, and continues afterwards."""
    policy = write_policy(tmp_path / 'good.onnx', CUBE.spec, gain=0.7)
    with FaultCell(CUBE, policy) as cell:
        cell.wait_for_motion()
        count = len(cell.decisions)
        os.kill(cell.process.process.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(cell.process.process.pid, signal.SIGCONT)
        cell.wait_for(
            lambda: any(seen.row.state is not State.RUNNING for seen in cell.decisions[count:]),
            'a hold')
        cell.wait_for_motion()


def test_a_stop_is_sent_before_it_is_answered(tmp_path: Path) -> None:
    """At one tick a second, too; and a source that dies stops the robot between two ticks."""
    policy = write_policy(
        tmp_path / 'slow.onnx', replace(CUBE.spec, period=1.0, horizon=5), gain=0.7)
    with FaultCell(CUBE, policy) as cell:
        cell.wait_for_motion(ticks=3)
        stop = cell.ask(Trigger, 'stop', Trigger.Request())
        answer = cell.answer(stop)
        begun, starved = time.monotonic(), cell.starved()
        assert answer.success, answer.message
        assert 'a stop was sent to every command topic' in answer.message
        cell.wait_for(lambda: zeros(cell), 'a stop')
        # Half a tick, beside what the node waited for a processor.
        assert time.monotonic() - begun < 0.5 + cell.starved() - starved
        assert cell.answer(cell.ask(Trigger, 'resume', Trigger.Request())).success
        cell.wait_for_motion(ticks=3)
        ticks = len(cell.decisions)
        cell.wait_for(lambda: len(cell.decisions) > ticks, 'a tick')
        cell.disturb({'joint_states': lambda message: None})
        begun, starved = time.monotonic(), cell.starved()
        cell.wait_for(lambda: zeros(cell), 'a stop')
        took = time.monotonic() - begun
        assert took < CUBE.max_age + 0.5 + cell.starved() - starved, took
        # Where nothing is commanded, the answer does not say that a stop was sent.
        cell.disturb({})
        cell.wait_for_motion(ticks=2)
