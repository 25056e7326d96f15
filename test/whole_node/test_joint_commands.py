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
"""Node with joint trajectory commands, and limits from a URDF."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from testing.policies.small_policy import cube_spec, write_policy

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from dfp_ros.core.description.urdf import UrdfError
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import STATUS_QOS
from dfp_ros.node.ros.urdf_topic import wait_for_urdf
from dfp_ros.spec import ActionField, ObservationField
from testing.processes.joint_arm import Arm, HERE, ROBOT, TICK, URDF
from testing.processes.policy_cell import arguments, OFTEN
from testing.processes.ros_processes import NodeProcess, Peer


@pytest.fixture(name='files', scope='module')
def robot_and_policy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a description, and a policy that asks for anything between -3 and 3."""
    folder = tmp_path_factory.mktemp('joints')
    (folder / 'robot.yaml').write_text(ROBOT)
    spec = cube_spec(
        observation=(ObservationField('joints', 2, 'rad', (-1.0,) * 2, (1.0,) * 2),),
        action=(ActionField(
            'targets', 2, 'rad', (-3.0,) * 2, (3.0,) * 2, (-1.0,) * 2, (1.0,) * 2),))
    return {'policy': write_policy(folder / 'small.onnx', spec, gain=2.0),
            'robot': folder / 'robot.yaml'}


def test_starts_where_the_arm_is_and_stays_where_it_was(files: dict[str, Path]) -> None:
    """From its measured position at most at the URDF's speed; a lost source holds, never zero."""
    domain = free_domain()
    arm = Arm(domain)
    try:
        with NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(**files)) as node:
            arm.peer.wait_for(lambda: len(arm.trajectories) > 20)
            arm.silent.set()
            arm.peer.wait_for(lambda: len(arm.trajectories) > 40 and not np.ptp(
                arm.positions()[-5:], axis=0).any())
            node.stop()
    finally:
        arm.close()
    path = np.concatenate([HERE[None], arm.positions()])
    steps = np.diff(path, axis=0) / TICK
    assert (np.abs(steps) <= np.array([0.5, 1.0]) + 1e-6).all()
    assert (np.abs(np.diff(steps, axis=0)) <= 4 * TICK + 1e-6).all()
    assert np.abs(steps).max() > 0.4, 'the arm was never moved'
    assert (path <= [0.9, 2.0]).all()
    assert (path >= [-2.0, 0.5]).all()
    message = arm.trajectories[0]
    assert message.joint_names == ['a', 'b']
    assert max(len(each.points) for each in arm.trajectories) == 5
    assert len(arm.trajectories[-1].points) == 1


def test_without_a_urdf_it_does_not_start(files: dict[str, Path]) -> None:
    """The node reports the missing URDF, and ends."""
    with NodeProcess('dfp_ros.policy_node', free_domain(), '--ros-args', *arguments(
            **files, **{'limits.urdf_wait': 0.5})) as node:
        assert node.wait() == 1
        assert ('cannot configure: topic /robot_description: no URDF came within 0.5 s; start '
                'robot_state_publisher') in node.output


def publish_urdf(peer: Peer, text: str) -> None:
    """Publish a URDF as robot_state_publisher does."""
    peer.node.create_publisher(String, 'robot_description', QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)).publish(String(data=text))


def test_a_urdf_that_cannot_be_believed(files: dict[str, Path]) -> None:
    """The node ends before anything was commanded, and says why."""
    domain = free_domain()
    with Peer(domain) as peer:
        commands = peer.collect(JointTrajectory, 'arm/joint_trajectory')
        publish_urdf(peer, URDF.replace('velocity="0.5"', 'velocity="-1"'))
        with NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(**files)) as node:
            assert node.wait() == 1
            assert "URDF: joint 'a': velocity: found -1.0, expected numbers above" in node.output
        assert not commands


def test_a_urdf_that_changes_is_taken_by_the_next_configure(files: dict[str, Path]) -> None:
    """Said once, and again at activation, if limits in use differ; the node keeps its limits."""
    faster = URDF.replace('velocity="0.5"', 'velocity="0.7"')
    said = ("the URDF on /robot_description has changed since the node was configured: joint 'a': "
            'velocity 0.5 then, 0.7 now; the node keeps the limits of then: to use the new ones, '
            'deactivate it, clean it up and configure again')
    domain = free_domain()
    arm = Arm(domain)
    reports = arm.peer.collect(DiagnosticArray, '/diagnostics')
    joints = arm.peer.collect(String, 'dfp_policy/policy', STATUS_QOS)

    def await_report(change: str) -> None:
        """Wait for a report of a change, which is a warning, or for one of none."""
        # On a busy machine, a report may tell of a hold, too, which is an error.
        reports.clear()
        arm.peer.wait_for(lambda: any(
            change in item.value and status.level == DiagnosticStatus.WARN if change
            else not item.value
            for array in reports for status in array.status for item in status.values
            if item.key == 'urdf_changed'))

    def change_state(*transitions: int) -> None:
        for each in transitions:
            request = ChangeState.Request(transition=Transition(id=each))
            assert arm.peer.call(ChangeState, 'dfp_policy/change_state', request).success

    try:
        with NodeProcess(
                'dfp_ros.policy_node', domain, '--ros-args',
                *arguments(**files, **OFTEN)) as node:
            arm.peer.wait_for(lambda: len(arm.trajectories) > 5)
            # Of those that leave the limits as they are, nothing is said.
            for text in (URDF, URDF.replace('effort="1"', 'effort="2"'), URDF, faster, faster):
                arm.publish_urdf(text)
            await_report(said)
            assert node.output.count('URDF on') == node.output.count(said) == 1
            path = np.concatenate([HERE[None], arm.positions()])
            assert (np.abs(np.diff(path, axis=0)) <= np.array([0.5, 1.0]) * TICK + 1e-6).all()
            arm.publish_urdf(URDF.replace('name="a"', 'name="c"'))
            await_report('cannot be used any more: ')
            assert "the URDF has no joint 'a'" in node.output
            arm.publish_urdf(URDF)
            await_report('')
            change_state(Transition.TRANSITION_DEACTIVATE)
            arm.publish_urdf(faster)
            await_report(said)
            count = node.output.count(said)
            change_state(Transition.TRANSITION_ACTIVATE)
            arm.peer.wait_for(lambda: node.output.count(said) == count + 1)
            change_state(
                Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                Transition.TRANSITION_CONFIGURE)
            await_report('')
            arm.peer.wait_for(
                lambda: json.loads(joints[-1].data)['joints']['a']['velocity'] == 0.7)
            assert node.stop() == 0, node.output
            assert 'Traceback' not in node.output
    finally:
        arm.close()


def test_two_urdfs() -> None:
    """Whose limits count must not depend on whose text comes first; the same text is no harm."""
    domain = free_domain()
    with Peer(domain) as peer, Peer(domain) as listener:
        publish_urdf(peer, URDF)
        publish_urdf(peer, URDF)
        assert wait_for_urdf(listener.node, 20.0) == URDF
        publish_urdf(peer, URDF.replace('0.9', '1.9'))
        with pytest.raises(UrdfError, match='found different URDFs, published by /peer, /peer'):
            wait_for_urdf(listener.node, 20.0)
