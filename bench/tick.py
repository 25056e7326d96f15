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

    python bench/tick.py

The policy node's own ticker, on messages that were received before, so without an executor: what
the middleware adds, bench/loop.py measures. Two rhythms: ``tight`` ticks as fast as it can, with
caches and clocks warm; ``paced`` waits for the next tick of the control rate in between, as the
node does, and is what counts. *all* is a tick with nothing timed within it, and *bare* what a
timer that only publishes would do in its place: fill in and send a message of as many numbers to
each command topic. In a run of its own the parts are timed one by one, each without those within
it; a part's figure holds about half a microsecond of the stopwatch for each call. *statistics* and
*diagnostics* are reports between ticks, ten and one a second, the latter in two steps. Somebody
listens to all topics.
"""

from __future__ import annotations

import argparse
import array
from collections import defaultdict
from collections.abc import Callable, Iterator
import contextlib
import functools
import gc
import math
import multiprocessing
from pathlib import Path
import sys
import time
from typing import Any

from distribution import distribution
from machine import finish
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Float64MultiArray

from dfp_ros.candidate import Candidate, load_control_loop
from dfp_ros.command_limiter import CommandLimiter
from dfp_ros.command_writer import CommandWriter
from dfp_ros.control_loop import ControlLoop, load_robot
from dfp_ros.controller import Controller
from dfp_ros.decision_log import DecisionLog
from dfp_ros.decision_publisher import DecisionPublisher
from dfp_ros.diagnostics_publisher import DiagnosticsPublisher
from dfp_ros.doubts import Doubts
from dfp_ros.journal import Journal
from dfp_ros.loop_statistics import LoopStatistics
from dfp_ros.measured import MeasuredReader
from dfp_ros.observation import ObservationBuilder
from dfp_ros.planner import Planner
from dfp_ros.policy import OnnxPolicy
from dfp_ros.qos import COMMAND_QOS, SENSOR_QOS
from dfp_ros.qos_watch import QosWatch
from dfp_ros.robot_description import RobotDescription
from dfp_ros.robot_topics import CommandPublishers
from dfp_ros.robots.domain import free_domain
from dfp_ros.sample_store import SampleStore
from dfp_ros.settings import Settings
from dfp_ros.source_description import Source
from dfp_ros.source_reader import SourceReader
from dfp_ros.source_watch import SourceWatch
from dfp_ros.statistics_publisher import StatisticsPublisher
from dfp_ros.ticker import Ticker

#: Policies and robots that fit each other.
SHIPPED = {'cube_single': 'ur5e_cube', 'lift': 'panda_lift', 'lift_joint': 'panda_joint'}
#: What is timed, by the name of the part; what is within a part, and has no name, belongs to it.
PARTS = (
    ('reading', SourceReader, ('read',)), ('store', SampleStore, ('add', 'pass_time', 'at')),
    ('rules', SourceWatch, ('check',)), ('measured', MeasuredReader, ('read',)),
    ('observation', ObservationBuilder, ('build',)),
    ('doubts', Doubts, ('about_observation', 'about_answer')), ('planner', Planner, ('next',)),
    ('inference', OnnxPolicy, ('act',)), ('limiter', CommandLimiter, ('limit', 'stop', 'ahead')),
    ('controller', Controller, ('step',)), ('writer', CommandWriter, ('write',)),
    ('publish', Publisher, ('publish',)), ('ticker', Ticker, ('tick', 'receive')),
    ('figures', LoopStatistics, ('tick', 'add')), ('log', DecisionLog, ('add',)),
    ('journal', Journal, ('step',)), ('decision', DecisionPublisher, ('publish',)))
# The observation's reader is what finds out where the robot is, too.
_WITHIN = {('measured', 'observation')}
_SECOND = 1_000_000_000


class Stopwatch:
    """Times the calls of methods, each without those within it."""

    def __init__(self) -> None:
        """Start without any time."""
        self.taken: defaultdict[str, int] = defaultdict(int)
        self._names: list[str] = []
        self._inner: list[int] = [0]

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Time the methods of :data:`PARTS` for a while."""
        before = []
        for name, kind, methods in PARTS:
            for method in methods:
                before.append((kind, method, getattr(kind, method)))
                setattr(kind, method, self._timed(name, getattr(kind, method)))
        try:
            yield
        finally:
            for kind, method, function in before:
                setattr(kind, method, function)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a method that times itself."""
        clock, names, inner = time.perf_counter_ns, self._names, self._inner

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            if names and (names[-1], name) in _WITHIN:
                return function(*arguments, **named)
            names.append(name)
            inner.append(0)
            begin = clock()
            try:
                return function(*arguments, **named)
            finally:
                taken = clock() - begin
                self.taken[name] += taken - inner.pop()
                inner[-1] += taken
                names.pop()
        return timed


class Cell:
    """
    A policy node's parts, on a robot that does what joints are commanded, and else rests.

    :param policy: Name of a policy.
    :param rate: Ticks a second.
    :param decisions: Whether decisions are published.
    """

    def __init__(self, policy: str, rate: float, decisions: bool) -> None:
        """Load, and start."""
        self.node = Node('tick')
        settings = Settings(policy=policy, robot=SHIPPED[policy], rate=rate)
        robot = load_robot(settings.robot)
        self.loop: ControlLoop = load_control_loop(Candidate(settings), robot)
        self.readers = {
            name: SourceReader(source, robot) for name, source in robot.sources.items()}
        self.messages = {
            name: _message(robot, source, self.readers[name])
            for name, source in robot.sources.items()}
        self._be_typical(robot)
        watch = QosWatch(self.node)
        self._parts: list[Any] = [CommandPublishers(self.node, self.loop, watch)]
        made = None
        if decisions:
            made = DecisionPublisher(self.node, self.loop)
            self._parts.append(made)
        self.ticker = Ticker(self.node, self.loop, self._parts[0], made)
        self.diagnostics = DiagnosticsPublisher(self.node, self.ticker, dict, watch)
        self.statistics = StatisticsPublisher(self.node, self.ticker)
        self._parts += [self.diagnostics, self.statistics]
        self._bare = [
            (self.node.create_publisher(Float64MultiArray, topic.topic + '/bare', COMMAND_QOS),
             Float64MultiArray(), sum(entry.size for entry in topic.entries))
            for topic in robot.commands]
        # The joints that are commanded by position, as far as there are such.
        self._following = [
            (self.messages[entry.measured.reading.source], entry.measured.reading,
             self.loop.policy.spec.action_slices[entry.action])
            for topic in robot.commands for entry in topic.entries
            if entry.measured is not None and entry.measured.reading.joints]
        self.ticker.start()

    def tick(self) -> None:
        """Receive a message of every source, and tick."""
        now = self.node.get_clock().now
        for name, message in self.messages.items():
            stamp = now().nanoseconds
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, _SECOND)
            self.ticker.receive(name, self.readers[name].read(message, stamp))
        stamp = now().nanoseconds
        self.ticker.store.pass_time(stamp)
        self.ticker.tick(stamp, self.ticker.store.at(stamp))

    def _be_typical(self, robot: RobotDescription) -> None:
        """Put the middle of the training data into the messages, as far as that is simple."""
        for entry, field in zip(robot.observation, self.loop.policy.spec.observation, strict=True):
            reading = entry.reading
            if reading is None or entry.transform or entry.minus:
                continue
            values = [
                (low + high) / 2 / scale - offset for low, high, scale, offset in zip(
                    field.low, field.high, entry.scale, entry.offset, strict=True)]
            if reading.is_quaternion:
                length = math.hypot(*values)
                values = [value / length for value in values]
            *path, last = reading.path.split('.')
            holder = functools.reduce(getattr, path, self.messages[reading.source])
            for name, value in zip(reading.joints, values, strict=False):
                getattr(holder, last)[holder.name.index(name)] = value
            for name, value in zip(reading.components, values, strict=False):
                setattr(getattr(holder, last), name, value)

    def follow(self) -> None:
        """Be where the last command wanted the joints."""
        for message, reading, place in self._following:
            for joint, value in zip(
                    reading.joints, self.ticker.log.last.sent[place].tolist(), strict=True):
                getattr(message, reading.path)[message.name.index(joint)] = value

    def bare(self) -> None:
        """Do what a timer does that only publishes."""
        for publisher, message, size in self._bare:
            message.data = array.array('d', [0.0] * size)
            publisher.publish(message)

    def close(self) -> None:
        """End everything."""
        self.ticker.stop()
        for part in reversed(self._parts):
            part.close()
        self.node.destroy_node()


def _message(robot: RobotDescription, source: Source, reader: SourceReader) -> Any:
    """Make a message that has everything that is read of it: zeros, and no rotation."""
    message = reader.message_type()
    for reading in robot.readings(source.name):
        if reading.joints:
            # One message field each, and the joints of all of them.
            names = list(dict.fromkeys([*message.name, *reading.joints]))
            message.name = names
            setattr(message, reading.path, [0.0] * len(names))
    for name in ('position', 'velocity', 'effort'):
        if len(getattr(message, name, ())) not in (0, len(getattr(message, 'name', ()))):
            setattr(message, name, [0.0] * len(message.name))
    if hasattr(message, 'pose'):
        message.pose.orientation.w = 1.0
    return message


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
