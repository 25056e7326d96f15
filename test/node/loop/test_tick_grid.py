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
"""Grid of tick deadlines under delays, with real timers and executors."""

from __future__ import annotations

from collections.abc import Callable
import copy
from dataclasses import replace
import math
import statistics
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from rclpy.time import Time

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.tick_timer import TickTimer
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.ros.node_main import keep_spinning

_PERIOD = 0.08  # s
_STALL = 3.2  # periods


class Stalled:
    """
    A control loop that once takes longer than three periods, and says when each tick began.

    :param stalls: The tick that does.
    :param ticks: The last one.
    :param early: How long before a deadline to wake up, in s.
    """

    def __init__(self, stalls: int, ticks: int, early: float) -> None:
        """Tick no time yet."""
        self.began: list[float] = []
        self.ended = Future()
        self._stalls, self._last = stalls, ticks
        robot: Any = SimpleNamespace(sources={}, takeover=None, commands=())
        policy: Any = SimpleNamespace(sha256='0' * 64, spec=None)
        settings: Any = SimpleNamespace(
            is_lockstep=False, noise_seed=0, latency_share=0.5,
            limits=SimpleNamespace(stop_within=0), safety=SimpleNamespace(overdue=5.0),
            realtime=SimpleNamespace(rehearsal=0, early=round(early * 1e6)))
        controller: Any = self
        self.planner = self
        self.operator = SimpleNamespace(is_stopped=False)
        self.limiter = SimpleNamespace(is_fast=False, last=None)
        self.loop = ControlLoop(settings, robot, policy, controller, (), round(_PERIOD * 1e9))

    def reset(self, seed: int) -> None:
        """Begin as new."""

    def copy_limiter(self) -> None:
        """Give the watchdog nothing to stop: nothing was commanded."""

    def halt(self) -> None:
        """Have no stop to send: nothing was commanded."""

    def go_on_from(self, limiter: object) -> None:
        """Drop the limiter of the watchdog, which sent no stop."""
        assert limiter is None

    def prepare(self) -> None:
        """End it after the last tick."""
        if len(self.began) == self._last:
            self.ended.set_result(None)

    def transfer_from(self, other: object) -> None:
        """Go on from another one, with the same notes."""

    def step(self, now: int, samples: object) -> Decision:
        """Take long, or not."""
        self.began.append(time.monotonic())
        if len(self.began) == self._stalls:
            time.sleep(_STALL * _PERIOD)
        return Decision(State.HOLD, Reason.STALE, 'stale', response=Response.HOLD)


def _make(node: Node, stalled: Stalled) -> Ticker:
    """Make its ticker, which sends nothing."""
    commands: Any = SimpleNamespace(
        send=lambda *_: None, try_to_send=lambda *_: False, unasked_stamp=lambda: 0,
        begin_episode=lambda: None)
    return Ticker(node, stalled.loop, commands, lambda: None)


def _spin(node: Node, stalled: Stalled, executor: Executor, keeps_up: bool) -> Ticker:
    """Run the ticks to their end; other work may keep them up, as parameters do."""
    ticker = _make(node, stalled)
    executor.add_node(node)
    # With the first message of a process, rclpy looks through all of its modules.
    node.get_logger().info('begins')
    ticker.start()

    # Without this one, the events executor of rclpy 7.1.6 is not woken by the future.
    def work() -> None:
        if stalled.ended.done():
            executor.wake()
        elif keeps_up:
            ticker.keep_up()

    stop = node.create_timer(_PERIOD / 7, work)
    keep_spinning(executor, node, stalled.ended)
    node.destroy_timer(stop)
    ticker.stop()
    executor.shutdown()
    return ticker


def _events_executor(context: rclpy.Context) -> Executor:
    events = pytest.importorskip('rclpy.experimental.events_executor')
    executor: Executor = events.EventsExecutor(context=context)
    return executor


def _single_threaded(context: rclpy.Context) -> Executor:
    return SingleThreadedExecutor(context=context)


@pytest.mark.parametrize('early', [0.0, _PERIOD / 10])
@pytest.mark.parametrize('make', [_events_executor, _single_threaded])
def test_a_deadline_is_served_once_and_not_before_it(
        node: Node, make: Callable[[rclpy.Context], Executor], early: float) -> None:
    """However long other work keeps the timer from being called after the tick was done."""
    served: list[float] = []
    late: list[float] = []
    ended = Future()

    def tick() -> None:
        assert timer.deadline is not None
        served.append(timer.deadline)
        late.append(time.monotonic() - timer.deadline)
        if len(served) == 4:
            ended.set_result(None)

    timer = TickTimer(node, tick, lambda text: None)
    timer.start(round(_PERIOD * 1e9), round(early * 1e9))
    # The executor has no turn until late in the second period.
    while timer.time_left() > -0.7 * _PERIOD:
        timer.keep_up()
    assert 1 <= len(served) <= 1 + int(-timer.time_left() / _PERIOD)
    executor = make(node.context)
    executor.add_node(node)
    stop = node.create_timer(_PERIOD / 7, lambda: ended.done() and executor.wake())
    keep_spinning(executor, node, ended)
    node.destroy_timer(stop)
    timer.stop()
    executor.shutdown()
    passed = np.diff(served) / _PERIOD
    np.testing.assert_allclose(passed, np.round(passed), atol=0.05)
    assert (passed > 0.9).all()
    # The clock is read twice for a deadline.
    assert min(late) > -0.01 * _PERIOD


