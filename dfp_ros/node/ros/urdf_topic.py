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
"""URDF from the topic ``robot_description`` of ``robot_state_publisher``."""

from __future__ import annotations

import threading
import time

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_msgs.msg import String

from dfp_ros.core.command.robot_limits import require_joints
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.urdf import read_joint_limits, UrdfError

TOPIC = 'robot_description'
# As robot_state_publisher publishes it.
URDF_QOS = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Wait for further publishers after the first, in s.
_OTHERS = 0.3
# Period of the check whether the node has to end, in s.
_POLL = 0.1


def with_urdf(
        node: Node, robot: RobotDescription, seconds: float,
        ending: threading.Event | None = None) -> RobotDescription:
    """
    Add the limits of the robot's URDF, if its description refers to them.

    :param node: The node that needs them; see :func:`wait_for_urdf`.
    :param robot: The robot's description.
    :param seconds: Timeout in s.
    :param ending: Set to abort the wait.
    :raises UrdfError: If none arrived in time, it is invalid, or it lacks a required joint.
    :raises LimitError: If the limits of such a joint are invalid.
    """
    if not robot.needs_urdf:
        return robot
    return require_joints(robot, read_joint_limits(wait_for_urdf(node, seconds, ending)))


def wait_for_urdf(node: Node, seconds: float, ending: threading.Event | None = None) -> str:
    """
    Wait for the URDF, which may have been published long ago.

    A separate node subscribes, so that this may be called within a callback of the given node.

    :param node: The node that needs it, whose namespace and remappings apply.
    :param seconds: Timeout in s.
    :param ending: Set to abort the wait.
    :raises UrdfError: If none arrived in time.
    """
    until = time.monotonic() + seconds
    topic = node.resolve_topic_name(TOPIC)
    # Without a service of its own, which would need a permission of SROS2.
    listener = Node(
        f'{node.get_name()}_urdf', context=node.context, use_global_arguments=False,
        start_parameter_services=False, parameter_overrides=[
            Parameter('start_type_description_service', value=False)])
    executor = SingleThreadedExecutor(context=node.context)
    arrived: Future = Future(executor=executor)
    texts: list[str] = []

    def receive(message: String) -> None:
        texts.append(message.data)
        if not arrived.done():
            arrived.set_result(True)

    try:
        listener.create_subscription(String, topic, receive, URDF_QOS)
        executor.add_node(listener)
        while not arrived.done() and (left := until - time.monotonic()) > 0:
            if ending is not None and ending.is_set():
                raise UrdfError(f'topic {topic}: the node was asked to end before a URDF came')
            executor.spin_once(min(left, _POLL))
        # The limits must not depend on the order of arrival of several URDFs.
        if arrived.done():
            executor.spin_until_future_complete(Future(executor=executor), _OTHERS)
            publishers = sorted(
                end.node_namespace.rstrip('/') + '/' + end.node_name
                for end in listener.get_publishers_info_by_topic(topic))
    finally:
        executor.shutdown()
        listener.destroy_node()
    if not arrived.done():
        raise UrdfError(
            f'topic {topic}: no URDF came within {seconds:g} s; start robot_state_publisher, '
            f'remap {TOPIC}, or give limits as numbers in the robot description')
    if len(set(texts)) > 1:
        raise UrdfError(
            f'topic {topic}: found different URDFs, published by {", ".join(publishers)}; end '
            f'all but one of them, or remap {TOPIC}')
    return texts[0]
