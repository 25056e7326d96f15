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
"""Stops of the thread that ticks, right after the watchdog had stopped the robot in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.input_log import Failed
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.loading.control_loop import ControlLoop, remake_control_loop
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker
from testing.processes.joint_arm import HERE
from testing.processes.moving_robot import Ears, moving

LIMIT = 20.0  # s


class Publishers(Ears):
    """Record the commands of both threads."""

    episodes = 0
    unreached = ''

    def begin_episode(self) -> None:
        """Count them."""
        self.episodes += 1

    def send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """Take the command of a decision."""
        self.try_to_send(loop, decision, stamp)


class Blocked(Listener):
    """A ticker that was blocked until its watchdog had stopped the robot."""

    def __init__(self, folder: Path, stops: int = 6) -> None:
        """Let it move, and then wait for some stops."""
        self.loop, self.before = moving(folder, 20)
        self.publishers = Publishers()
        self.ticks: list[Tick] = []
        silent: Any = SimpleNamespace(
            info=lambda text: None, warning=lambda text, **more: None, error=lambda text: None)
        timer = SimpleNamespace(time_until_next_call=lambda: 5e7, timer_period_ns=0)
        node: Any = SimpleNamespace(
            get_logger=lambda: silent, create_timer=lambda *given, **more: timer,
            destroy_timer=lambda timer: None,
            get_clock=lambda: SimpleNamespace(ros_time_is_active=False),
            get_parameter=lambda name: SimpleNamespace(value=False))
        commands: Any = self.publishers
        self.ticker = Ticker(node, self.loop, commands, lambda: None)
        self.ticker.listeners.append(self)
        self.ticker.is_active = True
        self.ticker.log.add(Decision(State.RUNNING, Reason.NONE, '', self.before[-1]))
        self.ticker._begin_ticks()
        self.wait_for(stops)

    def on_tick(self, tick: Tick) -> None:
        """Take a tick."""
        self.ticks.append(tick)

    def wait_for(self, commands: int) -> None:
        """Wait for so many more commands."""
        count, end = len(self.publishers.sent) + commands, time.monotonic() + LIMIT
        while len(self.publishers.sent) < count:
            assert time.monotonic() < end
            time.sleep(0.002)

    def tick(self) -> Tick:
        """Tick once."""
        now = 10**12 + 40 * self.loop.tick
        self.ticker.tick(now, {'arm': Sample(
            now, now, {'name': ['a', 'b'], 'position': HERE.tolist()})})
        return self.ticks[-1]


def _reset(blocked: Blocked) -> None:
    blocked.ticker.reset()


def _stand_still(blocked: Blocked) -> None:
    for _ in range(3):
        blocked.ticker._stand_still('time has stood still')
        blocked.wait_for(1)


def _lose_sources(blocked: Blocked) -> None:
    blocked.ticker._watch_sources()


def _stop(blocked: Blocked) -> None:
    # In simulated time, no tick is waited for.
    trigger: Any = blocked.ticker._trigger
    trigger._timer.is_simulated = True
    blocked.ticker.hold()


def _tick_slower(blocked: Blocked) -> None:
    blocked.ticker.transfer_to(remake_control_loop(
        blocked.loop, replace(blocked.loop.settings, rate=10.0)))
    blocked.wait_for(1)


@pytest.mark.parametrize('how', [_reset, _stand_still, _lose_sources, _stop, _tick_slower])
def test_it_goes_on_from_the_stops_of_the_watchdog(
        how: Callable[[Blocked], None], tmp_path: Path) -> None:
    """The robot, which has slowed down by then, is not sent back to its last command."""
    blocked = Blocked(tmp_path)
    try:
        how(blocked)
    finally:
        blocked.ticker._watchdog.stop()
    places = np.array([blocked.before[-1], *blocked.publishers.sent])
    assert len(places) > 6
    # It was on its way down, and has come to rest.
    assert (np.diff(places, axis=0) <= 0).all(), places
    assert places[-1, 0] < places[0, 0]
    np.testing.assert_array_equal(places[-1], places[-2])


@pytest.mark.parametrize('how', [_reset, lambda blocked: blocked.ticker.stop()])
def test_it_is_slowed_down_no_faster_than_before(
        how: Callable[[Blocked], None], tmp_path: Path) -> None:
    """It is still on its way: the next command comes a tick after the watchdog's."""
    blocked = Blocked(tmp_path, 1)
    try:
        count = len(blocked.publishers.sent)
        how(blocked)
    finally:
        blocked.ticker._watchdog.stop()
    times, sent = blocked.publishers.times, np.array(blocked.publishers.sent)
    assert sent[-1, 0] < sent[count, 0]
    assert np.diff(times).min() >= blocked.loop.tick * 1e-9 - 0.001, np.diff(times)


@pytest.mark.parametrize('how', [_stand_still, _lose_sources, _stop, _tick_slower])
def test_the_next_decision_is_overdue(how: Callable[[Blocked], None], tmp_path: Path) -> None:
    """Replays leave it out, as they do not know the stops of the watchdog."""
    blocked = Blocked(tmp_path)
    try:
        how(blocked)
        rest = blocked.publishers.sent[-1]
        tick = blocked.tick()
    finally:
        blocked.ticker._watchdog.stop()
    assert tick.entry.failed is Failed.OVERDUE
    assert Reason.OVERDUE in tick.decision.reason
    assert tick.decision.sent is not None
    np.testing.assert_array_equal(tick.decision.sent, rest)


def _fail_to_decide(blocked: Blocked, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: int, samples: object) -> Decision:
        raise RuntimeError('a defect')

    monkeypatch.setattr(blocked.loop.controller, 'step', fail)


def _fail_to_send(blocked: Blocked, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(loop: ControlLoop, decision: Decision, stamp: int) -> None:
        raise RuntimeError('a defect')

    monkeypatch.setattr(blocked.publishers, 'send', fail)


@pytest.mark.parametrize('fail', [_fail_to_decide, _fail_to_send])
def test_a_failed_tick_goes_on_from_the_stops_too(
        fail: Callable[[Blocked, pytest.MonkeyPatch], None], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The robot is not sent to and fro by two threads; replays leave the tick out."""
    blocked = Blocked(tmp_path)
    fail(blocked, monkeypatch)
    try:
        ticks = [blocked.tick() for _ in range(3)]
    finally:
        blocked.ticker._watchdog.stop()
    assert Reason.INTERNAL_ERROR in ticks[0].decision.reason
    assert ticks[0].entry.failed is Failed.OVERDUE
    places = np.array([blocked.before[-1], *blocked.publishers.sent])
    assert (np.diff(places, axis=0) <= 0).all(), places


def test_a_reset_begins_anew(tmp_path: Path) -> None:
    """Neither the limits nor the next decision know of the watchdog's stops."""
    blocked = Blocked(tmp_path)
    try:
        blocked.ticker.reset()
        assert blocked.ticker.loop.controller.limiter.last is None
        tick = blocked.tick()
    finally:
        blocked.ticker._watchdog.stop()
    assert blocked.publishers.episodes == 1
    assert tick.entry.failed is Failed.NOTHING
    assert tick.decision.state is State.RUNNING
