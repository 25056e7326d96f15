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
"""Test cell: a policy node in a process, a scripted robot around it, and a log of all output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
from dataclasses import dataclass
import json
from pathlib import Path
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray, String

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import read_decision, RecordedDecision
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import CALL_QOS, STATUS_QOS
from testing.faults.robots import FaultRobot, Vector
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess, wait_until_known

# Modifies a message, or drops it by returning None.
Change = Callable[[Any], Any]
_SIMULATED_PERIOD = 0.01  # s between two steps of simulated time
# Messages that may wait for a test that is slower than the node.
_DEEP = 5000
#: Parameter with which a busy machine, where an inference takes long, is no reason for a refusal.
PATIENT: dict[str, Any] = {'latency_share': 10.0}


@dataclass(frozen=True)
class Seen:
    """
    Decision with its time of arrival.

    :param arrived: Monotonic time in s.
    :param row: The decision.
    """

    arrived: float
    row: RecordedDecision


@dataclass(frozen=True)
class Command:
    """
    Command with its time of arrival at the robot.

    :param arrived: Monotonic time in s.
    :param topic: Its topic.
    :param stamp: Header stamp in ns; None for a message without a header.
    :param numbers: The command in SI units.
    """

    arrived: float
    topic: str
    stamp: int | None
    numbers: Vector


@dataclass(frozen=True)
class Report:
    """
    Diagnostics of the control loop.

    :param arrived: Monotonic time in s.
    :param message: Text of the status.
    :param values: Key-value pairs.
    """

    arrived: float
    message: str
    values: dict[str, str]


class FaultCell:
    """
    Policy node with a simulated robot at its control rate and subscriptions to all topics.

    The robot does not move when commanded: only the commands are tested.

    :param robot: The robot.
    :param policy: The policy file.
    :param simulated: Whether time is simulated.
    :param description: Description file, if it is not that of the robot.
    :param silent: Whether another process publishes the robot's topics.
    :param environment: Additional environment variables of the node.
    :param parameters: Additional parameters of the node, with two underscores for a dot.

    :ivar decisions: All decisions of the node, in order.
    :ivar commands: All commands.
    :ivar reports: All diagnostics.
    :ivar standing: Last message of ~/policy.
    :ivar faulty: Stamps of the modified messages, in ns.
    :ivar first_faulty: Publication time of the first of them, by the node's clock in ns.
    :ivar silent: Whether the robot publishes nothing, because another process does.
    """

    def __init__(
            self, robot: FaultRobot, policy: Path, simulated: bool = False,
            description: Path | None = None, silent: bool = False,
            environment: Mapping[str, str] | None = None, **parameters: Any) -> None:
        """Start the node and the robot."""
        self.robot = robot
        self.domain = free_domain()
        self.decisions: list[Seen] = []
        self.commands: list[Command] = []
        self.reports: list[Report] = []
        self.standing: dict[str, Any] = {}
        self.faulty: set[int] = set()
        self.first_faulty: int | None = None
        #: Offset of the clock, and of the robot's stamps, from their initial values, in s.
        self.jump, self.robot_jump = 0.0, 0.0
        self._simulated = simulated
        self._time = 1000.0
        self.silent = silent
        self._environment = dict(environment or {})
        self._changes: dict[str, Change] = {}
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._news = threading.Condition()
        self._ended = threading.Event()
        # Files are read with what others leave of the processors, which may be next to nothing.
        parameters.setdefault('load_timeout', 120.0)
        # Tests wait for reports; benchmarks have them as rarely as other users.
        parameters.setdefault('diagnostics__interval', 0.2)
        parameters = {name.replace('__', '.'): value for name, value in parameters.items()}
        self._arguments = list(arguments(policy, **{
            'robot': description or robot.description, 'publish_decisions': 'true',
            'planning.noise': 'zero', 'use_sim_time': str(simulated).lower(), **parameters}))
        self.process = self.start_node()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=self.domain)
        self.node = Node('robot', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._listen()
        self._publishers: dict[str, Any] = {}
        for topic, message in robot.messages(Time().to_msg()).items():
            self._publishers[topic] = self.node.create_publisher(type(message), topic, 5)
        self._clock = self.node.create_publisher(Clock, '/clock', 5)
        self._threads = [
            threading.Thread(target=self._spin), threading.Thread(target=self._publish)]

    def __enter__(self) -> FaultCell:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The node shuts down while the robot still receives its stop.
        self.process.leave()
        self._ended.set()
        self._executor.wake()
        for thread in self._threads:
            thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def start_node(self) -> NodeProcess:
        """Start the node in a process, replacing the earlier one."""
        self.decisions.clear()
        self.process = self.another_node()
        return self.process

    def another_node(self) -> NodeProcess:
        """Start a second node in another process."""
        return NodeProcess(
            'dfp_ros.policy_node', self.domain, '--ros-args', *self._arguments,
            **self._environment)

    # The robot

    def disturb(self, changes: dict[str, Change]) -> int:
        """
        Modify the robot's messages from now on.

        :param changes: Changes by topic; none for a healthy robot.
        :return: Time by the node's clock, in ns.
        """
        with self._lock:
            self._changes = changes
            if changes:
                self.faulty, self.first_faulty = set(), None
            return self.now()

    def jump_clock(self, clock: float, robot: float) -> int:
        """
        Make simulated time jump.

        :param clock: Offset of the clock from its initial value, in s.
        :param robot: The same for the robot's stamps.
        :return: Time afterwards by the node's clock, in ns.
        """
        with self._lock:
            self.jump, self.robot_jump = clock, robot
            return self.now()

    def replace_publisher(self, topic: str, qos: Any) -> int:
        """
        Restart the publisher of a source with another QoS.

        :return: Time by the node's clock, in ns.
        """
        with self._lock:
            old = self._publishers[topic]
            self._publishers[topic] = self.node.create_publisher(old.msg_type, topic, qos)
            self.node.destroy_publisher(old)
            return self.now()

    def now(self) -> int:
        """Return the time by the node's clock, in ns."""
        return round((self._time + self.jump) * 1e9) if self._simulated else time.time_ns()

    def _publish(self) -> None:
        """Publish as the robot."""
        due = time.monotonic()
        period = _SIMULATED_PERIOD if self._simulated else self.robot.tick
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += period
            with self._lock:
                self._time += period
                now = self.now()
                if self._simulated:
                    self._clock.publish(Clock(clock=Time(nanoseconds=now).to_msg()))
                if self.silent:
                    continue
                stamp = now + round((self.robot_jump - self.jump) * 1e9)
                messages = self.robot.messages(Time(nanoseconds=stamp).to_msg())
                for topic, message in messages.items():
                    if topic in self._changes:
                        # The messages share a stamp.
                        message.header.stamp = Time(nanoseconds=stamp).to_msg()
                        message = self._changes[topic](message)
                        if message is None:
                            continue
                        self.first_faulty = self.first_faulty or now
                        self.faulty.add(Time.from_msg(message.header.stamp).nanoseconds)
                    self._publishers[topic].publish(message)

    # Subscriptions

    def forget(self) -> None:
        """Discard commands, reports and all but the last decision, because a long run has many."""
        with self._news:
            del self.decisions[:-1], self.commands[:], self.reports[:]

    def _listen(self) -> None:
        """Subscribe to all topics of the node."""
        def decided(message: Float64MultiArray) -> None:
            row = read_decision(
                [(dim.label, dim.size) for dim in message.layout.dim], message.data)
            self.decisions.append(Seen(time.monotonic(), row))

        def reported(message: DiagnosticArray) -> None:
            for status in message.status:
                if status.name.endswith('control loop'):
                    self.reports.append(Report(time.monotonic(), status.message, {
                        item.key: item.value for item in status.values}))

        self.node.create_subscription(
            Float64MultiArray, 'dfp_policy/decision', self._announcing(decided), _DEEP)

        def stands(message: String) -> None:
            self.standing = json.loads(message.data)

        self.node.create_subscription(
            String, 'dfp_policy/policy', self._announcing(stands), STATUS_QOS)
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._announcing(reported), 10)
        self._subscribed = {topic: self.hear(topic) for topic in self.robot.commands}

    def hear(self, topic: str) -> Any:
        """Subscribe to a command topic."""
        described = self.robot.commands[topic]

        def commanded(message: Any) -> None:
            stamp = (
                Time.from_msg(message.header.stamp).nanoseconds
                if hasattr(message, 'header') else None)
            self.commands.append(
                Command(time.monotonic(), topic, stamp, described.read(message)))

        return self.node.create_subscription(
            described.kind, topic, self._announcing(commanded), _DEEP)

    def unsubscribe(self, topic: str) -> None:
        """Destroy the subscription to a command topic."""
        # On the thread that spins, which may be waiting for the subscription.
        ended = self._executor.create_task(
            self.node.destroy_subscription, self._subscribed.pop(topic))
        self.wait_for(ended.done, f'no subscription to {topic}')

    def discard_in_flight(self) -> None:
        """Discard all commands that were sent before now, those in transit as well."""
        for topic in self.robot.commands:
            self.unsubscribe(topic)
            self.subscribe_again(topic)
        self.commands.clear()

    def subscribe_again(self, topic: str) -> None:
        """Subscribe to a command topic after :meth:`unsubscribe`."""
        self._subscribed[topic] = self.hear(topic)

    def _announcing(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Wrap a callback so that it wakes waiting threads."""
        def receive(message: Any) -> None:
            with self._news:
                callback(message)
                self._news.notify_all()
        return receive

    def _spin(self) -> None:
        while not self._ended.is_set():
            try:
                self._executor.spin_once(0.1)
            except ExternalShutdownException:
                return

    def wait_for(self, condition: Callable[[], Any], what: str, timeout: float = 120.0) -> Any:
        """
        Wait until a condition holds.

        :param condition: Evaluated at each arrival.
        :param what: Name of the condition for error messages.
        :return: The result of the condition.
        :raises TimeoutError: If it does not hold in time.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while not (found := condition()):
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f'{what} did not happen within {timeout:g} s; output of the node:\n'
                        + self.process.output[-3000:])
                self._news.wait(0.1)
            return found

    # Services

    def ask(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service of the node, and return the future answer."""
        is_new = name not in self._clients
        if is_new:
            self._clients[name] = self.node.create_client(
                kind, f'dfp_policy/{name}', qos_profile=CALL_QOS)
        client = self._clients[name]
        self.wait_for(client.service_is_ready, f'service {name}')
        if is_new:
            wait_until_known(
                self.node, f'dfp_policy/{name}',
                lambda condition, seconds: self.wait_for(condition, f'service {name}', seconds))
        future = client.call_async(request)
        with self._news:
            future.add_done_callback(lambda _: self._executor.wake())
        return future

    def answer(self, future: Any) -> Any:
        """Wait for an answer."""
        self.wait_for(future.done, 'an answer')
        return future.result()

    def ask_to_set(self, **values: Any) -> Any:
        """Set parameters of the node, with two underscores for a dot; return the future answer."""
        return self.ask(SetParameters, 'set_parameters', SetParameters.Request(parameters=[
            Parameter(name.replace('__', '.'), value=value).to_parameter_msg()
            for name, value in values.items()]))

    def set(self, **values: Any) -> Any:
        """Set parameters, and wait for the first answer."""
        return self.answer(self.ask_to_set(**values)).results[0]

    def ask_to_change(self, transition: int) -> Any:
        """Request a lifecycle transition."""
        request = ChangeState.Request()
        request.transition.id = transition
        return self.ask(ChangeState, 'change_state', request)

    def starved(self) -> float:
        """
        Return for how many seconds the node's threads have waited for a processor so far.

        Where that is much, the machine has stopped the robot, and not what a test does to it.
        """
        waited = 0
        for task in Path(f'/proc/{self.process.process.pid}/task').glob('*/schedstat'):
            with contextlib.suppress(OSError):  # a thread that has ended since
                waited += int(task.read_text().split()[1])
        return waited * 1e-9

    # Conditions to wait for

    def wait_for_motion(self, ticks: int = 12) -> None:
        """Wait until the robot has been moved for a number of consecutive ticks."""
        begin = len(self.decisions)
        self.wait_for(lambda: self._moves(self.decisions[begin:][-ticks:], ticks), 'motion')

    def _moves(self, seen: list[Seen], ticks: int) -> bool:
        if len(seen) < ticks or any(each.row.state is not State.RUNNING for each in seen):
            return False
        sent = [joined(each.row.sent) for each in seen if each.row.sent is not None]
        return len(sent) == ticks and len({tuple(numbers) for numbers in sent}) > 1


def joined(numbers: Any) -> Vector:
    """Concatenate the fields of a recorded command."""
    return np.concatenate(list(numbers.values()))
