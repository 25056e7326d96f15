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
"""Commands as goals of actions, and an observation from TF, over DDS with real servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import re

import pytest

pytest.importorskip('rclpy')

from action_msgs.srv import CancelGoal
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.tools.replay.main import main as replay
from testing.messages.packages import BuildError, message_packages
from testing.policies.small_policy import write_policy
from testing.processes.action_cell import (
    ActionCell,
    has_failed,
    JOINTS,
    Leading,
    ROBOT,
    SPEC,
)
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess


@pytest.fixture(name='packages', scope='module')
def built_packages() -> dict[str, str]:
    """Build the message packages, or skip."""
    try:
        return message_packages()
    except BuildError as error:
        pytest.skip(f'control_msgs and tf2_msgs cannot be built here: {error}')


def test_goals(packages: dict[str, str], tmp_path: Path) -> None:
    """
    Trajectories of positions alone, a gripper that moves when it has to, and faults of the server.

    A stop, and a person, have the goal before cancelled; what is refused or aborted holds the
    robot, with its reason; and everything is replayed bit for bit.
    """
    bag = tmp_path / 'bag'
    with ActionCell(tmp_path, packages) as cell, NodeProcess(
            'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args', '-p', f'robot:={ROBOT}',
            '-p', f'out:={bag}', **packages) as recorder:
        heard, said, node, peer = cell.heard, cell.said, cell.node, cell.peer
        cell.await_running()
        peer.wait_for(lambda: len(said.all('arm')) >= 10 and said.all('gripper'))
        long = [goal for goal in said.all('arm') if len(goal['points']) > 3]
        assert long, 'a chunk has several points'
        assert long[-1]['names'] == JOINTS
        assert not any(any(point) for point in long[-1]['velocities'])
        assert said.all('gripper')[-1]['effort'] == 20.0
        # Small changes of a gripper are no new goal.
        assert len(said.all('gripper')) < len(said.all('arm'))
        # A stop.
        begin = len(said)
        cell.call('stop')
        heard.await_one(lambda row: row.state is State.STOPPED, 10)
        peer.wait_for(lambda: said.all('cancelled', begin))
        assert len(said.all('arm', begin)[-1]['points']) == 1
        cell.call('resume')
        cell.await_running(10)
        # A person.
        begin = len(said)
        with Leading(peer):
            heard.await_one(lambda row: row.commander is Commanding.PERSON, 10)
            peer.wait_for(lambda: said.all('cancelled', begin))
        cell.await_running(5)
        # A server that aborts, and one that refuses.
        for word, text in (
                ('abort', 'was aborted (error -4): too far off the path'),
                ('refuse', 'has refused a goal')):
            cell.behave(word)
            heard.await_one(has_failed, 5)
            peer.wait_for(lambda text=text: text in node.output)
            cell.behave('follow')
            cell.await_running(5)
        # Without a server.
        cell.robot.process.kill()
        heard.await_one(lambda row: row.state is State.HOLD, 3)
        assert recorder.stop() == 0, recorder.output
        assert node.stop() == 0, node.output
        assert 'Traceback' not in node.output
    assert replay([str(bag), '--policy', str(cell.policy), '--robot', str(ROBOT)]) == 0


def test_a_failure_does_not_outlive_what_could_disprove_it(
        packages: dict[str, str], tmp_path: Path) -> None:
    """After ~/reset, or an activation, there is no last command that a hold could try again."""
    with ActionCell(tmp_path, packages) as cell:
        cell.await_running()
        for begin_again in (
                lambda: cell.call('reset'),
                lambda: cell.change(
                    Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)):
            cell.behave('refuse')
            cell.heard.await_one(has_failed, 5)
            begin_again()
            # It is tried again and again, and the robot is held in between.
            cell.heard.await_one(has_failed, 30)
            cell.behave('follow')
            cell.await_running(timeout=30)
        assert cell.node.stop() == 0, cell.node.output


def test_a_stop_by_a_person_is_final(packages: dict[str, str], tmp_path: Path) -> None:
    """
    It cancels a person's goal, too, and no goal that somebody cancels comes back.

    An arm that was pushed away, or a gripper that was opened by other means, moved back a second
    later; now its goal is sent again after ~/resume only.
    """
    with ActionCell(tmp_path, packages) as cell:
        heard, said, peer = cell.heard, cell.said, cell.peer
        cell.await_running()
        peer.wait_for(lambda: said.all('gripper'))
        cell.behave('last')
        with Leading(peer):
            heard.await_one(lambda row: row.commander is Commanding.PERSON, 10)
            # The person's goal has replaced the one of the policy.
            heard.await_one(lambda row: row.commander is Commanding.PERSON, 20)
            begin = len(said)
            cell.call('stop')
            peer.wait_for(lambda: any(
                goal['arm'] for goal in said.all('cancelled', begin)) and said.all(
                    'arm', begin), 5)
        heard.await_one(lambda row: row.state is State.STOPPED, 10)
        begin = len(said)
        for name in ('arm_controller/follow_joint_trajectory', 'hand/gripper_cmd'):
            client = peer.node.create_client(CancelGoal, f'{name}/_action/cancel_goal')
            peer.wait_for(client.service_is_ready)
            client.call_async(CancelGoal.Request())
        peer.wait_for(lambda: {goal['arm'] for goal in said.all('cancelled', begin)} == {
            True, False})
        heard.await_one(
            lambda row: row.state is State.STOPPED and row.reason & Reason.GOAL_FAILED, 2)
        # For longer than the second after which it came back.
        heard.await_one(lambda row: row.state is State.STOPPED, 30)
        assert not said.all('arm', begin)
        assert not said.all('gripper', begin)
        cell.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)
        heard.await_one(lambda row: row.state is State.STOPPED, 30)
        assert not said.all('arm', begin)
        assert not said.all('gripper', begin)
        cell.call('resume')
        cell.await_running(10, timeout=30)
        peer.wait_for(lambda: said.all('arm', begin) and said.all('gripper', begin))
        assert cell.node.stop() == 0, cell.node.output


def test_a_stopped_arm_is_not_sent_back(packages: dict[str, str], tmp_path: Path) -> None:
    """A controller that was switched off and on moved it from where it was put meanwhile."""
    with ActionCell(tmp_path, packages) as cell:
        heard, said = cell.heard, cell.said
        cell.await_running()
        cell.behave('refuse')
        heard.await_one(has_failed, 5)
        cell.call('stop')
        heard.await_one(lambda row: row.state is State.STOPPED, 5)
        begin = len(said)
        cell.behave('follow')
        # For longer than the second after which it was sent.
        heard.await_one(lambda row: row.state is State.STOPPED, 40)
        assert not said.all('arm', begin)
        cell.call('resume')
        cell.await_running(10, timeout=30)
        assert said.all('arm', begin)
        # Without a server, the answer does not say that a stop was sent.
        cell.robot.stop()
        cell.peer.wait_for(lambda: 'there is no server of the action /arm' in cell.node.output)
        answer = cell.peer.call(Trigger, 'dfp_policy/stop')
        assert not answer.success
        assert answer.message.startswith(
            'no stop was sent to /arm_controller/follow_joint_trajectory, which has no server')
        assert cell.node.stop() == 0, cell.node.output


def test_a_gripper_whose_server_answers_late(packages: dict[str, str], tmp_path: Path) -> None:
    """A goal that it takes after a stop is cancelled, and comes again after ~/resume."""
    with ActionCell(tmp_path, packages) as cell:
        heard, said, peer = cell.heard, cell.said, cell.peer
        cell.await_running()
        cell.behave('late')
        begin = len(said)
        # The robot stands still, with the goal.
        heard.await_one(lambda row: Reason.STALE in row.reason)
        cell.call('stop')
        heard.await_one(lambda row: row.state is State.STOPPED)
        peer.wait_for(lambda: [
            each for each in said.all('cancelled', begin) if not each['arm']], 10)
        cell.behave('follow')
        heard.await_one(lambda row: row.state is State.STOPPED, 20)
        begin = len(said)
        cell.call('resume')
        peer.wait_for(lambda: said.all('gripper', begin), 20)
        cell.await_running()
        assert cell.node.stop() == 0, cell.node.output


def test_a_hold_whose_goals_are_aborted_tries_less_and_less(
        packages: dict[str, str], tmp_path: Path) -> None:
    """An arm that is blocked was pushed against the obstacle each second."""
    with ActionCell(tmp_path, packages) as cell:
        heard, said = cell.heard, cell.said
        cell.await_running()
        cell.behave('abort')
        found = [0, 0]

        def is_calm() -> bool:
            """Tell whether there was no goal for more than three seconds of decisions."""
            goals = len(said.all('arm'))
            if goals != found[0]:
                found[:] = goals, len(heard.all)
            return len(heard.all) - found[1] > 60
        cell.peer.wait_for(is_calm, 30)
        assert re.search(
            r'was aborted .*; \d times in a row, so a hold tries it again after \d s',
            cell.node.output), cell.node.output
        cell.behave('follow')
        cell.await_running(timeout=40)
        assert cell.node.stop() == 0, cell.node.output


def test_cleaning_up_while_a_server_answers(packages: dict[str, str], tmp_path: Path) -> None:
    """The process ended with a segmentation fault when clients were destroyed in between."""
    with ActionCell(tmp_path, packages) as cell:
        for _ in range(5):
            cell.heard.await_one(lambda row: row.state is State.RUNNING, 4, timeout=30)
            cell.change(
                Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
        assert cell.node.stop() == 0, cell.node.output


def test_packages_that_are_not_there(tmp_path: Path) -> None:
    """The node says which one, and how it is installed."""
    for name in ('control_msgs', 'tf2_msgs'):
        try:
            __import__(name)
        except ImportError:
            continue
        pytest.skip(f'{name} is installed')
    text = ROBOT.read_text().replace('type: tf, parent: world, child: part', (
        'topic: part, type: geometry_msgs/msg/TransformStamped'))
    robot = tmp_path / 'robot.yaml'
    robot.write_text(text[:text.index('  gripper:')])
    policy = write_policy(tmp_path / 'p.onnx', replace(SPEC, action=SPEC.action[:1]))
    with NodeProcess('dfp_ros.policy_node', free_domain(), '--ros-args', *arguments(
            policy, robot=robot)) as node:
        assert node.wait() == 1
        assert 'found the action control_msgs/action/FollowJointTrajectory, which needs the ' in (
            node.output)
