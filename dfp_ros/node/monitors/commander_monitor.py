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
"""Commander monitor: other policy nodes, and other publishers, that command the same robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import platform
import threading
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.core.text.printable import listed
from dfp_ros.node.monitors.claim import BEAT, Claim, Claims, TIMEOUT
from dfp_ros.node.realtime.privileges import RefusedError
from dfp_ros.node.ros.endpoints import own_name, publisher_names

# Topic below each command topic; hidden, as its last part begins with an underscore.
_MARK = '_commander'
# Wait for the claim of a node that was discovered, in s.
_PATIENCE = 2 * BEAT
# Time that DDS needs for the discovery of participants and topics, on a busy machine too, in s.
# A node that is activated earlier could command beside another that it has not discovered yet.
_DISCOVERY = 1.5
# A killed participant stays known for 20 s; an endpoint with this node's name may be left from it.
_GHOST = 25.0
# Beats between two checks for other publishers.
_POLL_BEATS = 5
# time.monotonic() stands still while the machine is suspended.
_CLOCK: int = getattr(time, 'CLOCK_BOOTTIME', time.CLOCK_MONOTONIC)
# Largest number of log lines in an activation, as each other node may have a different name.
_MOST_LINES = 100


class CommanderMonitor:
    """
    Ensures that one policy node at a time commands a robot, and detects other publishers.

    An active node publishes its claim on a topic beside each command topic, and on one below its
    own name; a node that receives another's claim is not activated, and of two active nodes, the
    later one deactivates itself. So no two active nodes share a name, whatever they command: a
    call of ~/stop may reach either of them, and the other would go on. A node that was killed
    sends no claims, so that its replacement need not wait.

    A process that stood still (SIGSTOP, a debugger, a suspended machine) for longer than its claim
    is valid may have been replaced meanwhile. It sends nothing until it has checked that, as
    before an activation; then it deactivates itself, or begins again.

    :param node: The node.
    :param topics: Its command topics, as given to the publishers.
    :param settings: Returns the responses to other nodes.
    :param deactivate: Deactivates the node.
    :param begin_again: Begins as after an activation, once the claim was lost and made again.
    :param note: Receives the description of other publishers, empty for none.
    """

    def __init__(
            self, node: Node, topics: Iterable[str], settings: Callable[[], SafetySettings],
            deactivate: Callable[[], object], begin_again: Callable[[], object],
            note: Callable[[str], None]) -> None:
        """Subscribe to claims, without a claim of its own."""
        self._node = node
        self._topics = [node.resolve_topic_name(topic) for topic in topics]
        self._settings = settings
        self._deactivate = deactivate
        self._begin_again = begin_again
        self._note = note
        self._claims = Claims(node.get_fully_qualified_name(), platform.node())
        qos = QoSProfile(depth=10)
        marks = [f'{name}/{_MARK}' for name in (
            *self._topics, node.get_fully_qualified_name())]
        self._publishers = [node.create_publisher(String, mark, qos) for mark in marks]
        self._subscriptions: list[Any] = [
            node.create_subscription(String, mark, self._hear, qos) for mark in marks]
        self._discovered = time.monotonic() + _DISCOVERY
        # When this node was last known to be awake, and when its claim was last sent.
        self._awake = self._claimed = _time_awake()
        # The watchdog claims the robot, too.
        self._lock = threading.Lock()
        self._timer = node.create_timer(
            BEAT, self._advance, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._message = String()
        self._beats = 0
        self._said: set[str] = set()
        self._others = ''
        self._rivals = ''
        self._twin_since: dict[str, float] = {}

    def find_stronger(self) -> Claim | None:
        """
        Find another active node, before this one is activated.

        Right after the start, DDS needs time for discovery. A node that was discovered is waited
        for a moment: its claim may be on its way.
        """
        give_up = time.monotonic() + _PATIENCE
        while True:
            if self._has_stood_still():
                give_up = time.monotonic() + _PATIENCE
            for subscription in self._subscriptions:
                self._take(subscription)
            found = self._claims.stronger(time.monotonic())
            others = any(
                self._node.count_publishers(publisher.topic_name) > 1
                for publisher in self._publishers)
            now = time.monotonic()
            if found is not None or (
                    now > self._discovered and (not others or now > give_up)):
                return found
            time.sleep(0.01)

    def require_sole(self) -> None:
        """
        Require that no other policy node commands the robot.

        :raises RefusedError: If one does, and the response is to refuse.
        """
        other = None if self._settings().second_node != 'refuse' else self.find_stronger()
        if other is not None:
            raise RefusedError(
                f'{other} commands this robot already{self._of_the_same_name(other)}; deactivate '
                'or end that node, give this one another robot or namespace, or set '
                'safety.second_node')

    def start(self) -> None:
        """Start publishing the claim of this node."""
        self._renew()
        self._beats = 0
        self._said.clear()
        self._others = self._rivals = ''
        self._advance()

    def stop(self) -> None:
        """Stop publishing the claim of this node."""
        with self._lock:
            self._claims.drop()

    def may_command(self) -> bool:
        """
        Return whether this node's claim is valid, and publish it when it is time.

        For any thread. Only :meth:`start`, or the timer of this monitor, makes a claim that has
        expired valid again.
        """
        with self._lock:
            if self._claims.own is None:
                return False
            now = _time_awake()
            silence = now - self._claimed
            if silence >= TIMEOUT:
                return self._settings().second_node != 'refuse'
            if silence >= BEAT:
                self._publish(now)
            return True

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics."""
        return {'other_nodes': self._rivals, 'other_publishers': self._others}

    def close(self) -> None:
        """Destroy publishers, subscriptions and timer."""
        self.stop()
        self._node.destroy_timer(self._timer)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)

    def _hear(self, message: String) -> None:
        """Receive a claim."""
        self._claims.hear(message.data, time.monotonic())

    def _take(self, subscription: Any) -> None:
        """Receive waiting claims, while the node is not spinning."""
        with subscription.handle:
            while (taken := subscription.handle.take_message(String, False)) is not None:
                self._hear(taken[0])

    def _advance(self) -> None:
        """Publish the claim, if there is one; check for other nodes and publishers."""
        own, settings = self._claims.own, self._settings()
        now = time.monotonic()
        self._has_stood_still()
        if own is None:
            self._rivals = listed(self._claims.rivals(now))
            return
        silence = _time_awake() - self._claimed
        if silence >= TIMEOUT:
            self._regain(silence)
            return
        with self._lock:
            self._publish(_time_awake())
        self._beats += 1
        rivals = [] if settings.second_node == 'ignore' else self._claims.rivals(now)
        stronger = self._claims.stronger(now) if settings.second_node == 'refuse' else None
        self._rivals = f'{listed(rivals)} commands this robot, too' if rivals else ''
        if stronger is not None:
            self._node.get_logger().error(
                f'{stronger} commands this robot, too{self._of_the_same_name(stronger)}, and was '
                'activated before this node, which is deactivated; run one of them '
                '(safety.second_node)')
            self._deactivate()
            return
        self._say(self._rivals)
        if rivals or settings.other_publisher == 'ignore':
            # Other policy nodes are not reported again as publishers.
            self._others = ''
        elif self._beats % _POLL_BEATS == 1:
            self._others = self._find_others(now)
        self._note(self._others)

    def _renew(self) -> None:
        """Make a new claim, and publish it."""
        with self._lock:
            self._message = String(data=self._claims.make(time.time_ns()).to_json())
            self._publish(_time_awake())

    def _publish(self, now: float) -> None:
        """
        Publish the claim, under the lock.

        :param now: When the claim was found valid; if the process stands still before it is
            published, it expires all the same.
        """
        for publisher in self._publishers:
            publisher.publish(self._message)
        self._claimed = now

    def _has_stood_still(self) -> bool:
        """Return whether other nodes may have started unnoticed since the last call."""
        now = _time_awake()
        silence, self._awake = now - self._awake, now
        if silence < TIMEOUT:
            return False
        self._discovered = time.monotonic() + _DISCOVERY
        return True

    def _regain(self, silence: float) -> None:
        """
        Check, with a claim that has expired, whether another node commands; claim again if none.

        :param silence: Time without a claim in s.
        """
        stood = f'this node stood still for {silence:.1f} s'
        if self._settings().second_node != 'refuse':
            self._renew()
            return
        self.stop()
        # Claims that arrived meanwhile may be from nodes that have gone since.
        end = time.monotonic() + BEAT
        while time.monotonic() < end:
            for subscription in self._subscriptions:
                self._take(subscription)
            time.sleep(0.01)
        self._claims.forget()
        self._discovered = time.monotonic() + _DISCOVERY
        other = self.find_stronger()
        if other is not None:
            self._rivals = f'{other} commands this robot, too'
            self._node.get_logger().error(
                f'{stood}, and {other} commands this robot by now; this node sends nothing more '
                'and is deactivated; to hand the robot back, deactivate that node and activate '
                'this one (safety.second_node)')
            self._deactivate()
            return
        self._node.get_logger().warning(
            f'{stood}, in which it sent nothing; no other node commands this robot, so it begins '
            'again, as after an activation')
        self.start()
        # Unless it was deactivated, as a claim arrived right after the check.
        if self._claims.own is not None:
            self._begin_again()

    def _find_others(self, now: float) -> str:
        """List the other publishers of command topics."""
        found = []
        for topic in self._topics:
            if self._node.count_publishers(topic) <= 1:
                self._twin_since.pop(topic, None)
                continue
            names = publisher_names(self._node, topic)
            mine = own_name(self._node)
            others = [name for name in names if name != mine]
            if names.count(mine) > 1:
                since = self._twin_since.setdefault(topic, now)
                if now - since > _GHOST:
                    others.append(f'another node of the name {mine}')
            if others:
                found.append(f'{listed(dict.fromkeys(others))} publishes on {topic}, too')
        return '; '.join(found)

    def _of_the_same_name(self, other: Claim) -> str:
        """Say that it may be another robot, if both nodes have the same name."""
        return (
            ', or another robot under the name of this node, where ~/stop may reach either'
            if other.node == self._node.get_fully_qualified_name() else '')

    def _say(self, text: str) -> None:
        """Log a line once in each activation."""
        if text and text not in self._said and len(self._said) < _MOST_LINES:
            self._said.add(text)
            self._node.get_logger().warning(text)


def _time_awake() -> float:
    """Read a clock in s that goes on while the machine is suspended, if the system has one."""
    return time.clock_gettime(_CLOCK)
