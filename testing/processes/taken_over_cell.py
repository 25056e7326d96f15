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
"""Policy node in a process, a robot that follows its commands, and a person with a pad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import threading
from typing import Any

from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.time import Time
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Float64, Float64MultiArray

from dfp_ros.core.control.decision import Commanding
from dfp_ros.core.control.decision_row import read_decision, RecordedDecision
from dfp_ros.node.ros.domain import free_domain
from testing.fixtures.people import DESCRIPTION, JOINTS, S
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess, Peer

_OF_ROBOT = ('joint_states', 'target_pose')


class TakenOverCell:
    """
    Policy node, robot and person.

    :param policy: The policy file.
    :param lockstep: Whether the node ticks at the robot's samples, whose time is another one.
    :param parameters: Additional parameters of the node.

    :ivar is_held: Whether the person holds the dead-man.
    :ivar axes: Of the pad.
    :ivar leader: Joints that the person holds; None to be silent.
    :ivar silent: Topics that are not published.
    """

    def __init__(self, policy: Path, lockstep: bool = False, **parameters: Any) -> None:
        """Start the node, and publish from a thread at 100 Hz."""
        self.is_held, self.axes, self.leader = False, [0.0] * 4, [0.0, 0.0]
        self.silent: set[str] = set()
        self._lockstep = lockstep
        if lockstep:
            parameters['trigger'] = 'samples'
        self.domain = free_domain()
        self.process = NodeProcess(
            'dfp_ros.policy_node', self.domain, '--ros-args', *arguments(
                policy, **{'robot': DESCRIPTION, 'publish_decisions': 'true', **parameters}))
        self.peer = Peer(self.domain)
        self._rows: list[Float64MultiArray] = self.peer.collect(
            Float64MultiArray, 'dfp_policy/decision', 500)
        self._position = [0.1, -0.2, 0.3, 0.5]
        self.peer.node.create_subscription(Float64MultiArray, 'arm/commands', self._follow, 10)
        self.peer.node.create_subscription(Float64, 'slide/target', self._slide, 10)
        self._publishers = {
            topic: self.peer.node.create_publisher(kind, topic, 5) for topic, kind in (
                ('joint_states', JointState), ('target_pose', PoseStamped), ('joy', Joy),
                ('leader/joint_states', JointState))}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> TakenOverCell:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.leave()
        self._ended.set()
        self._thread.join()
        self.peer.__exit__()

    @property
    def decisions(self) -> list[RecordedDecision]:
        """Read all decisions so far."""
        return [
            read_decision([(part.label, part.size) for part in row.layout.dim], row.data)
            for row in self._rows]

    def wait_for(
            self, condition: Callable[[RecordedDecision], object], count: int = 1,
    ) -> list[RecordedDecision]:
        """Wait for so many new decisions in a row that fulfil a condition; return all new ones."""
        begin = len(self._rows)

        def is_reached() -> bool:
            newest = self._rows[begin:][-count:]
            return len(newest) == count and all(condition(read_decision(
                [(part.label, part.size) for part in row.layout.dim], row.data))
                for row in newest)
        self.peer.wait_for(is_reached)
        return self.decisions[begin:]

    def wait_for_person(self, count: int = 3) -> list[RecordedDecision]:
        """Wait until the person commands."""
        return self.wait_for(lambda each: each.commander is Commanding.PERSON, count)

    def wait_for_policy(self, count: int = 3) -> list[RecordedDecision]:
        """Wait until the policy commands."""
        return self.wait_for(lambda each: each.commander is Commanding.POLICY, count)

    def _follow(self, message: Float64MultiArray) -> None:
        self._position[:3] = message.data.tolist()

    def _slide(self, message: Float64) -> None:
        self._position[3] = message.data

    def _publish(self) -> None:
        ticks = 0
        while not self._ended.wait(0.01):
            stamp = of_robot = self.peer.node.get_clock().now().to_msg()
            if self._lockstep:
                ticks += 1
                of_robot = Time(nanoseconds=100 * S + ticks * S // 20).to_msg()
            buttons = [0, 0, 0, 0, int(self.is_held), 0]
            messages = {
                'joint_states': JointState(name=[*JOINTS, 'slide'], position=self._position),
                'target_pose': PoseStamped(), 'joy': Joy(axes=self.axes, buttons=buttons),
                'leader/joint_states': JointState(
                    name=['leader_base', 'leader_shoulder'], position=self.leader)}
            for topic, message in messages.items():
                if topic not in self.silent:
                    message.header.stamp = of_robot if topic in _OF_ROBOT else stamp
                    self._publishers[topic].publish(message)


def sent(decision: RecordedDecision) -> np.ndarray | None:
    """Concatenate the command that was sent; None if there was none."""
    return None if decision.sent is None else np.concatenate(list(decision.sent.values()))
