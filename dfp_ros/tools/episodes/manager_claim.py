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
Claim to the episodes of a policy node: of two programs that run them, the later one is refused.

These are the episode manager, and the evaluation on a robot.
"""

from __future__ import annotations

import platform
import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from dfp_ros.node.monitors.claim import BEAT, Claim, Claims, TIMEOUT

# Topic below the policy node's name; hidden, as its last part begins with an underscore.
_TOPIC = '_episode_manager'
# Time that DDS needs for the discovery of other managers, in s.
_DISCOVERY = 1.5
# time.monotonic() stands still while the machine is suspended.
_CLOCK: int = getattr(time, 'CLOCK_BOOTTIME', time.CLOCK_MONOTONIC)


class ManagerClaim:
    """
    Publishes the claim of this program, and hears those of others.

    A program that stood still (SIGSTOP, a suspended machine) for longer than its claim is valid
    may have been replaced; it claims the policy node again only if no other has.

    :param node: The node.
    :param policy_node: Full name of the policy node.
    """

    def __init__(self, node: Node, policy_node: str) -> None:
        """Listen, without a claim."""
        self._claims = Claims(node.get_fully_qualified_name(), platform.node())
        topic, qos = f'{policy_node}/{_TOPIC}', QoSProfile(depth=10)
        self._publisher = node.create_publisher(String, topic, qos)
        self._subscription = node.create_subscription(String, topic, self._hear, qos)
        self._discovered = time.monotonic() + _DISCOVERY
        self._message = String()
        self._published = _time_awake()
        node.create_timer(BEAT, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def take(self) -> Claim | None:
        """
        Claim the policy node, unless another has.

        It blocks for about two seconds; call it before the node spins.

        :return: The stronger claim of another; None if this program has the policy node.
        """
        if (other := self._listen(self._discovered)) is not None:
            return other
        self._claim()
        # Of two that start at the same time, both have claimed it by then.
        return self.check() or self._listen(time.monotonic() + 2 * BEAT)

    def check(self) -> Claim | None:
        """
        Return the stronger claim of another, or None.

        It blocks for a moment if this process stood still.
        """
        if self._claims.own is not None and _time_awake() - self._published >= TIMEOUT:
            self._claims.drop()
            # What waits to be received may be older than the silence.
            self._receive()
            self._claims.forget()
            if (other := self._listen(time.monotonic() + 2 * BEAT)) is not None:
                return other
            self._claim()
        return self._claims.stronger(time.monotonic())

    def _listen(self, until: float) -> Claim | None:
        """Listen for others, and keep up an own claim."""
        while True:
            self._receive()
            if self._claims.own is not None:
                self._beat()
            found = self._claims.stronger(time.monotonic())
            if found is not None or time.monotonic() >= until:
                return found
            time.sleep(0.02)

    def _claim(self) -> None:
        self._message = String(data=self._claims.make(time.time_ns()).to_json())
        self._publish()

    def _beat(self) -> None:
        silence = _time_awake() - self._published
        if self._claims.own is not None and BEAT / 2 <= silence < TIMEOUT:
            self._publish()

    def _publish(self) -> None:
        self._published = _time_awake()
        self._publisher.publish(self._message)

    def _receive(self) -> None:
        """Receive waiting claims, while the node does not spin."""
        with self._subscription.handle:
            while (taken := self._subscription.handle.take_message(String, False)) is not None:
                self._hear(taken[0])

    def _hear(self, message: String) -> None:
        self._claims.hear(message.data, time.monotonic())


def _time_awake() -> float:
    """Read a clock in s that goes on while the machine is suspended, if the system has one."""
    return time.clock_gettime(_CLOCK)
