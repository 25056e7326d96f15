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
"""Cache warm-up: between ticks, in time, and only if the tick asks the policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import time

import numpy as np
import pytest

from testing import ROOT
from testing.fixtures.robot_samples import rest_samples
from testing.policies.small_policy import write_policy

rclpy = pytest.importorskip('rclpy')

from rclpy.clock import Clock, ClockType  # noqa: E402
from rclpy.executors import Executor, SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.task import Future  # noqa: E402

from dfp_ros.core.arrays import FloatArray  # noqa: E402
from dfp_ros.core.policy.interface import Chunk  # noqa: E402
from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from dfp_ros.core.settings.node import describe, make_settings  # noqa: E402
from dfp_ros.node.loading.control_loop import ControlLoop, make_control_loop  # noqa: E402
from dfp_ros.node.loading.pending_policy import PendingPolicy  # noqa: E402
from dfp_ros.node.loop.cache_warmup import CacheWarmup  # noqa: E402
from dfp_ros.node.ros.node_main import keep_spinning  # noqa: E402
from dfp_ros.node.swap.change_plan import plan_change  # noqa: E402
from dfp_ros.resources import load_robot  # noqa: E402

ROBOT = ROOT / 'config' / 'ur5e_cube.yaml'
TICK, LEAD = 0.05, 0.02  # s, the first as the policy's period


class Recorded(OnnxPolicy):
    """Notes when it answers, and may take its time."""

    def __init__(self, path: Path, takes: float) -> None:
        """Load the policy."""
        super().__init__(path)
        self.answered: list[float] = []
        self._takes = takes

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer, and note when."""
        self.answered.append(time.monotonic())
        time.sleep(self._takes)
        return super().act(observation, noise)


def make_loop(
        path: Path, takes: float = 0.0, lead: float = LEAD) -> tuple[ControlLoop, Recorded]:
    """Make a control loop, which has no plan, so that its next tick asks the policy."""
    settings = make_settings({
        **{name: default for name, default, _ in describe()}, 'policy': str(path),
        'robot': 'ur5e_cube', 'realtime.rehearsal': round(lead * 1e6)})
    policy = Recorded(path, takes)
    return make_control_loop(settings, load_robot(str(ROBOT)), policy), policy


def run(node: Node, loop: ControlLoop, ticks: int, executor: Executor) -> list[float]:
    """Tick so often, and say when."""
    began: list[float] = []
    ended = Future()

    def tick() -> None:
        began.append(time.monotonic())
        if len(began) == ticks:
            ended.set_result(None)

    timer = node.create_timer(TICK, tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
    rehearsal = CacheWarmup(
        node, lambda: loop, lambda: rest_samples(node.get_clock().now().nanoseconds),
        lambda: timer.time_until_next_call() * 1e-9)
    rehearsal.start(loop.settings.realtime.rehearsal * 1e-6)
    executor.add_node(node)
    # Without this one, the events executor of rclpy 7.1.6 is not woken by the future.
    node.create_timer(TICK / 7, lambda: ended.done() and executor.wake())
    keep_spinning(executor, node, ended)
    rehearsal.stop()
    executor.shutdown()
    return began


def _events_executor(context: rclpy.Context) -> Executor:
    events = pytest.importorskip('rclpy.experimental.events_executor')
    return events.EventsExecutor(context=context)


def _single_threaded(context: rclpy.Context) -> Executor:
    return SingleThreadedExecutor(context=context)


@pytest.mark.parametrize('make', [_events_executor, _single_threaded])
def test_one_before_each_tick_that_asks(
        node: Node, tmp_path: Path, make: Callable[[rclpy.Context], Executor]) -> None:
    loop, policy = make_loop(write_policy(tmp_path / 'policy.onnx'))
    began = run(node, loop, 12, make(node.context))
    before = [sum(answer < tick for answer in policy.answered) for tick in began]
    # A machine that stalls costs some, and adds none.
    assert 6 <= before[-1] <= len(began) + 1
    # They come later than half a tick before the tick, on its own grid.
    leads = [min(tick - answer for tick in began if tick > answer)
             for answer in policy.answered if answer < began[-1]]
    assert sorted(leads)[len(leads) // 2] < 0.75 * TICK


def test_none_where_it_would_make_the_tick_late(node: Node, tmp_path: Path) -> None:
    loop, policy = make_loop(write_policy(tmp_path / 'policy.onnx'), takes=0.03)
    run(node, loop, 8, _single_threaded(node.context))
    # The first shows how long one takes; it is forgotten little by little.
    assert 1 <= len(policy.answered) <= 4


def test_none_by_default(node: Node, tmp_path: Path) -> None:
    assert {name: default for name, default, _ in describe()}['realtime.rehearsal'] == 0
    loop, policy = make_loop(write_policy(tmp_path / 'policy.onnx'), lead=0.0)
    run(node, loop, 4, _single_threaded(node.context))
    assert not policy.answered


def test_it_may_be_asked_for_while_the_node_runs(tmp_path: Path) -> None:
    path = write_policy(tmp_path / 'policy.onnx')
    loop = make_loop(path, lead=0.0)[0]
    for lead in (LEAD, 0.0):
        changes = {'realtime.rehearsal': round(lead * 1e6)}
        wanted = make_settings({
            **{name: default for name, default, _ in describe()}, 'policy': str(path),
            'robot': 'ur5e_cube', **changes})
        changed = plan_change(wanted, changes, loop, PendingPolicy(loop.settings), {}).loop
        assert changed is not None
        assert changed.controller is loop.controller
        assert (changed.warmup is not None) == (lead > 0)
        loop = changed


def test_decisions_are_the_same_with_it(tmp_path: Path) -> None:
    path = write_policy(tmp_path / 'policy.onnx')
    with_it, policy = make_loop(path)
    without = make_loop(path, lead=0.0)[0]
    assert with_it.warmup is not None
    assert without.warmup is None
    for now in range(1_000_000_000, 2_000_000_000, with_it.tick):
        asked = len(policy.answered)
        with_it.warmup.planner.drop()
        with_it.warmup.step(now - 1000, rest_samples(now - 1000))
        assert len(policy.answered) == asked + 1
        found, wanted = (
            each.controller.step(now, rest_samples(now)) for each in (with_it, without))
        assert found.sent is not None
        assert np.array_equal(found.sent, wanted.sent)
        assert (found.reason, found.chunk_index, found.draw) == (
            wanted.reason, wanted.chunk_index, wanted.draw)
