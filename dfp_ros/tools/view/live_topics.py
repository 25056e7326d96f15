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
"""Subscriptions of a view in Rerun, to a policy node and to its robot."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from rclpy.node import Node

from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.messages.introspection import find_message_type
from dfp_ros.node.ros.qos import SENSOR_QOS, STATUS_QOS
from dfp_ros.tools.view.rerun_log import RerunLog
from dfp_ros.tools.view.shown_topics import MOST_TOPICS, node_topics, robot_topics, Shown

# Period in s at which topics are looked for that are new.
_DISCOVERY = 1.0


class LiveTopics:
    """
    Subscriptions to everything that is shown, as it appears.

    They are best-effort, so that a view that falls behind delays nobody; the policy's status
    alone, which is sent once, is asked for.

    :param node: Node for the subscriptions.
    :param policy_node: Full name of the policy node.
    :param log: Takes the messages.
    """

    def __init__(self, node: Node, policy_node: str, log: RerunLog) -> None:
        """Subscribe to the policy node; :meth:`discover` finds the robot."""
        self._node = node
        self._log = log
        self._next = 0.0
        self._known: set[str] = set()
        for topic, shown in node_topics(policy_node).items():
            self._subscribe(topic, shown)

    def discover(self, now: float) -> None:
        """
        Subscribe to topics of the robot that are new.

        :param now: The time in s, on any monotonic clock.
        """
        if now < self._next:
            return
        self._next = now + _DISCOVERY
        types = {
            topic: kinds for topic, kinds in self._node.get_topic_names_and_types()
            if topic not in self._known and len(kinds) == 1
            and self._node.count_publishers(topic)}
        for topic, shown in robot_topics(types).items():
            if len(self._known) < MOST_TOPICS:
                self._subscribe(topic, shown)

    def _subscribe(self, topic: str, shown: Shown) -> None:
        self._known.add(topic)
        try:
            kind = find_message_type(shown.type, topic)
        except DescriptionError:
            return
        qos: Any = SENSOR_QOS
        if shown is Shown.POLICY:
            qos = STATUS_QOS
        elif shown is Shown.MARK:
            qos = 10
        self._node.create_subscription(kind, topic, self._hear(topic, shown), qos)

    def _hear(self, topic: str, shown: Shown) -> Callable[[Any], None]:
        def hear(message: Any) -> None:
            self._log.take(topic, shown, message, time.time_ns())
        return hear
