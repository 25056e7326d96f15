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
What a tick of the control loop takes, part by part, on the robots and policies that are shipped.

    python -m bench.tick

The policy node's own ticker, on messages that were received before, so without an executor: what
the middleware adds, bench/loop measures. Two rhythms: ``tight`` ticks as fast as it
can, with caches and clocks warm; ``paced`` waits for the next tick of the control rate in
between, as the node does, and is what counts. *all* is a tick with nothing timed within it, and
*bare* what a timer that only publishes would do in its place: fill in and send a message of as
many numbers to each command topic. In a run of its own the parts are timed one by one, each
without those within it; a part's figure holds about half a microsecond of the stopwatch for each
call. *statistics* and *diagnostics* are reports between ticks, ten and one a second, the latter in
two steps. Somebody listens to all topics.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
import contextlib
import gc
import multiprocessing
from pathlib import Path
import sys
import time
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from bench.common.distribution import distribution
from bench.common.machine import finish
from bench.tick.cell import Cell, SHIPPED
from bench.tick.stopwatch import Stopwatch
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import SENSOR_QOS


def listen(domain: int, topics: list[tuple[type, str]], ready: Any) -> None:
    """Subscribe to topics as a robot does, in a process of its own, until it is ended."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node('listener', context=context)
    for kind, topic in topics:
        node.create_subscription(kind, topic, lambda message: None, SENSOR_QOS)
    ready.set()
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.spin()


def paced(calls: int, rate: float | None) -> Iterator[int]:
    """
    Count calls.

    :param calls: How many.
    :param rate: Calls a second, None for as many as there can be.
    """
    due = time.perf_counter()
    for i in range(calls):
        if rate is not None:
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
        yield i


def time_calls(
        function: Callable[[], None], calls: int, rate: float | None,
        between: Callable[[], object] = tuple) -> list[float]:
    """Time calls of a function, in s, without what happens between them."""
    taken = []
    for _ in paced(calls, rate):
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
        between()
    return taken


def time_ticks(cell: Cell, calls: int, rate: float | None) -> dict[str, list[float]]:
    """
    Time whole ticks, what comes between them, and the bare timer.

    :param cell: The cell.
    :param calls: How many of each.
    :param rate: Ticks a second, None for as many as there can be.
    :returns: Seconds by the name of what took them.
    """
    found = {
        'all': time_calls(cell.tick, calls, rate, cell.follow),
        'bare': time_calls(cell.bare, calls, rate), 'statistics': [], 'diagnostics': []}
    # Reports are on as many ticks as the node's are.
    every = round(cell.loop.settings.rate / 10)
    for i in paced(calls, rate):
        cell.tick()
        cell.follow()
        if i % every == every - 1:
            found['statistics'] += time_calls(cell.statistics.publish, 1, None)
        if i % (10 * every) == 10 * every - 1:
            found['diagnostics'] += time_calls(cell.diagnostics.advance, 2, rate)
    return found


def time_parts(
        cell: Cell, watch: Stopwatch, calls: int, rate: float | None) -> dict[str, list[float]]:
    """Time the parts of ticks, as :func:`time_ticks`; there may be fewer of a part."""
    found = defaultdict(list)
    for _ in paced(calls, rate):
        watch.taken.clear()
        cell.tick()
        for name, taken in watch.taken.items():
            found[name].append(taken * 1e-9)
        cell.follow()
    return found


@contextlib.contextmanager
def listened_to(policy: str, asked: argparse.Namespace, domain: int) -> Iterator[Cell]:
    """Make a cell, warmed up, whose topics somebody listens to."""
    cell = Cell(policy, asked.rate, asked.decisions)
    spawn = multiprocessing.get_context('spawn')
    ready = spawn.Event()
    topics = [(publisher.msg_type, publisher.topic_name) for publisher in cell.node.publishers]
    listener = spawn.Process(target=listen, args=(domain, topics, ready), daemon=True)
    listener.start()
    ready.wait(60)
    time_calls(cell.tick, 200, None, cell.follow)
    # As the node does; and what is left of collections is not a part of anything here.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield cell
    finally:
        gc.enable()
        gc.unfreeze()
        cell.close()
        listener.kill()
        listener.join()


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows of one policy beside each other."""
    print(f'{rows[0]["policy"]} on {rows[0]["robot"]}, us'.ljust(30) + ''.join(
        f'{row["rhythm"] + " p50":>12}{"p99":>8}' for row in rows))
    for name in [name for name, value in rows[0].items() if isinstance(value, dict)]:
        print(f'  {name:<28}' + ''.join(
            f'{row[name]["p50_us"]:12.1f}{row[name]["p99_us"]:8.1f}' for row in rows))
    print(flush=True)


def main() -> int:
    """Print a table a policy, and write the same as JSON where asked."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policies', nargs='*', choices=[*SHIPPED, []], help='all by default')
    made.add_argument('--rate', type=float, default=200.0, help='Hz')
    made.add_argument('--seconds', type=float, default=10.0, help='of each run')
    made.add_argument('--decisions', action='store_true', help='publish decisions too')
    made.add_argument('--quick', action='store_true', help='the shape of it, in a few seconds')
    made.add_argument('--json', type=Path, help='write the figures there')
    asked = made.parse_args()
    calls = round(asked.rate * (1.5 if asked.quick else asked.seconds))
    rhythms = {'paced': asked.rate, 'tight': None}
    domain = free_domain()
    rclpy.init(domain_id=domain)
    rows = []
    for policy in asked.policies or SHIPPED:
        with listened_to(policy, asked, domain) as cell:
            found = {name: time_ticks(cell, calls, rate) for name, rate in rhythms.items()}
        watch = Stopwatch()
        with watch.on(), listened_to(policy, asked, domain) as cell:
            for name, rate in rhythms.items():
                found[name].update(time_parts(cell, watch, calls, rate))
        here = [{
            'policy': policy, 'robot': SHIPPED[policy], 'rhythm': rhythm, 'rate': asked.rate,
            'decisions': asked.decisions,
            **{name: distribution(taken) for name, taken in found[rhythm].items()},
        } for rhythm in rhythms]
        show(here)
        rows += here
    rclpy.shutdown()
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
