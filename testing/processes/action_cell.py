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
"""Policy node whose commands are goals of actions, and the robot that takes them, as processes."""

from __future__ import annotations

import json
from pathlib import Path
import threading
from typing import Any

from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from testing import ROOT
from testing.policies.small_policy import write_policy
from testing.processes.heard_decisions import HeardDecisions
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess, Peer

JOINTS = ['shoulder', 'elbow']
ROBOT = ROOT / 'testing' / 'data' / 'action_arm.yaml'
SPEC = PolicySpec(
    name='actions', environment='none', period=0.05, horizon=10,
    observation=(
        ObservationField('joint_positions', 2, 'rad', (-2.0,) * 2, (2.0,) * 2),
        ObservationField('part_position', 3, 'm', (-1.0,) * 3, (1.0,) * 3)),
    action=(
        ActionField('joint_targets', 2, 'rad', (-1.5,) * 2, (1.5,) * 2, (-1.0,) * 2, (1.0,) * 2),
        ActionField('grip', 1, 'm', (0.0,), (0.08,), (-1.0,), (1.0,))))


class Said:
    """What the robot has said."""

    def __init__(self, peer: Peer) -> None:
        """Listen."""
        self._messages = peer.collect(String, 'said', 1000)

    def all(self, event: str, begin: int = 0) -> list[dict[str, Any]]:
        """Return all that was said of a kind."""
        found = [json.loads(message.data) for message in self._messages[begin:]]
        return [each for each in found if each['event'] == event]

    def __len__(self) -> int:
        """Count everything."""
        return len(self._messages)


class ActionCell:
    """
    A policy node and an arm with a gripper that take goals, which a test hears.

    The action of the gripper is remapped: goals go where the user said.

    :param folder: Folder for the policy file.
    :param packages: Environment variables with the message packages; see
        :func:`testing.messages.packages.message_packages`.

    :ivar policy: The policy file.
    """

    def __init__(self, folder: Path, packages: dict[str, str]) -> None:
        """Start robot and node."""
        self.policy, self.domain = write_policy(folder / 'p.onnx', SPEC), free_domain()
        self.peer = Peer(self.domain)
        self.heard, self.said = HeardDecisions(self.peer), Said(self.peer)
        self._behave = self.peer.node.create_publisher(String, 'behave', 10)
        self.robot = NodeProcess('testing.processes.action_robot', self.domain, **packages)
        self.node = NodeProcess(
            'dfp_ros.policy_node', self.domain, '--ros-args', *arguments(
                self.policy, robot=ROBOT, publish_decisions='true'), '-r',
            'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages)

    def __enter__(self) -> ActionCell:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(self.node.output)
        for process in (self.node, self.robot):
            process.leave()
        self.peer.__exit__()

    def behave(self, word: str) -> None:
        """Tell the robot what to do, and wait until it says that it does."""
        begin = len(self.said)
        self.peer.wait_for(self._behave.get_subscription_count)
        self._behave.publish(String(data=word))
        self.peer.wait_for(lambda: self.said.all('behaves', begin))

    def call(self, service: str) -> None:
        """Call a service of the node, such as ``stop``."""
        assert self.peer.call(Trigger, f'dfp_policy/{service}').success

    def change(self, *transitions: int) -> None:
        """Change the state of the node."""
        for transition in transitions:
            request = ChangeState.Request()
            request.transition.id = transition
            answer = self.peer.ask(ChangeState, 'dfp_policy/change_state', request)
            self.peer.wait_for(lambda answer=answer: (
                answer.done() or self.node.process.poll() is not None))
            assert self.node.process.poll() is None, self.node.output
            assert answer.result().success

    def await_running(self, count: int = 8, timeout: float = 120.0) -> None:
        """Wait until it runs, and no goal has failed."""
        self.heard.await_one(runs, count, timeout)


class Leading:
    """A person who holds the dead-man within."""

    def __init__(self, peer: Peer) -> None:
        """Create the publisher."""
        self._peer = peer
        self._publisher = peer.node.create_publisher(JointState, 'leader', 10)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> Leading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _publish(self) -> None:
        while not self._ended.wait(0.05):
            message = JointState(name=JOINTS, position=[0.0, 0.0])
            message.header.stamp = self._peer.node.get_clock().now().to_msg()
            self._publisher.publish(message)


def has_failed(row: RecordedDecision) -> bool:
    """Tell whether a failed goal holds the robot."""
    return Reason.GOAL_FAILED in row.reason and row.state is State.HOLD


def runs(row: RecordedDecision) -> bool:
    """Tell whether the policy runs, and no goal has failed."""
    return row.state is State.RUNNING and not row.reason & Reason.GOAL_FAILED