def test_a_deadline_is_served_once_by_a_process_that_is_kept_from_running(node: Node) -> None:
    """Between its two clocks, for more than half a period, as on a busy machine."""
    class Kept(TickTimer):
        pause = 0.0

        def time_left(self) -> float:
            left, pause, self.pause = super().time_left(), self.pause, 0.0
            time.sleep(pause)
            return left

    served: list[float | None] = []
    timer = Kept(node, lambda: served.append(timer.deadline), lambda text: None)
    timer.start(round(_PERIOD * 1e9))
    while not served:
        timer.keep_up()
    timer.pause = 0.6 * _PERIOD
    timer.keep_up()
    assert len(served) == 1 or timer.time_left() < -_PERIOD
    assert len(served) == len({round((at - served[0]) / _PERIOD) for at in served})
    timer.stop()


def test_a_deadline_of_simulated_time_is_not_served_before_it(node: Node) -> None:
    """Time that is set twice before the executor has a turn has it call the timer twice."""
    node.set_parameters([Parameter('use_sim_time', value=True)])
    clock = node.get_clock()
    period = 50_000_000
    start = 1000 * 10**9
    clock.set_ros_time_override(Time(nanoseconds=start, clock_type=ClockType.ROS_TIME))
    ticks: list[int] = []
    ended = Future()
    timer = TickTimer(node, lambda: ticks.append(clock.now().nanoseconds), lambda text: None)
    timer.start(period)
    executor = _events_executor(node.context)
    executor.add_node(node)
    # Of a clock in steps of 10 ms, two steps at a time, of which one is beyond each deadline.
    times = [start + step * 10_000_000 for step in range(4, 40)]

    def pass_time() -> None:
        for _ in range(2):
            if times:
                clock.set_ros_time_override(
                    Time(nanoseconds=times.pop(0), clock_type=ClockType.ROS_TIME))
                # So that the timer's thread sees each.
                time.sleep(0.01)
        if not times:
            ended.set_result(None)
            executor.wake()

    wake = node.create_timer(
        0.03, pass_time, clock=Clock(clock_type=ClockType.STEADY_TIME))
    keep_spinning(executor, node, ended)
    node.destroy_timer(wake)
    timer.stop()
    executor.shutdown()
    assert len(ticks) >= 6
    deadlines = [(at - start) // period for at in ticks]
    assert deadlines == list(range(1, 1 + len(ticks))), ticks


@pytest.mark.parametrize(('keeps_up', 'early'), [
    (False, 0.0), (True, 0.0), (False, _PERIOD / 10), (True, _PERIOD / 10)])
@pytest.mark.parametrize('make', [_events_executor, _single_threaded])
def test_a_stall_moves_no_deadline(
        node: Node, make: Callable[[rclpy.Context], Executor], keeps_up: bool,
        early: float) -> None:
    """Missed ticks are counted and dropped, one tick is late, and the next are on the grid."""
    stalled = Stalled(stalls=4, ticks=14, early=early)
    ticker = _spin(node, stalled, make(node.context), keeps_up)
    # The first deadline is unknown, but most ticks are about on time.
    start = statistics.median(
        began - round((began - stalled.began[0]) / _PERIOD) * _PERIOD for began in stalled.began)
    slots = [math.floor((began - start) / _PERIOD + 0.3) for began in stalled.began]
    assert len(set(slots)) == len(slots), 'two ticks for one deadline'
    assert slots[-1] + 1 == len(slots) + ticker.statistics.missed_ticks
    assert ticker.statistics.missed_ticks >= math.floor(_STALL) - 1
    # Those before and those after it are on one grid.
    late = [began - start - slot * _PERIOD
            for began, slot in zip(stalled.began, slots, strict=True)]
    assert abs(statistics.median(late[:4]) - statistics.median(late[5:])) < _PERIOD / 5


def test_ticks_come_however_often_the_rate_changes(node: Node) -> None:
    """Each change had the next tick wait for a period, and the robot went on meanwhile."""
    stalled = Stalled(stalls=0, ticks=0, early=0.0)
    ticker = _make(node, stalled)
    ticker.start()
    begin, count = time.monotonic(), 0
    while time.monotonic() < begin + 4.5 * _PERIOD:
        time.sleep(_PERIOD / 20)
        ticker.keep_up()
        count += 1
        other: Any = copy.copy(stalled)
        ticker.transfer_to(replace(
            ticker.loop, controller=other, tick=round((1.0 + 0.2 * (count % 2)) * _PERIOD * 1e9)))
    periods = (time.monotonic() - begin) / _PERIOD
    ticker.stop()
    assert 2 <= len(stalled.began) <= periods + 1
