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
"""Topic of episode marks, for programs that publish marks and hear those of others."""

from __future__ import annotations

from collections.abc import Callable
import time

from rclpy.node import Node
from std_msgs.msg import String

from dfp_ros.core.control.episode_marks import MARKS, TOPIC

# Time in s in which a mark that was published comes back.
_ECHO = 2.0


class MarkTopic:
    """
    Publisher of marks, and subscription to those of other nodes.

    :param node: The node.
    :param take: Gets each mark of another node.
    """

    def __init__(self, node: Node, take: Callable[[str], object]) -> None:
        """Create publisher and subscription."""
        self._take = take
        self._publisher = node.create_publisher(String, TOPIC, 10)
        # Own marks that have not come back yet, with the times at which they are given up.
        self._echoes: list[tuple[str, float]] = []
        node.create_subscription(String, TOPIC, self._hear, 100)

    def publish(self, mark: str) -> None:
        """Publish a mark."""
        self._echoes.append((mark, time.monotonic() + _ECHO))
        self._publisher.publish(String(data=mark))

    def _hear(self, message: String) -> None:
        """Hear a mark, which may be an own one."""
        now = time.monotonic()
        self._echoes = [(mark, until) for mark, until in self._echoes if now < until]
        for echo in self._echoes:
            if echo[0] == message.data:
                self._echoes.remove(echo)
                return
        if message.data in MARKS:
            self._take(message.data)
