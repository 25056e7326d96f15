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
"""Log of command topics that nobody subscribes to."""

from __future__ import annotations

from collections.abc import Collection

from rclpy.node import Node

from dfp_ros.core.text.errors import nearest
from dfp_ros.node.ros.endpoints import similar_topics


class SubscriberMonitor:
    """
    Logs each command topic without a subscriber once, until it has had one.

    :param node: The node that publishes on them.
    """

    def __init__(self, node: Node) -> None:
        """Start without a topic."""
        self._node = node
        self._seen: set[str] = set()
        self._told: set[str] = set()

    def advance(self, unheard: Collection[str]) -> None:
        """
        Log topics that had no subscriber at the last call either, as discovery takes time.

        :param unheard: Full names of the command topics without a subscriber.
        """
        for topic in sorted(self._seen.intersection(unheard) - self._told):
            self._told.add(topic)
            self._node.get_logger().warning(
                f'no subscriber on {topic}: the robot gets no command; start its controller, or '
                f'correct the topic or the namespace{self._hint(topic)}')
        self._seen = set(unheard)
        self._told &= self._seen

    def _hint(self, topic: str) -> str:
        """Suggest a topic of the same type that somebody subscribes to."""
        types = dict(self._node.get_topic_names_and_types()).get(topic, ())
        found = {
            name for each in types
            for name in similar_topics(self._node, topic, each, is_taken=True)}
        return f'; {nearest(topic, sorted(found))} (same type)' if found else ''
