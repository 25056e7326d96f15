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
"""Clock of a node, in ns."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node


class NodeClock:
    """
    Returns the time of ``node.get_clock().now().nanoseconds`` in half the duration.

    :param node: The node; whether its time is simulated may change.
    """

    def __init__(self, node: Node) -> None:
        """Store the node."""
        self._node = node

    def now(self) -> int:
        """Return the time in ns."""
        clock: Any = self._node.get_clock()
        if clock.ros_time_is_active:
            return int(clock.now().nanoseconds)
        return time.time_ns()
