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
Duration of a control tick, part by part, with the shipped robots and policies.

    python -m bench.tick

The policy node's own ticker, on messages received beforehand, so without an executor: bench/loop
measures the cost of the middleware. There are two rhythms: ``tight`` ticks as fast as possible,
with warm caches and clocks; ``paced`` waits for the next tick of the control rate in between, as
the node does, and is the relevant one. *all* is a tick without inner timing, and *bare* the work
of a timer that only publishes: filling and sending a message of the same size on each command
topic. In a separate run the parts are timed one by one, each without its nested parts; each
includes about half a microsecond of the stopwatch per call. *statistics* and *diagnostics* are
reports between ticks, ten and one per second, the latter in two steps. Every topic has a
subscriber.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
import contextlib
import gc
import multiprocessing
import sys
import time
from typing import Any

import rclpy

from bench.common.arguments import amount, output
from bench.common.distribution import distribution
from bench.common.machine import finish
from bench.tick.cell import Cell, SHIPPED
from bench.tick.listener import listen
from bench.tick.stopwatch import Stopwatch
from dfp_ros.node.ros.domain import free_domain


def paced(calls: int, rate: float | None) -> Iterator[int]:
    """
    Count calls.

    :param calls: Number of calls.
    :param rate: Calls per second; None for as many as possible.
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
    """Time calls of a function, in s, without the work between them."""
    taken = []
    for _ in paced(calls, rate):
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
        between()
    return taken


def time_ticks(cell: Cell, calls: int, rate: float | None) -> dict[str, list[float]]:
    """
    Time whole ticks, the work between them, and the bare timer.

    :param cell: The cell.
    :param calls: Number of each.
    :param rate: Ticks per second; None for as many as possible.
    :return: Durations in s, by name.
    """
    found = {
        'all': time_calls(cell.tick, calls, rate, cell.follow),
        'bare': time_calls(cell.bare, calls, rate), 'statistics': [], 'diagnostics': []}
    # Reports follow the same fraction of ticks as in the node.
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
    """Time the parts of ticks, like :func:`time_ticks`; some parts may occur less often."""
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
    """Make a warmed-up cell whose topics have a subscriber."""
    cell = Cell(policy, asked.rate, asked.decisions)
    spawn = multiprocessing.get_context('spawn')
    ready = spawn.Event()
    topics = [(publisher.msg_type, publisher.topic_name) for publisher in cell.node.publishers]
    listener = spawn.Process(target=listen, args=(domain, topics, ready), daemon=True)
    listener.start()
    if not ready.wait(60):
        raise RuntimeError('bench.tick: the listener did not start within 60 s')
    time_calls(cell.tick, 200, None, cell.follow)
    # As in the node; and garbage collection must not be timed here.
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
    """Print the rows of one policy side by side."""
    print(f'{rows[0]["policy"]} on {rows[0]["robot"]}, us'.ljust(30) + ''.join(
        f'{row["rhythm"] + " p50":>12}{"p99":>8}' for row in rows))
    # A part that occurs in few ticks may not have occurred in one of the rhythms.
    for name in dict.fromkeys(
            name for row in rows for name, value in row.items() if isinstance(value, dict)):
        print(f'  {name:<28}' + ''.join(
            f'{row[name]["p50_us"]:12.1f}{row[name]["p99_us"]:8.1f}' if name in row
            else f'{"-":>12}{"-":>8}' for row in rows))
    print(flush=True)


def main() -> int:
    """Print a table per policy, and write the results to JSON if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policies', nargs='*', choices=[*SHIPPED, []], help='default: all')
    made.add_argument('--rate', type=amount, default=200.0, help='Hz')
    made.add_argument('--seconds', type=amount, default=10.0, help='duration of each run in s')
    made.add_argument('--decisions', action='store_true', help='also publish decisions')
    made.add_argument('--quick', action='store_true', help='quick run of a few seconds')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
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
