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
"""Ticker without a node; test_policy_node runs whole nodes."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any
import weakref

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.node.loop.tick import Tick
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.realtime.garbage_collector import GARBAGE


class Scene:
    """Ticker whose controller always decides the same, with a log of all calls."""

    def __init__(self, response: Response, failing: str = '') -> None:
        """Make a part fail on request."""
        self.done: list[str] = []
        self._failing = failing
        decision = Decision(State.HOLD, Reason.STALE, 'stale', response=response)
        controller = SimpleNamespace(
            operator=SimpleNamespace(is_stopped=False), step=lambda now, samples: decision,
            planner=SimpleNamespace(prepare=lambda: self._note('prepare')),
            limiter=SimpleNamespace(last=None))
        self.loop: Any = SimpleNamespace(
            robot=SimpleNamespace(sources={}, takeover=None), controller=controller,
            tick=10_000_000,
            policy=SimpleNamespace(sha256='0' * 64), is_lockstep=False)
        commands: Any = SimpleNamespace(send=lambda *_: self._note('send'))
        logger = SimpleNamespace(warning=lambda text: None, info=lambda text: None)
        self.node: Any = SimpleNamespace(get_logger=lambda: logger)
        self.ticker = Ticker(self.node, self.loop, commands, lambda: self._note('deactivate'))
        self.ticker.listeners.append(self)

    def on_tick(self, tick: Tick) -> None:
        """Note that it came."""
        assert tick.decision is self.loop.controller.step(tick.now, tick.samples)
        self._note('on_tick')

    def on_idle(self, tick: Tick) -> None:
        """Note that it came."""
        self._note('on_idle')

    def on_transfer(self, loop: Any) -> None:
        """Note that it came."""
        self._note('on_transfer')

    def _note(self, what: str) -> None:
        self.done.append(what)
        if what == self._failing:
            raise RuntimeError(what)


def test_the_command_comes_first() -> None:
    """Work that is not urgent follows the command, and nothing is deactivated unnecessarily."""
    scene = Scene(Response.HOLD)
    scene.ticker.tick(1, {})
    assert scene.done == ['send', 'on_tick', 'prepare', 'on_idle']


@pytest.mark.parametrize('failing', ['on_tick', 'prepare', 'on_idle'])
def test_failing_listeners_do_not_prevent_deactivation(failing: str) -> None:
    """The exception reaches the executor, and the robot is stopped."""
    scene = Scene(Response.DEACTIVATE, failing)
    with pytest.raises(RuntimeError, match=failing):
        scene.ticker.tick(1, {})
    assert scene.done[-1] == 'deactivate'


def test_the_same_controller_goes_on() -> None:
    """A change of metadata alone is no transfer, and a replay sees no change."""
    scene = Scene(Response.HOLD)
    number = scene.ticker.input_log.loop
    other: Any = SimpleNamespace(controller=scene.loop.controller, tick=scene.loop.tick)
    scene.ticker.transfer_to(other)
    assert scene.ticker.loop is other
    assert scene.ticker.input_log.loop == number


def test_a_loop_that_cannot_take_over_does_not() -> None:
    """The running loop continues."""
    scene = Scene(Response.HOLD)

    def refuse(other: object) -> None:
        raise ValueError('no')

    other: Any = SimpleNamespace(controller=SimpleNamespace(transfer_from=refuse))
    with pytest.raises(ValueError, match='no'):
        scene.ticker.transfer_to(other)
    assert scene.ticker.loop is scene.loop


def test_garbage_of_ticks_is_collected_between_them() -> None:
    """None is collected before the command of a tick is sent, and little is left of many."""
    scene = Scene(Response.HOLD)
    decide = scene.loop.controller.step
    alive: weakref.WeakSet[Knot] = weakref.WeakSet()
    is_urgent, collections = False, []

    def step(now: int, samples: object) -> Decision:
        nonlocal is_urgent
        is_urgent = True
        for _ in range(300):
            alive.add(Knot())
        return decide(now, samples)

    def send(*_: object) -> None:
        nonlocal is_urgent
        is_urgent = False

    def note(phase: str, info: object) -> None:
        collections.append(is_urgent)

    scene.loop.controller.step = step
    commands: Any = SimpleNamespace(send=send)
    scene.ticker = Ticker(scene.node, scene.loop, commands, lambda: None)
    GARBAGE.acquire()
    gc.callbacks.append(note)
    try:
        for now in range(100):
            scene.ticker.tick(now, {})
    finally:
        gc.callbacks.remove(note)
        GARBAGE.release()
    assert collections
    assert not any(collections)
    assert len(alive) < 100 * 300 / 10


class Knot:
    """Refers to itself, so that only a collector frees it."""

    def __init__(self) -> None:
        """Tie it."""
        self.itself = self


def test_a_stop_at_the_tick_that_deactivates_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says so; it was an error of the node."""
    scene = Scene(Response.DEACTIVATE)
    ticker = scene.ticker
    scene.loop.controller.operator.stop = lambda why: None
    scene.loop.controller.limiter.is_fast = True

    def deactivate() -> None:
        ticker.is_active = False
        ticker.log.restart()

    monkeypatch.setattr(ticker, '_deactivate', deactivate)
    monkeypatch.setattr(ticker, 'keep_up', lambda: ticker.tick(2, {}))
    ticker.is_active = True
    ticker.log.add(Decision(State.RUNNING, Reason.NONE, ''))
    assert ticker.hold().startswith('the node was deactivated by a fault')
