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
"""Tests of the log of command topics that nobody subscribes to."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray

from dfp_ros.node.ros.domain import free_domain
from testing.policies.small_policy import write_policy
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess, Peer


def test_a_robot_of_another_namespace(tmp_path: Path) -> None:
    """Each topic is said once, with the nearest that somebody listens to; a heard one is not."""
    domain = free_domain()
    with Peer(domain) as peer:
        for topic, kind in (
                ('/twist_command', TwistStamped), ('/left/gripper_command', Float64MultiArray)):
            peer.node.create_subscription(kind, topic, lambda message: None, 10)
        with NodeProcess(
                'dfp_ros.policy_node', domain, '--ros-args', '-r', '__ns:=/left',
                *arguments(write_policy(tmp_path / 'a.onnx'), latency_share=10.0)) as node:
            peer.wait_for(lambda: 'no subscriber on' in node.output)
            assert 'no subscriber on /left/twist_command: the robot gets no command' in node.output
            assert "did you mean '/twist_command'? (same type)" in node.output
            # Two more reports, which come once a second.
            reports: list[DiagnosticArray] = []
            peer.node.create_subscription(
                DiagnosticArray, '/diagnostics', reports.append, 10)
            peer.wait_for(lambda: len(reports) > 3)
            assert node.output.count('no subscriber on') == 1


def test_topics_that_the_node_itself_subscribes_to_are_no_controllers(tmp_path: Path) -> None:
    """Those of a person, which have the type of the command, and the nearest name."""
    domain = free_domain()
    with Peer(domain) as peer:
        peer.node.create_subscription(TwistStamped, '/twist_command', lambda message: None, 10)
        with NodeProcess(
                'dfp_ros.policy_node', domain, '--ros-args', '-r', 'twist_command:=servo/twist',
                *arguments(write_policy(tmp_path / 'a.onnx'), latency_share=10.0)) as node:
            peer.wait_for(lambda: 'no subscriber on /servo/twist' in node.output)
            assert '/twist_command' in node.output.partition('/servo/twist')[2]
