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
"""Descriptions of one of several robots on the network, each in a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from dfp_ros.tools.describe.scaffold import ScaffoldError, write_scaffold

rclpy = pytest.importorskip('rclpy')


@pytest.fixture
def two_robots() -> Iterator[Any]:
    """Publish joints and take commands in the namespaces left and left_arm; give the context."""
    from geometry_msgs.msg import TwistStamped
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import JointState

    from dfp_ros.node.ros.domain import free_domain
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    executor = SingleThreadedExecutor(context=context)
    nodes = []
    for namespace in ('left', 'left_arm'):
        node = rclpy.create_node('driver', namespace=namespace, context=context)
        node.create_publisher(JointState, 'joint_states', 10)
        node.create_subscription(TwistStamped, 'twist_command', lambda message: None, 10)
        executor.add_node(node)
        nodes.append(node)
    yield context
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def describe(context: Any, namespace: str) -> str:
    """Describe the robot in a namespace."""
    from dfp_ros.tools.describe.listener import RobotListener
    node = rclpy.create_node('dfp_describe', namespace=namespace, context=context)
    listener = RobotListener(node)
    try:
        return write_scaffold(listener.listen(1.0), 'robot')
    finally:
        listener.close()
        node.destroy_node()


def test_a_robot_in_a_namespace_has_no_topics_of_another(two_robots: Any) -> None:
    """Above all no commands; they are named, as a shared sensor may be among them."""
    text = describe(two_robots, 'left')
    found = yaml.safe_load(text)
    assert [source['topic'] for source in found['sources'].values()] == ['joint_states']
    assert [command['topic'] for command in found['commands'].values()] == ['twist_command']
    for topic in ('joint_states', 'twist_command'):
        assert f'#   /left_arm/{topic}: outside the namespace /left; without __ns' in text


def test_without_a_namespace_all_robots_are_described(two_robots: Any) -> None:
    """Each topic with its namespace."""
    found = yaml.safe_load(describe(two_robots, ''))
    assert {command['topic'] for command in found['commands'].values()} >= {
        'left/twist_command', 'left_arm/twist_command'}


def test_a_namespace_without_a_robot_is_told_where_robots_are(two_robots: Any) -> None:
    """A slip in its name is seen at once."""
    with pytest.raises(
            ScaffoldError, match='outside the namespace /lefft are .*/left/joint_states'):
        describe(two_robots, 'lefft')
