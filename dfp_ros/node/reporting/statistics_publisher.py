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
Topic ``~/statistics``: ten rows of numbers a second, for plots.

It is a std_msgs/Float64MultiArray, which every plotting tool can index; ``layout.dim`` names the
parts, and the plot layouts in config name the curves. Messages with names of their own are not
supported by all tools.
"""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.messages.preserialized import PreserializedRow
from dfp_ros.node.reporting.statistics_row import StatisticsRow
from dfp_ros.node.ros.qos import DECISION_QOS

_PERIOD = 0.1  # s


class StatisticsPublisher:
    """
    Publishes statistics while a node is configured.

    :param node: The node.
    :param ticker: Its ticker.
    """

    def __init__(self, node: Node, ticker: Ticker) -> None:
        """Create publisher, timer and the layout of the message."""
        self._node = node
        self._ticker = ticker
        loop = ticker.loop
        self._row = StatisticsRow(
            loop.robot.sources,
            [(member.name, member.size) for member in loop.policy.spec.action])
        self._layout = PreserializedRow(self._row.parts)
        self._publisher = node.create_publisher(Float64MultiArray, '~/statistics', DECISION_QOS)
        # As many in a second of a simulation, however fast; a clock that is set must not end them.
        clock = node.get_clock() if node.get_parameter('use_sim_time').value else (
            Clock(clock_type=ClockType.STEADY_TIME))
        self._timer = node.create_timer(_PERIOD, self.publish, clock=clock)

    def publish(self) -> None:
        """Publish one row."""
        ticker, statistics = self._ticker, self._ticker.statistics
        row = self._row.write(
            statistics.ticks, statistics.missed_ticks, statistics.peaks(), ticker.log.last,
            ticker.store.samples, self._node.get_clock().now().nanoseconds, ticker.operator_stops)
        self._publisher.publish(self._layout.serialize(row))

    def close(self) -> None:
        """Destroy publisher and timer."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
