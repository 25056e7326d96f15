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
Robot at rest in a separate process, which can be killed.

``python -m testing.faults.scripted_robot positions``
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.node import Node
from rclpy.time import Time

from testing.faults.robots import ROBOTS


def main() -> None:
    """Publish at 100 Hz until killed."""
    robot = next(robot for robot in ROBOTS if robot.name == sys.argv[1])
    rclpy.init()
    node = Node('scripted_robot')
    publishers = {
        topic: node.create_publisher(type(message), topic, 5)
        for topic, message in robot.messages(Time().to_msg()).items()}

    def publish() -> None:
        messages = robot.messages(node.get_clock().now().to_msg())
        for topic, message in messages.items():
            publishers[topic].publish(message)

    node.create_timer(0.01, publish)
    rclpy.spin(node)


if __name__ == '__main__':
    main()
