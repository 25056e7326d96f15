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
"""Node, recorder and replay with a latched goal, and joints in two messages."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import read_decision, RecordedDecision
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.tools.replay.main import main
from dfp_ros.tools.replay.recorded_bag import RecordedBag
from testing.fixtures.robot_samples import rest_messages
from testing.policies.small_policy import write_policy
from testing.processes.policy_cell import Cell, SHIPPED
from testing.processes.ros_processes import NodeProcess


class SplitCell(Cell):
    """A cell whose arm is published in two parts, and whose cube was published once."""

    def __init__(self, policy: Path, robot: Path) -> None:
        """Publish the cube before the node can hear of it."""
        super().__init__(policy, robot=str(robot), publish_decisions='true')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        cube = rest_messages(self.now())['cube_0_pose']
        self.silent = {'joint_states', 'cube_0_pose'}
        self.cube = self.peer.node.create_publisher(type(cube), 'latched_cube', latched)
        self.cube.publish(cube)
        self.rows = self.peer.collect(Float64MultiArray, 'dfp_policy/decision')
        self.halves = [
            self.peer.node.create_publisher(JointState, 'joint_states', 5) for _ in range(3)]

    def publish(self, messages: dict) -> None:
        """Publish the arm's joints too: four, then two, and a gripper's that are not read."""
        super().publish(messages)
        arm = rest_messages(self.now())['joint_states']
        for publisher, part in zip(self.halves, (slice(4), slice(4, 6)), strict=False):
            publisher.publish(JointState(
                header=arm.header, name=arm.name[part], position=arm.position[part],
                velocity=arm.velocity[part]))
        self.halves[2].publish(JointState(header=arm.header, name=['finger'], position=[0.1]))

    def decisions(self) -> list[RecordedDecision]:
        """Read the decisions."""
        return [
            read_decision([(part.label, part.size) for part in row.layout.dim], row.data)
            for row in self.rows]

    def wait_for_running(self, count: int = 30) -> None:
        """Wait for a number of consecutive new decisions that command."""
        self.rows.clear()
        self.peer.wait_for(lambda: len(self.rows) > count and all(
            each.state is State.RUNNING for each in self.decisions()[-count:]))


def test_a_goal_that_was_published_once(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The node runs with it, also after a reset and after it was deactivated and activated.

    Joints of three publishers do not stop it either. A recorder that comes later hears of the goal
    too, and a replay finds it for every decision.
    """
    robot = tmp_path / 'robot.yaml'
    text = SHIPPED.read_text()
    before = '    topic: cube_0_pose\n    type: geometry_msgs/msg/PoseStamped\n    max_age: 0.2\n'
    assert before in text
    robot.write_text(text.replace(before, (
        '    topic: latched_cube\n    type: geometry_msgs/msg/PoseStamped\n    time: receive\n'
        '    qos: {reliability: reliable, durability: transient_local, depth: 1}\n')))
    bag = tmp_path / 'bag'
    with SplitCell(write_policy(tmp_path / 'policy.onnx'), robot) as cell:
        cell.wait_for_running()
        with NodeProcess(
                'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args', '-p',
                f'robot:={robot}', '-p', f'out:={bag}') as recorder:
            cell.peer.wait_for(lambda: all(any(
                end.node_name == 'dfp_recorder' for end in
                cell.peer.node.get_subscriptions_info_by_topic(topic))
                for topic in ('/latched_cube', '/dfp_policy/decision')))
            cell.wait_for_running()
            assert cell.peer.call(Trigger, 'dfp_policy/reset').success
            cell.wait_for_running()
            for each in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
                assert cell.peer.call(
                    ChangeState, 'dfp_policy/change_state',
                    ChangeState.Request(transition=Transition(id=each))).success
            cell.wait_for_running()
            assert recorder.stop() == 0, recorder.output
    assert main([str(bag), '--policy', str(tmp_path / 'policy.onnx')]) == 0
    assert 'decisions, all equal' in capsys.readouterr().out
    with RecordedBag(bag) as opened:
        steps = opened.with_samples(opened.read(), load_robot_description(robot))
    # Before the reset, the recorder may not have heard of all topics yet.
    reset = next(i for i, step in enumerate(steps) if step.decision.entry.step == 1)
    assert len(steps[reset:]) > 25
    assert not any('cube_0' in step.missing for step in steps[reset:])
    # A sample of the joints may have been lost on its way to the recorder, on a busy machine.
    assert sum(bool(step.missing) for step in steps[reset:]) < len(steps[reset:]) / 4
