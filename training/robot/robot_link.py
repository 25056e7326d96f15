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
"""ROS side of the learner: topics and services of the policy node, read in a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
import platform
from queue import SimpleQueue
import threading
import time
from typing import Any, Literal

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from dfp_ros.node.monitors.claim import BEAT, Claim, Claims, TIMEOUT
from dfp_ros.node.ros.endpoints import publisher_names
from dfp_ros.node.ros.node_main import keep_spinning, make_executor
from dfp_ros.node.ros.qos import CALL_QOS, STATUS_QOS
from dfp_ros.node.ros.start import join
from dfp_ros.node.ros.trigger_services import TriggerServices
from dfp_ros.sim.sim_robot.learner_gate import SEEN, SEEN_QOS, write_seen

#: Topic of the learners' claims, below the policy node's name.
CLAIMS = '_learner'
# As deep as a learner may be behind for a while; the node's publisher keeps 100.
_DECISION_QOS = QoSProfile(
    depth=1000, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# Longest time until another learner is discovered, in s.
_DISCOVERY = 1.5
# Time in s after a standstill until what came meanwhile is received.
_SETTLING = 1.0


@dataclass(frozen=True)
class News:
    """
    A message for the learner.

    :param kind: Kind of message.
    :param content: The decision's message, the mark, or the status of the policies; None for a
        call of ``~/offer``.
    :param time: Monotonic time of its arrival in s.
    :param is_doubtful: Whether it came just after this process stood still: of what was published
        meanwhile, some is lost, and the rest comes in any order.
    """

    kind: Literal['decision', 'mark', 'status', 'offer', 'wake']
    content: Any
    time: float
    is_doubtful: bool = False


@dataclass
class Answer:
    """
    Answer of a service, once there is one.

    :param problem: Why it was refused; empty if it was not; None before there is an answer.
    """

    problem: str | None = None


class RobotLink:
    """
    Subscriptions to a policy node, and requests to it.

    :param policy_node: Name of the policy node.
    :param marks: Topic of the marks.
    :param name: Name of the learner's node.
    :param namespace: Its namespace.
    :param domain: ROS domain; None for that of the environment.

    :ivar inbox: News, in order of arrival.
    """

    def __init__(
            self, policy_node: str, marks: str, name: str, namespace: str = '',
            domain: int | None = None) -> None:
        """Join the domain, and receive from now on."""
        self.inbox: SimpleQueue[News] = SimpleQueue()
        self._marks = marks
        self._context = rclpy.Context()
        # The command handles signals itself.
        join([], SignalHandlerOptions.NO, self._context, domain)
        self.node = Node(name, namespace=namespace or None, context=self._context)
        self._claims = Claims(self.node.get_fully_qualified_name(), platform.node())
        self._lock = threading.Lock()
        self._beat = time.monotonic()
        # When this process went on after it had stood still.
        self._went_on = -_SETTLING
        #: Claim of another learner that takes precedence; None while there is none.
        self.rival: Claim | None = None
        self.policy_node = self.node.resolve_topic_name(policy_node)
        beside = self.policy_node
        subscribe = self.node.create_subscription
        subscribe(
            Float64MultiArray, f'{beside}/decision', self._receiver('decision'), _DECISION_QOS)
        subscribe(String, marks, self._receiver('mark'), 100)
        subscribe(String, f'{beside}/policy', self._receiver('status'), STATUS_QOS)
        subscribe(String, f'{beside}/{CLAIMS}', self._hear, 10)
        self._claim_publisher = self.node.create_publisher(String, f'{beside}/{CLAIMS}', 10)
        self._seen = self.node.create_publisher(String, f'~/{SEEN}', SEEN_QOS)
        self._status = self.node.create_publisher(String, '~/status', STATUS_QOS)
        self._setting = self.node.create_client(
            SetParameters, f'{beside}/set_parameters', qos_profile=CALL_QOS)
        self._promotion = self.node.create_client(
            Trigger, f'{beside}/promote', qos_profile=CALL_QOS)
        #: Why no policies are offered, for those who call ``~/offer``; empty while they are.
        self.held = ''
        TriggerServices(self.node, {'~/offer': self._offer})
        self.node.create_timer(
            BEAT, self._advance, clock=Clock(clock_type=ClockType.STEADY_TIME))
        # A mark belongs between the decisions that it came between, also if this process was kept
        # from running, and many messages wait.
        self._executor = make_executor(self._context)
        self._executor.add_node(self.node)
        self._ended = Future()
        self._thread = threading.Thread(
            target=keep_spinning, args=(self._executor, self.node, self._ended), name='ros',
            daemon=True)
        self._thread.start()

    def claim(self) -> Claim | None:
        """
        Claim the policy node for this learner.

        :return: The claim of another learner, if there is one; then there is none of this one.
        """
        end = time.monotonic() + _DISCOVERY + 2 * BEAT
        while time.monotonic() < end:
            with self._lock:
                if rivals := self._claims.rivals(time.monotonic()):
                    return rivals[0]
            time.sleep(BEAT / 4)
        with self._lock:
            self._claims.make(time.time_ns())
        return None

    @property
    def is_current(self) -> bool:
        """Whether everything was received; not if this process stood still until a moment ago."""
        now = time.monotonic()
        return now - self._beat < TIMEOUT and now - self._went_on >= _SETTLING

    @property
    def offer_service(self) -> str:
        """Name of the service that has policies offered again."""
        return f'{self.node.get_fully_qualified_name()}/offer'

    def _offer(self) -> str:
        """Have policies offered again."""
        self.inbox.put(News('offer', None, time.monotonic()))
        return 'policies are offered again' if self.held else (
            'policies are offered already; there is nothing to end')

    def say_seen(self, stamp: int, marks: int) -> None:
        """
        Tell a robot that waits what was learned from.

        :param stamp: Time of the last decision in ns.
        :param marks: Number of marks.
        """
        self._seen.publish(String(data=write_seen(stamp, marks)))

    def say_status(self, status: dict[str, Any]) -> None:
        """Publish the status, latched, as JSON."""
        self._status.publish(String(data=json.dumps(status)))

    def set_parameter(self, name: str, value: str) -> Answer:
        """Set a text parameter of the policy node."""
        typed = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        return self._ask(
            self._setting, SetParameters.Request(parameters=[Parameter(name=name, value=typed)]),
            lambda response: '' if response.results[0].successful
            else response.results[0].reason or 'refused without a reason')

    def promote(self) -> Answer:
        """Call ``promote`` of the policy node."""
        return self._ask(
            self._promotion, Trigger.Request(),
            lambda response: '' if response.success
            else response.message or 'refused without a reason')

    def decision_publishers(self) -> int:
        """Count the publishers of decisions."""
        return self.node.count_publishers(f'{self.policy_node}/decision')

    def mark_publishers(self) -> list[str]:
        """List the nodes that publish marks, one for each publisher."""
        return publisher_names(self.node, self.node.resolve_topic_name(self._marks))

    def close(self) -> None:
        """Leave the domain."""
        with self._lock:
            self._claims.drop()
        # An executor that is shut down while it spins fails in its own thread now and then.
        self._ended.set_result(None)
        self._executor.wake()
        self._thread.join(2.0)
        self._executor.shutdown(2.0)
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _ask(self, client: Any, request: Any, judge: Callable[[Any], str]) -> Answer:
        """Send a request; the answer comes in the thread."""
        answer = Answer()
        if not client.service_is_ready():
            answer.problem = f'the service {client.srv_name} does not exist; is the node running?'
            return answer

        def done(future: Any) -> None:
            try:
                response = future.result()
                answer.problem = 'the request failed' if response is None else judge(response)
            except Exception as error:  # any fault of the middleware is an answer
                answer.problem = f'{type(error).__name__}: {error}'
            self.inbox.put(News('wake', None, time.monotonic()))

        client.call_async(request).add_done_callback(done)
        return answer

    def _receiver(self, kind: Any) -> Callable[[Any], None]:
        """Make the callback of one topic."""
        def receive(message: Any) -> None:
            self.inbox.put(News(
                kind, message if kind == 'decision' else message.data, time.monotonic(),
                not self.is_current))
        return receive

    def _hear(self, message: Any) -> None:
        """Receive a claim."""
        with self._lock:
            self._claims.hear(message.data, time.monotonic())

    def _advance(self) -> None:
        """Publish the claim, and look for a stronger one."""
        now = time.monotonic()
        with self._lock:
            stood_still = now - self._beat > TIMEOUT
            if stood_still:
                self._went_on = now
            self._beat = now
            if self._claims.own is None:
                return
            if stood_still:
                # Another may have begun while this process stood still (SIGSTOP); that goes on.
                self._claims.make(time.time_ns())
            self.rival = self._claims.stronger(now)
            assert self._claims.own is not None
            text = self._claims.own.to_json()
        self._claim_publisher.publish(String(data=text))
        if self.rival:
            self.inbox.put(News('wake', None, now))
