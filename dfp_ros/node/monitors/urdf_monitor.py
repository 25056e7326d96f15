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
"""URDF monitor: reports a URDF with other limits than the node was configured with."""

from __future__ import annotations

import functools
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import String

from dfp_ros.core.command.robot_limits import describe_changes
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.urdf import read_joint_limits
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.printable import FEW, printable, TEXT
from dfp_ros.node.ros.background_worker import BackgroundWorker
from dfp_ros.node.ros.urdf_topic import TOPIC, URDF_QOS


class UrdfMonitor:
    """
    Hears each URDF that is published, if the robot's description takes limits from it.

    The limits in use are not changed until the node is configured again.

    :param node: The node, for its log.
    :param robot: The robot's description, with the joints of its URDF.
    :param worker: Reads the URDFs, which may be large.
    """

    def __init__(self, node: Node, robot: RobotDescription, worker: BackgroundWorker) -> None:
        """Subscribe, which brings the URDFs that were published before."""
        self._node = node
        self._robot = robot
        self._worker = worker
        self._topic = node.resolve_topic_name(TOPIC)
        self._newest = b''
        self._change = self._said = ''
        self._subscription = node.create_subscription(
            String, TOPIC, self._receive, URDF_QOS, raw=True) if robot.needs_urdf else None

    def say_again(self) -> None:
        """Log the difference again, if there is one."""
        if self._change:
            self._said = self._change
            self._node.get_logger().warning(self._change)

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics."""
        return {} if self._subscription is None else {'urdf_changed': self._change}

    def close(self) -> None:
        """Destroy the subscription."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def _receive(self, content: Any) -> None:
        """Have a message compared in the background, unless it is the last one again."""
        if content == self._newest:
            return
        self._newest = content
        self._worker.submit(
            functools.partial(self._compare, content), functools.partial(self._note, content),
            lambda error: self._note(content, (
                f'the URDF on {self._topic} has changed since the node was configured, and cannot '
                f'be used any more: {explain(error)}; the node keeps the limits of then, and '
                'could not be configured again')))

    def _compare(self, content: bytes) -> str:
        """
        Describe how the limits of a URDF differ from those in use; empty if they do not.

        :raises ValueError: If it cannot be used.
        """
        if content is not self._newest:
            return ''  # replaced already, so the result is dropped
        changes = describe_changes(
            self._robot, read_joint_limits(deserialize_message(content, String).data))
        if not changes:
            return ''
        more = f'; and {len(changes) - FEW} more' if len(changes) > FEW else ''
        return (
            f'the URDF on {self._topic} has changed since the node was configured: '
            f'{"; ".join(changes[:FEW])}{more}; the node keeps the limits of then: to use the new '
            'ones, deactivate it, clean it up and configure again')

    def _note(self, content: bytes, change: str) -> None:
        """Keep the result, and log it once."""
        if content is not self._newest:
            return
        self._change = printable(change, TEXT)
        # Two publishers may contradict each other without end.
        if self._change and self._change != self._said:
            self.say_again()
