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
"""
Wake-up latency of a control loop: an executor's timer, a separate thread, or either with a lead.

    python -m bench.wakeup --json bench/results/wakeup.json
    python -m bench.wakeup --quick

Every way runs in a separate process, with a node that receives a JointState from another process
at the same rate, and publishes one at each tick. All have absolute deadlines:

* *timer*: a timer of rclpy on the events executor, as in the policy node;
* *timer, early*: the same, 50 us ahead of the deadline, followed by busy waiting;
* *spin*: the executor spins until each deadline, followed by a tick; while messages are waiting it
  does not return, so a node that did this would also need a timer;
* *thread*: a Python thread that sleeps until each deadline (``clock_nanosleep``) and publishes,
  beside the executor's thread;
* *thread, early*: the same, 50 us ahead.

*late* is the time from the deadline to the tick; a tick is missed if the next deadline came first.
*core* is the fraction of a core that the process uses. With Linux's default timer slack (50 us),
the first way is measured again, without SCHED_FIFO, which has no slack.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
import itertools
import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState

from bench.common.arguments import amount, output
from bench.common.distribution import distribution
from bench.common.machine import finish
from bench.common.sleep import sleep_until
from dfp_ros.node.realtime.timer_slack import set_timer_slack
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.node_main import keep_spinning, make_executor
from dfp_ros.node.ros.qos import COMMAND_QOS, SENSOR_QOS

_EARLY = 50_000  # ns
_WARM_UP = 0.3  # s
_PRIORITY = 50
_WAYS = ('timer', 'timer, early', 'spin', 'thread', 'thread, early')
_LOAD = [sys.executable, '-m', 'bench.loop.load', 'busy']


@dataclass(frozen=True)
class Condition:
    """
    Measured condition.

    :param way: Way of waking up.
    :param rate: Rate in Hz.
    :param busy: Number of cores that other processes use.
    :param fifo: Whether the loop's process has SCHED_FIFO.
    :param slack: Timer slack in us.
    """

    way: str
    rate: int
    busy: int
    fifo: bool
    slack: int = 1


class Loop:
    """
    Loop that ticks, publishes, and records the latency of each tick.

    :param condition: The condition.
    :param seconds: Duration in s.
    """

    def __init__(self, condition: Condition, seconds: float) -> None:
        """Create the node."""
        self.late: list[int] = []
        self.missed = 0
        self.ended = Future()
        self._early = _EARLY if condition.way.endswith('early') else 0
        self._period = round(1e9 / condition.rate)
        self.node = Node('wakeup')
        self._publisher = self.node.create_publisher(JointState, 'command', COMMAND_QOS)
        self._message = JointState(name=list('abcdef'), position=[0.0] * 6)
        self.node.create_subscription(JointState, 'observation', lambda _: None, SENSOR_QOS)
        self._begin = time.monotonic_ns() + round(_WARM_UP * 1e9)
        self._end = self._begin + round(seconds * 1e9)
        self._last = -1

    def tick(self) -> None:
        """Wait for the deadline if it is early, then publish."""
        now = time.monotonic_ns()
        slot = (now + self._early + self._period // 10 - self._begin) // self._period
        deadline = self._begin + slot * self._period
        while now < deadline:
            now = time.monotonic_ns()
        self._publisher.publish(self._message)
        if slot < 0 or self.ended.done():
            return
        if now >= self._end:
            self.ended.set_result(None)
            return
        self.late.append(now - deadline)
        if self._last >= 0:
            self.missed += slot - self._last - 1
        self._last = slot

    def start_timer(self) -> None:
        """Let the executor tick."""
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        sleep_until(self._begin - self._early - self._period)
        timer = self.node.create_timer(self._period * 1e-9, self.tick, clock=clock)
        # The timer chooses its first deadline itself.
        now = time.monotonic_ns()
        self._begin = now + timer.time_until_next_call() + self._early

    def run(self, wait: Callable[[int], None], wake: Callable[[], None]) -> None:
        """
        Tick in the calling thread.

        :param wait: Waits until a time of the monotonic clock, in ns.
        :param wake: Wakes the executor at the end.
        """
        deadline = self._begin
        while not self.ended.done():
            wait(deadline - self._early)
            self.tick()
            deadline += self._period
            behind = time.monotonic_ns() - deadline
            if behind > 0:
                deadline += behind // self._period * self._period
        wake()


def measure(condition: Condition, seconds: float, domain: int, queue: Any) -> None:
    """Measure one condition; run in a separate process."""
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    set_timer_slack(condition.slack)
    if condition.fifo:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    rclpy.init()
    loop = Loop(condition, seconds)
    executor = make_executor()
    executor.add_node(loop.node)
    thread = None
    started, cpu = time.monotonic(), time.process_time()
    if condition.way == 'spin':
        # A new future each time, because it keeps its callbacks.
        loop.run(lambda until: executor.spin_until_future_complete(
            Future(), timeout_sec=max(0, until - time.monotonic_ns()) * 1e-9), executor.wake)
    elif condition.way.startswith('thread'):
        thread = threading.Thread(target=loop.run, args=(sleep_until, executor.wake))
        thread.start()
    else:
        loop.start_timer()
    keep_spinning(executor, loop.node, loop.ended)
    if thread is not None:
        thread.join()
    share = (time.process_time() - cpu) / (time.monotonic() - started)
    queue.put({
        **asdict(condition), 'ticks': len(loop.late), 'missed': loop.missed, 'core': share,
        'late': distribution([max(0, late) * 1e-9 for late in loop.late])})
    executor.remove_node(loop.node)
    executor.shutdown()
    loop.node.destroy_node()
    rclpy.shutdown()


def publish(rate: int, domain: int) -> None:
    """Publish as the robot at a rate, until killed."""
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    rclpy.init()
    publisher = Node('robot').create_publisher(JointState, 'observation', SENSOR_QOS)
    message = JointState(name=list('abcdef'), position=[0.0] * 6)
    for tick in itertools.count():
        if not tick:
            begin = time.monotonic_ns()
        sleep_until(begin + round(tick * 1e9 / rate))
        publisher.publish(message)


def run(condition: Condition, seconds: float) -> dict[str, Any]:
    """Measure one condition, with robot and load."""
    context, domain = multiprocessing.get_context('spawn'), free_domain()
    queue = context.Queue()
    robot = context.Process(target=publish, args=(condition.rate, domain))
    loop = context.Process(target=measure, args=(condition, seconds, domain, queue))
    load = [subprocess.Popen(_LOAD) for _ in range(condition.busy)]
    try:
        robot.start()
        loop.start()
        found: dict[str, Any] = queue.get(timeout=60 + 4 * seconds)
        loop.join(10)
        return found
    finally:
        for process in (robot, loop):
            if process.is_alive():
                process.kill()
        for process in load:
            process.kill()
            process.wait()


def conditions(may_fifo: bool, is_quick: bool) -> list[Condition]:
    """List the conditions; quickly, an idle machine, and a busy one with real-time priority."""
    found = [
        Condition(way, rate, busy, fifo) for rate, busy, fifo, way in itertools.product(
            (200, 1000), (0, os.cpu_count() or 1), (False, True)[:1 + may_fifo], _WAYS)]
    found += [replace(each, slack=50) for each in found
              if each.way == 'timer' and not each.fifo]
    return [each for each in found if not is_quick or bool(each.busy) == each.fifo]


def may_fifo() -> bool:
    """Tell whether SCHED_FIFO is granted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def main() -> int:
    """Print a table, and write the results to JSON if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--seconds', type=amount, default=10.0, help='of each condition')
    made.add_argument('--quick', action='store_true', help='half a second each, and fewer')
    made.add_argument('--only', default='', help='only this way of waking up')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args()
    seconds = 0.5 if asked.quick else asked.seconds
    if not (math.isfinite(seconds) and 0.1 <= seconds <= 3600):
        made.error(f'--seconds: found {seconds}, expected 0.1 to 3600 s')
    if not may_fifo():
        print('SCHED_FIFO is not granted here, and skipped')
    rows = []
    print(f'{"way":15}{"Hz":>5}{"busy":>5}{"fifo":>5}{"slack":>6}{"ticks":>7}{"missed":>7}'
          f'{"late p50":>10}{"p99":>9}{"p99.9":>9}{"max us":>9}{"core":>7}')
    for condition in conditions(may_fifo(), asked.quick):
        if asked.only and condition.way != asked.only:
            continue
        row = run(condition, seconds)
        late = row['late']
        print(f'{row["way"]:15}{row["rate"]:5}{row["busy"]:5}{row["fifo"]:5}{row["slack"]:6}'
              f'{row["ticks"]:7}{row["missed"]:7}{late["p50_us"]:10.0f}{late["p99_us"]:9.0f}'
              f'{late["p99.9_us"]:9.0f}{late["max_us"]:9.0f}{row["core"]:7.1%}', flush=True)
        rows.append(row)
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
