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
"""Lockstep: ticks triggered by the samples of a robot that waits for each command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.input_log import InputLog
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import Instant
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.commander import Commander
from dfp_ros.node.commanding.decision_log import DecisionLog
from dfp_ros.node.loop import lockstep_trigger
from dfp_ros.node.loop.lockstep_trigger import LockstepTrigger
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker
from testing.processes.joint_arm import HERE
from testing.processes.moving_robot import moving

STAMP = 1000


class Robot:
    """Robot that resends a set of samples, and records the commands."""

    def __init__(self) -> None:
        """Begin an episode."""
        self.decided: list[Decision] = []
        self.told: list[Decision] = []
        self.is_overdue = False
        self.controller = SimpleNamespace(
            operator=SimpleNamespace(is_stopped=False), halt=lambda: np.zeros(1))
        self.loop: Any = SimpleNamespace(controller=self.controller)
        publishers: Any = SimpleNamespace(
            try_to_send=lambda loop, decision, stamp: self.told.append(decision),
            unasked_stamp=lambda: STAMP - 1)
        logger: Any = SimpleNamespace(warning=lambda text: None, info=lambda text: None)
        self._log = DecisionLog(logger, lambda: 0.0)
        commander = Commander(publishers, self._log, InputLog())
        node: Any = None
        self.lockstep = LockstepTrigger(
            node, commander, self._tick,
            lambda text: commander.hold_at_standstill(self.loop, text), lambda: None, list,
            lambda: self.is_overdue)
        self.lockstep.reset()

    def _tick(self, now: int, samples: object) -> None:
        self.is_overdue = False
        state = State.STOPPED if self.controller.operator.is_stopped else State.RUNNING
        self.decided.append(Decision(state, Reason.NONE, '', np.array([1.0 + len(self.decided)])))
        self.told.append(self.decided[-1])
        self.lockstep.keep(self.loop, self.decided[-1])

    def send(self, instant: Instant) -> None:
        """Send an instant."""
        samples = {'arm': Sample(STAMP, STAMP, {})}
        store: Any = SimpleNamespace(instant=STAMP, samples=samples)
        self.lockstep.receive(self.loop, instant, store)

    def fall_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Say nothing for longer than is allowed."""
        self._log.add(self.decided[-1])
        monkeypatch.setattr(lockstep_trigger, 'TIMEOUT', 0.0)
        self.lockstep._watch()


def test_an_answer_that_got_lost_is_sent_again() -> None:
    """Nothing is decided for it, however often it is asked for."""
    robot = Robot()
    robot.send(Instant.NEW)
    robot.send(Instant.INCOMPLETE)
    for _ in range(3):
        robot.send(Instant.REPEATED)
    assert len(robot.decided) == 1
    assert robot.told == [robot.decided[0]] * 4


def _reset(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.lockstep.reset()


def _stop(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.controller.operator.is_stopped = True


def _fall_silent(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.fall_silent(monkeypatch)


def _be_late(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    # The watchdog has stopped the robot.
    robot.is_overdue = True


@pytest.mark.parametrize('change', [_reset, _stop, _fall_silent, _be_late])
def test_earlier_decisions_are_not_sent_after_a_stop(
        change: Callable[[Robot, pytest.MonkeyPatch], None],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stop, resent samples get a new decision, which is then repeated."""
    robot = Robot()
    robot.send(Instant.NEW)
    change(robot, monkeypatch)
    robot.send(Instant.REPEATED)
    robot.send(Instant.REPEATED)
    assert len(robot.decided) == 2
    assert robot.told[-2:] == [robot.decided[1]] * 2


def test_an_answer_is_for_its_own_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is none to the next one, that is decided again when it is resent."""
    robot = Robot()
    robot.send(Instant.NEW)
    decide = robot.lockstep._tick

    def fail(now: int, samples: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(robot.lockstep, '_tick', fail)
    with pytest.raises(RuntimeError):
        robot.send(Instant.NEW)
    monkeypatch.setattr(robot.lockstep, '_tick', decide)
    robot.send(Instant.REPEATED)
    assert robot.told == robot.decided
    assert len(robot.decided) == 2


def test_earlier_decisions_do_not_stop_a_resumed_robot() -> None:
    """An old stop is not sent once the robot was resumed."""
    robot = Robot()
    robot.controller.operator.is_stopped = True
    robot.send(Instant.NEW)
    robot.send(Instant.REPEATED)
    robot.controller.operator.is_stopped = False
    robot.send(Instant.REPEATED)
    assert [decision.state for decision in robot.told] == [
        State.STOPPED, State.STOPPED, State.RUNNING]


def test_a_decision_before_a_stop_is_not_sent_once_the_robot_is_resumed(tmp_path: Path) -> None:
    """It would move on at the speed that it had before, though it stands still since the stop."""
    loop, _ = moving(tmp_path, 0, trigger='samples')
    silent: Any = SimpleNamespace(
        info=lambda text: None, warning=lambda text, **more: None, error=lambda text: None)
    commands: Any = SimpleNamespace(
        send=lambda *_: None, try_to_send=lambda *_: True, unasked_stamp=lambda: 0, unreached='')
    node: Any = SimpleNamespace(get_logger=lambda: silent)
    ticker = Ticker(node, loop, commands, lambda: None)
    ticks: list[Tick] = []
    ticker.listeners.append(listener := Listener())
    listener.on_tick = ticks.append  # type: ignore[method-assign]
    ticker.is_active = True

    def send(count: int) -> None:
        now = 10**12 + count * loop.tick
        ticker.receive('arm', Sample(
            now, now, {'name': ['a', 'b'], 'position': HERE.tolist()}))

    for count in (*range(6), 5):
        send(count)
    assert len(ticks) == 6
    assert ticks[-1].decision.state is State.RUNNING
    ticker.hold()
    ticker.resume()
    send(5)
    send(5)
    assert len(ticks) == 7
