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
"""Topic ``~/decision``: every decision, for recordings."""

from __future__ import annotations

from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision_row import DecisionRow
from dfp_ros.core.description.robot import count_slots
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.messages.preserialized import PreserializedRow
from dfp_ros.node.ros.qos import DECISION_QOS


class DecisionPublisher(Listener):
    """
    Publishes decisions as labelled rows of numbers.

    :param node: The node.
    :param loop: The control loop; policies that follow it have the same sizes.
    """

    def __init__(self, node: Node, loop: ControlLoop) -> None:
        """Create the publisher and the layout of its message."""
        spec = loop.policy.spec
        self._node = node
        self._is_lockstep = loop.is_lockstep
        self._row = DecisionRow(
            loop.robot.every_source, spec.observation_size,
            [(member.name, member.size) for member in spec.action],
            count_slots(loop.robot), loop.robot.takeover is not None,
            has_plan=loop.settings.planning.asynchronous,
            images=[image.name for image in loop.robot.images])
        self._layout = PreserializedRow(self._row.parts)
        self._publisher = node.create_publisher(Float64MultiArray, '~/decision', DECISION_QOS)

    def on_tick(self, tick: Tick) -> None:
        """Publish the decision of a tick."""
        row = self._row.write(
            tick.number, tick.now, self._is_lockstep, tick.decision, tick.samples, tick.entry)
        self._publisher.publish(self._layout.serialize(row))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
