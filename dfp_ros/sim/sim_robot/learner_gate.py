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
"""Gate of the simulated robot: physics wait until a learner has learned from each step."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

#: Topic of a learner, below its name, on which it says what it has learned from.
SEEN = 'seen'
SEEN_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
COMPLAIN_EVERY = 5.0
_LONGEST = 1000


def write_seen(stamp: int, marks: int) -> str:
    """
    Write what a learner has learned from.

    :param stamp: Time of the last decision in ns; 0 before the first.
    :param marks: Number of episode marks.
    """
    return json.dumps({'stamp': stamp, 'marks': marks})


class LearnerGate:
    """
    Hears what a learner has learned from.

    :param node: Node for the subscription.
    :param name: Relative or absolute name of the learner.
    :param wake: Called from the executor's thread when there is news.
    """

    def __init__(self, node: Node, name: str, wake: Callable[[], None]) -> None:
        """Subscribe."""
        self._node, self._name, self._wake = node, name, wake
        self._stamp, self._marks = 0, 0
        self._complaint = 0.0
        self._subscription = node.create_subscription(
            String, f'{name}/{SEEN}', self._hear, SEEN_QOS)

    @property
    def marks(self) -> int:
        """Return the number of episode marks that it has seen since it was started."""
        return self._marks

    def has_seen(self, stamp: int) -> bool:
        """Return whether it has learned from the decision of a time in ns."""
        return self._stamp >= stamp

    def wait_from(self, now: float) -> None:
        """
        Begin to wait.

        :param now: Monotonic time in s.
        """
        self._complaint = now + COMPLAIN_EVERY

    def complain(self, now: float) -> None:
        """
        Log that the robot waits, every few seconds.

        :param now: Monotonic time in s.
        """
        if now < self._complaint:
            return
        self._complaint = now + COMPLAIN_EVERY
        self._node.get_logger().warning(
            f'waiting for the learner {self._name!r}: {self._subscription.topic_name} has not '
            'said that it has learned from the last step or mark; start it, or set learner_node '
            "to ''")

    def _hear(self, message: Any) -> None:
        """Receive what it has learned from; anything else is ignored."""
        try:
            found = json.loads(message.data) if len(message.data) <= _LONGEST else {}
            self._stamp, self._marks = int(found['stamp']), int(found['marks'])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        self._wake()
