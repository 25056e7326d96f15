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
"""QoS monitor: mismatches are reported once, and their end too."""

from __future__ import annotations

from pathlib import Path
import threading
from typing import Any

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos_monitor import QosMonitor
from testing.fixtures.people import spec_of, taken_over
from testing.processes.policy_cell import arguments, Cell, SHIPPED
from testing.processes.ros_processes import NodeProcess, Peer
from testing.processes.taken_over_cell import TakenOverCell

GRIPPER = """topic: gripper_state
    type: sensor_msgs/msg/JointState
"""


def test_both_ends_are_named_until_it_is_over(tmp_path: Path) -> None:
    """Log and diagnostics have requested and offered QoS, the node, and the remedy."""
    robot = tmp_path / 'robot.yaml'
    text = SHIPPED.read_text()
    assert GRIPPER in text
    robot.write_text(text.replace(GRIPPER, f'{GRIPPER}    qos:\n      reliability: reliable\n'))
    domain = free_domain()
    with Peer(domain) as peer:
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        publisher = peer.node.create_publisher(JointState, 'left/gripper_state', best_effort)
        wrong = peer.node.create_publisher(JointState, 'left/effector_pose', best_effort)
        # One that matches is no trouble.
        peer.node.create_publisher(JointState, 'left/joint_states', best_effort)
        subscription = peer.node.create_subscription(
            Float64MultiArray, 'left/gripper_command', print, QoSProfile(
                depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        reports: list[Any] = peer.collect(DiagnosticArray, '/diagnostics')

        def topics() -> DiagnosticStatus | None:
            return next((
                status for report in reports[-1:] for status in report.status
                if status.name == '/left/dfp_policy: topics'), None)

        def named() -> set[str]:
            """List the mismatching topics, once their other end has been discovered."""
            status = topics()
            return {
                item.key for item in status.values if 'somebody' not in item.value
            } if status else set()

        with NodeProcess(
                'dfp_ros.policy_node', domain, '--ros-args', '-r', '__ns:=/left',
                *arguments(write_policy(tmp_path / 'small.onnx'), robot=robot)) as process:
            peer.wait_for(lambda: named() == {
                '/left/gripper_state', '/left/gripper_command', '/left/effector_pose'})
            status = topics()
            assert status is not None
            assert status.level == DiagnosticStatus.ERROR
            said = {item.key: item.value for item in status.values}
            assert said['/left/gripper_state'] == (
                'nothing comes from /peer: requested reliable, volatile, offered best_effort, '
                'volatile (Best effort publisher and reliable subscription); change qos of the '
                'source in the robot description, or what the publisher offers')
            assert said['/left/effector_pose'].startswith(
                'nothing comes from /peer: its type is sensor_msgs/msg/JointState, the robot '
                'description says geometry_msgs/msg/PoseStamped')
            assert said['/left/gripper_command'].startswith(
                'nothing gets to /peer: requested reliable, transient_local, offered reliable, '
                'volatile')
            # Once more, by another publisher: the log has said it of this topic.
            another = peer.node.create_publisher(
                JointState, 'left/gripper_state', best_effort)
            reports.clear()
            peer.wait_for(lambda: len(reports) > 1)
            for topic in said:
                lines = [
                    line for line in process.output.splitlines() if f'topic {topic}: ' in line]
                assert len(lines) == 1, process.output
            for made in (publisher, another, wrong):
                peer.node.destroy_publisher(made)
            peer.node.destroy_subscription(subscription)
            peer.wait_for(lambda: reports and topics() and not named())
            status = topics()
            assert status is not None
            assert (status.level, status.message) == (DiagnosticStatus.OK, 'match')
            assert process.stop() == 0
            assert 'Traceback' not in process.output


def test_a_driver_that_comes_back_with_other_messages(tmp_path: Path) -> None:
    """It is named as at the start, and so is a person's topic with other messages."""
    policy = write_policy(tmp_path / 'random.onnx', spec_of(taken_over()))
    with TakenOverCell(policy) as cell, Peer(cell.domain) as peer:
        reports = cell.peer.collect(DiagnosticArray, '/diagnostics')

        def said() -> dict[str, str]:
            return {
                item.key: item.value for report in reports[-1:] for status in report.status
                if status.name.endswith(': topics') for item in status.values}

        cell.wait_for_policy()
        reports.clear()
        cell.peer.wait_for(lambda: reports)
        assert not said()
        cell.silent |= {'target_pose', 'joy'}
        cell.wait_for(lambda row: Reason.STALE in row.reason)
        for topic in cell.silent:
            cell.peer.node.destroy_publisher(cell._publishers[topic])
        other = [peer.node.create_publisher(JointState, topic, 1) for topic in sorted(cell.silent)]
        cell.peer.wait_for(lambda: set(said()) == {'/joy', '/target_pose'}, 30.0)
        for topic in 'joy', 'target_pose':
            assert said()[f'/{topic}'].startswith(
                'nothing comes from /peer: its type is sensor_msgs/msg/JointState, the robot ')
            assert f'topic /{topic}: nothing comes from /peer' in cell.process.output
        for each in other:
            peer.node.destroy_publisher(each)
        # That nobody takes over is no fault.
        cell.peer.wait_for(lambda: not said(), 30.0)


def test_a_topic_in_another_namespace_is_named() -> None:
    """As long as nothing publishes the source's own; one of another type is none."""
    domain = free_domain()
    with Peer(domain) as peer, Peer(domain) as other:
        for topic, kind in (
                ('/joint_states', JointState), ('/a/joint_states', Float64MultiArray),
                ('/a/others', JointState)):
            other.node.create_publisher(kind, topic, 1)
        # What the node itself publishes is no source of it.
        peer.node.create_publisher(JointState, '/b/joint_states', 1)
        watch = QosMonitor(peer.node)
        watch.watch_source('/left/joint_states', 'sensor_msgs/msg/JointState')
        peer.node.create_subscription(JointState, '/left/joint_states', print, 1)

        def said() -> dict[str, str]:
            status = watch.status('peer', ['/left/joint_states'])
            return {item.key: item.value for item in status.values}

        peer.wait_for(lambda: bool(said()))
        assert said() == {'/left/joint_states': (
            'nothing publishes it, but /joint_states (same type); change the namespace, or remap '
            'the topic')}
        other.node.create_publisher(JointState, '/left/joint_states', 1)
        peer.wait_for(lambda: not said())


def test_an_incompatible_publisher_beside_another_is_found(tmp_path: Path) -> None:
    """Although the source has messages."""
    with Peer(free_domain()) as peer:
        watch = QosMonitor(peer.node)
        for topic in ('/others', '/joint_states'):
            watch.watch_source(topic, 'sensor_msgs/msg/JointState')
            peer.node.create_subscription(JointState, topic, print, 1)
        peer.node.create_publisher(JointState, '/joint_states', 1)
        peer.node.create_publisher(JointState, '/joint_states', QoSProfile(
            depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))

        def said() -> list[str]:
            return [item.key for item in watch.status('peer').values]

        peer.wait_for(lambda: said() == ['/joint_states'])
        # Nothing has to come from the other one, though there is one of its name elsewhere.
        peer.node.create_publisher(JointState, '/elsewhere/others', 1)
        peer.wait_for(lambda: peer.node.count_publishers('/elsewhere/others'))
        assert [said() for _ in range(4)] == [['/joint_states']] * 4


def test_incompatible_subscribers_end_no_node_that_is_cleaned_up(tmp_path: Path) -> None:
    """The process ended with a segmentation fault within two to seven times."""
    with Cell(write_policy(tmp_path / 'small.onnx')) as cell, Crowd(cell.domain):
        for _ in range(6):
            cell.wait_for_motion()
            for transition in (
                    Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                    Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                request = ChangeState.Request()
                request.transition.id = transition
                answer = cell.peer.ask(ChangeState, 'dfp_policy/change_state', request)
                cell.peer.wait_for(lambda answer=answer: (
                    answer.done() or cell.process.process.poll() is not None))
                assert cell.process.process.poll() is None, cell.process.output
                assert answer.result().success


class Crowd:
    """
    Subscribers that a command's publisher is incompatible with, and that come and go.

    :param domain: ROS domain.
    """

    def __init__(self, domain: int) -> None:
        """Prepare the thread."""
        self._domain = domain
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._come_and_go)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _come_and_go(self) -> None:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        with Peer(self._domain) as crowd:
            while not self._ended.wait(0.03):
                made = [
                    crowd.node.create_subscription(kind, topic, print, latched)
                    for kind, topic in (
                        (TwistStamped, 'twist_command'), (Float64MultiArray, 'gripper_command'))
                    for _ in range(6)]
                self._ended.wait(0.03)
                for each in made:
                    crowd.node.destroy_subscription(each)
