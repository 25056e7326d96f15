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
"""Commander, the one sender of commands: command, log line and replay entry of each request."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from std_msgs.msg import Float64

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.input_log import Failed, InputLog
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.commanding.commander import Commander, NotEntitledError
from dfp_ros.node.commanding.decision_log import DecisionLog

SLOWER, LAST = np.ones(1), np.zeros(1)
RUNNING = Decision(State.RUNNING, Reason.NONE, '', np.full(1, 2.0))


class Scene:
    """A running robot, and the commands that it receives."""

    def __init__(self, *before: Decision) -> None:
        """Begin with some decisions in the log."""
        self.told: list[tuple[Decision, int]] = []
        self.error: Exception | None = None
        self.limiter: Any = SimpleNamespace(
            is_fast=True, stop=lambda: SLOWER, halt=lambda: LAST)
        self.loop: Any = SimpleNamespace(
            controller=SimpleNamespace(
                halt=lambda: LAST, limiter=self.limiter,
                operator=SimpleNamespace(is_stopped=False)))
        logger: Any = SimpleNamespace(warning=lambda text: None, info=lambda text: None)
        self.log, self._input_log = DecisionLog(logger, lambda: 0.0), InputLog()
        for decision in before:
            self.log.add(decision)
        publishers: Any = SimpleNamespace(
            send=self._send, try_to_send=self._try_to_send, unasked_stamp=lambda: 7,
            wait_until_arrived=self._let_others_run)
        self.commander = Commander(publishers, self.log, self._input_log)

    def _let_others_run(self) -> None:
        with contextlib.suppress(NotEntitledError):
            self.commander.send(self.loop, RUNNING, 8)
        self.commander.try_to_send(self.loop, RUNNING, 8)
        self.commander.stop_overdue(self.loop, self.limiter, True)

    def _send(self, loop: Any, decision: Decision, stamp: int) -> None:
        if self.error is not None:
            raise self.error
        self.told.append((decision, stamp))

    def _try_to_send(self, loop: Any, decision: Decision, stamp: int) -> bool:
        self.told.append((decision, stamp))
        return decision.sent is not None

    @property
    def stop_commands(self) -> int:
        """How often the controller was asked for its stop command, as a replay is told."""
        return self._input_log.step('0' * 64, False, Failed.NOTHING).stop_commands


def test_without_the_right_to_command_nothing_is_sent() -> None:
    """Whoever asks; an operator's stop is refused with the reason, and not logged."""
    scene = Scene(RUNNING)
    scene.commander.may_command = lambda: False
    scene.commander.hold(scene.loop, Reason.STALE, 'old')
    scene.commander.slow_down(scene.loop)
    scene.commander.stop(scene.loop)
    scene.commander.stop_overdue(scene.loop, scene.limiter, True)
    assert not scene.commander.has_stopped
    assert not scene.commander.try_to_send(scene.loop, RUNNING, 1)
    with pytest.raises(NotEntitledError, match='another may command the robot'):
        scene.commander.send(scene.loop, RUNNING, 1)
    with pytest.raises(NotEntitledError):
        scene.commander.stop_for_operator(scene.loop, 'by hand')
    assert scene.log.last is not None
    assert scene.log.last.text == 'old'
    assert not scene.told


def test_nothing_moves_the_robot_after_the_last_stop() -> None:
    """The process ends by force while its other threads still run."""
    scene = Scene(RUNNING)
    scene.commander.stop_for_good(scene.loop)
    assert {id(decision.sent) for decision, _ in scene.told} == {id(LAST)}
    scene.told.clear()
    scene.commander.stop_for_good(scene.loop)
    assert not scene.told
    with pytest.raises(NotEntitledError, match='process is being ended'):
        scene.commander.send(scene.loop, RUNNING, 1)


@pytest.mark.parametrize(('ask', 'state', 'reason', 'text'), [
    (lambda scene: scene.commander.hold(scene.loop, Reason.UNREADABLE, 'broken'),
     State.HOLD, Reason.UNREADABLE, 'broken'),
    (lambda scene: scene.commander.hold_at_standstill(scene.loop, 'no time'),
     State.HOLD, Reason.STALE, 'no time'),
    (lambda scene: scene.commander.stop_for_operator(scene.loop, 'by hand'),
     State.STOPPED, Reason.OPERATOR_STOP, 'by hand')])
