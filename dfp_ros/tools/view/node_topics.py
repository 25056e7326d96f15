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
"""Subscriptions of the terminal view to a policy node."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray, String

from dfp_ros.core.control.episode_marks import TOPIC as MARKS
from dfp_ros.node.ros.qos import SENSOR_QOS
from dfp_ros.tools.view.situation import Situation


class NodeTopics:
    """
    Subscriptions that fill a situation.

    Those of the node are best-effort: a view that falls behind misses rows, and delays nobody.

    :param node: Node for the subscriptions.
    :param situation: What they fill; it names the policy node.
    """

    def __init__(self, node: Node, situation: Situation) -> None:
        """Subscribe."""
        self._situation = situation
        node.create_subscription(
            Float64MultiArray, f'{situation.node}/statistics', self._hear_statistics, SENSOR_QOS)
        node.create_subscription(
            DiagnosticArray, '/diagnostics', situation.take_diagnostics, SENSOR_QOS)
        # Marks are few, and none may be missed.
        namespace = situation.node.rpartition('/')[0]
        node.create_subscription(String, f'{namespace}/{MARKS}', self._hear_mark, 10)

    def _hear_statistics(self, message: Any) -> None:
        self._situation.take_statistics(message, time.monotonic())

    def _hear_mark(self, message: Any) -> None:
        self._situation.take_mark(message.data, time.monotonic())
