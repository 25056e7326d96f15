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
"""Subscriber to command topics, in a process of its own."""

from __future__ import annotations

from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from dfp_ros.node.ros.qos import SENSOR_QOS


def listen(domain: int, topics: list[tuple[type, str]], ready: Any) -> None:
    """Subscribe to topics as a robot does, in a separate process, until it is ended."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node('listener', context=context)
    for kind, topic in topics:
        node.create_subscription(kind, topic, lambda message: None, SENSOR_QOS)
    ready.set()
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.spin()