def test_a_stop_that_begins_a_hold(
        ask: Callable[[Scene], None], state: State, reason: Reason, text: str) -> None:
    """It is sent, logged, and noted for replays, as the controller was asked for it."""
    scene = Scene(RUNNING)
    ask(scene)
    (decision, stamp), = scene.told
    assert (decision.state, decision.reason, decision.text) == (state, reason, text)
    assert decision.sent is LAST
    assert stamp == 7
    assert scene.log.last is decision
    assert scene.stop_commands == 1


@pytest.mark.parametrize('ask', [
    lambda scene: scene.commander.hold_at_standstill(scene.loop, 'no time'),
    lambda scene: scene.commander.stop_overdue(scene.loop, scene.limiter, True)])
def test_an_operators_stop_stays_in_force(ask: Callable[[Scene], None]) -> None:
    """A gripper that somebody has opened by hand meanwhile gets no goal."""
    scene = Scene(RUNNING)
    scene.loop.controller.operator.is_stopped = True
    ask(scene)
    (decision, _), = scene.told
    assert decision.state is State.STOPPED


@pytest.mark.parametrize('before', [(), (Decision(State.WAITING, Reason.WAITING, ''),)])
def test_a_robot_that_never_moved_is_not_held(before: tuple[Decision, ...]) -> None:
    """The cause of the wait is logged; nothing is sent."""
    scene = Scene(*before)
    scene.commander.hold_at_standstill(scene.loop, 'no time')
    assert not scene.told
    assert scene.log.last is not None
    assert (scene.log.last.state, scene.log.last.text) == (State.WAITING, 'no time')
    assert scene.stop_commands == 0


def test_an_operator_is_told_if_the_stop_could_not_be_sent() -> None:
    """The log does not say then that it was."""
    scene = Scene(RUNNING)
    scene.error = RuntimeError('no network')
    with pytest.raises(RuntimeError, match='no network'):
        scene.commander.stop_for_operator(scene.loop, 'by hand')
    assert scene.log.last is RUNNING
    assert scene.stop_commands == 1


@pytest.mark.parametrize(('ask', 'reason', 'sent'), [
    (lambda scene: scene.commander.slow_down(scene.loop), Reason.NONE, SLOWER),
    (lambda scene: scene.commander.stop(scene.loop), Reason.NONE, LAST),
    (lambda scene: scene.commander.stop_overdue(scene.loop, scene.limiter, True),
     Reason.OVERDUE, SLOWER),
    (lambda scene: scene.commander.stop_overdue(scene.loop, scene.limiter, False),
     Reason.OVERDUE, LAST)])
def test_a_stop_that_a_reset_or_a_decision_follows(
        ask: Callable[[Scene], None], reason: Reason, sent: np.ndarray) -> None:
    """It is sent, and neither logged nor noted."""
    scene = Scene(RUNNING)
    ask(scene)
    (decision, stamp), = scene.told
    assert (decision.state, decision.reason) == (State.HOLD, reason)
    assert decision.sent is sent
    assert stamp == 7
    assert scene.log.last is RUNNING
    assert scene.stop_commands == 0


@pytest.mark.parametrize(('command', 'fails', 'sent'), [
    (np.zeros(1), False, True), (None, False, False), (np.zeros(1), True, False)])
def test_whether_a_stop_was_sent(command: Any, fails: bool, sent: bool) -> None:
    """Not if nothing was commanded before, and not if it could not be."""
    published: list[Any] = []

    def publish(message: Any) -> None:
        if fails:
            raise RuntimeError('no network')
        published.append(message)

    node: Any = SimpleNamespace(
        resolve_topic_name=lambda name: f'/{name}',
        create_publisher=lambda *given, **more: SimpleNamespace(publish=publish),
        get_logger=lambda: SimpleNamespace(error=lambda *given, **more: None),
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=5)))
    writer = SimpleNamespace(message_type=Float64, serialize=lambda *given: b'stop')
    loop: Any = SimpleNamespace(
        robot=SimpleNamespace(commands=[SimpleNamespace(
            topic='it', type='x', action='', entries=[SimpleNamespace(action='speed')])]),
        policy=SimpleNamespace(spec=SimpleNamespace(action_slices={'speed': slice(0, 1)})),
        writers=[writer], controller=SimpleNamespace(halt=lambda: command))
    watch: Any = SimpleNamespace(watch_command=lambda topic, kind: None)
    log = DecisionLog(node.get_logger(), lambda: 0.0)
    commander = Commander(CommandPublishers(node, loop, watch), log, InputLog())
    commander.stop(loop)
    assert commander.has_stopped is sent
    assert published == ([b'stop'] if sent else [])
