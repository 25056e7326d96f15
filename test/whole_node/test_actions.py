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
import json
from pathlib import Path
import re
import threading
from typing import Any

import pytest

pytest.importorskip('rclpy')

from action_msgs.srv import CancelGoal
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from dfp_ros.tools.replay.main import main as replay
from testing import ROOT
from testing.messages.packages import BuildError, message_packages
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


@pytest.fixture(name='packages', scope='module')
def built_packages() -> dict[str, str]:
    """Build the message packages, or skip."""
    try:
        return message_packages()
    except BuildError as error:
        pytest.skip(f'control_msgs and tf2_msgs cannot be built here: {error}')


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


def test_goals(packages: dict[str, str], tmp_path: Path) -> None:
    """
    Trajectories of positions alone, a gripper that moves when it has to, and faults of the server.

    The action of the gripper is remapped: goals go where the user said.

    A stop, and a person, have the goal before cancelled; what is refused or aborted holds the
    robot, with its reason; and everything is replayed bit for bit.
    """
    policy, domain, bag = write_policy(tmp_path / 'p.onnx', SPEC), free_domain(), tmp_path / 'bag'
    with Peer(domain) as peer:
        heard, said = HeardDecisions(peer), Said(peer)
        behave = peer.node.create_publisher(String, 'behave', 10)
        with NodeProcess('testing.processes.action_robot', domain, **packages) as robot, \
                NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                    policy, robot=ROBOT, publish_decisions='true'), '-r',
                    'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages) as node, \
                NodeProcess('dfp_ros.tools.recording.recorder', domain, '--ros-args', '-p',
                            f'robot:={ROBOT}', '-p', f'out:={bag}', **packages) as recorder:

            def become(word: str) -> None:
                begin = len(said)
                peer.wait_for(lambda: behave.get_subscription_count())
                behave.publish(String(data=word))
                peer.wait_for(lambda: said.all('behaves', begin))

            def failed(row: Any) -> bool:
                return Reason.GOAL_FAILED in row.reason and row.state is State.HOLD

            def runs(row: Any) -> bool:
                return row.state is State.RUNNING and not row.reason & Reason.GOAL_FAILED

            heard.await_one(runs, 20)
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
            peer.call(Trigger, 'dfp_policy/stop')
            heard.await_one(lambda row: row.state is State.STOPPED, 10)
            peer.wait_for(lambda: said.all('cancelled', begin))
            assert len(said.all('arm', begin)[-1]['points']) == 1
            peer.call(Trigger, 'dfp_policy/resume')
            heard.await_one(runs, 10)
            # A person.
            begin = len(said)
            with Leading(peer):
                heard.await_one(lambda row: row.commander is Commanding.PERSON, 10)
                peer.wait_for(lambda: said.all('cancelled', begin))
            heard.await_one(runs, 5)
            # A server that aborts, and one that refuses.
            for word, text in (
                    ('abort', 'was aborted (error -4): too far off the path'),
                    ('refuse', 'has refused a goal')):
                become(word)
                heard.await_one(failed, 5)
                peer.wait_for(lambda text=text: text in node.output)
                become('follow')
                heard.await_one(runs, 5)
            # Without a server.
            robot.process.kill()
            heard.await_one(lambda row: row.state is State.HOLD, 3)
            assert recorder.stop() == 0, recorder.output
            assert node.stop() == 0, node.output
            assert 'Traceback' not in node.output
    assert replay([str(bag), '--policy', str(policy), '--robot', str(ROBOT)]) == 0


def test_a_failure_does_not_outlive_what_could_disprove_it(
        packages: dict[str, str], tmp_path: Path) -> None:
    """After ~/reset, or an activation, there is no last command that a hold could try again."""
    policy, domain = write_policy(tmp_path / 'p.onnx', SPEC), free_domain()
    with Peer(domain) as peer:
        heard = HeardDecisions(peer)
        behave = peer.node.create_publisher(String, 'behave', 10)
        with NodeProcess('testing.processes.action_robot', domain, **packages) as robot, \
                NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                    policy, robot=ROBOT, publish_decisions='true'), '-r',
                    'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages) as node:

            def failed(row: Any) -> bool:
                return Reason.GOAL_FAILED in row.reason and row.state is State.HOLD

            def runs(row: Any) -> bool:
                return row.state is State.RUNNING and not row.reason & Reason.GOAL_FAILED

            def change(transition: int) -> None:
                request = ChangeState.Request()
                request.transition.id = transition
                assert peer.call(ChangeState, 'dfp_policy/change_state', request).success

            heard.await_one(runs, 20)
            for begin_again in (
                    lambda: peer.call(Trigger, 'dfp_policy/reset'),
                    lambda: [change(each) for each in (
                        Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)]):
                behave.publish(String(data='refuse'))
                heard.await_one(failed, 5)
                begin_again()
                # It is tried again and again, and the robot is held in between.
                heard.await_one(failed, 30)
                behave.publish(String(data='follow'))
                heard.await_one(runs, 20, timeout=30)
            assert node.stop() == 0, node.output
            robot.leave()


def test_a_stop_by_a_person_is_final(packages: dict[str, str], tmp_path: Path) -> None:
    """
    It cancels a person's goal, too, and no goal that somebody cancels comes back.

    An arm that was pushed away, or a gripper that was opened by other means, moved back a second
    later; now its goal is sent again after ~/resume only.
    """
    policy, domain = write_policy(tmp_path / 'p.onnx', SPEC), free_domain()
    with Peer(domain) as peer:
        heard, said = HeardDecisions(peer), Said(peer)
        behave = peer.node.create_publisher(String, 'behave', 10)
        with NodeProcess('testing.processes.action_robot', domain, **packages) as robot, \
                NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                    policy, robot=ROBOT, publish_decisions='true'), '-r',
                    'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages) as node:

            def runs(row: Any) -> bool:
                return row.state is State.RUNNING and not row.reason & Reason.GOAL_FAILED

            heard.await_one(runs, 20)
            peer.wait_for(lambda: said.all('gripper') and behave.get_subscription_count())
            behave.publish(String(data='last'))
            peer.wait_for(lambda: said.all('behaves'))
            with Leading(peer):
                heard.await_one(lambda row: row.commander is Commanding.PERSON, 10)
                # The person's goal has replaced the one of the policy.
                heard.await_one(lambda row: row.commander is Commanding.PERSON, 20)
                begin = len(said)
                peer.call(Trigger, 'dfp_policy/stop')
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
            # Two and a half seconds.
            heard.await_one(lambda row: row.state is State.STOPPED, 50)
            assert not said.all('arm', begin)
            assert not said.all('gripper', begin)
            request = ChangeState.Request()
            for each in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
                request.transition.id = each
                assert peer.call(ChangeState, 'dfp_policy/change_state', request).success
            heard.await_one(lambda row: row.state is State.STOPPED, 50)
            assert not said.all('arm', begin)
            assert not said.all('gripper', begin)
            peer.call(Trigger, 'dfp_policy/resume')
            heard.await_one(runs, 10, timeout=30)
            peer.wait_for(lambda: said.all('arm', begin) and said.all('gripper', begin))
            assert node.stop() == 0, node.output
            robot.leave()


def test_a_gripper_whose_server_answers_late(packages: dict[str, str], tmp_path: Path) -> None:
    """A goal that it takes after a stop is cancelled, and comes again after ~/resume."""
    policy, domain = write_policy(tmp_path / 'p.onnx', SPEC), free_domain()
    with Peer(domain) as peer:
        heard, said = HeardDecisions(peer), Said(peer)
        behave = peer.node.create_publisher(String, 'behave', 10)
        with NodeProcess('testing.processes.action_robot', domain, **packages) as robot, \
                NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                    policy, robot=ROBOT, publish_decisions='true'), '-r',
                    'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages) as node:
            heard.await_one(lambda row: row.state is State.RUNNING, 20)
            behave.publish(String(data='late'))
            begin = len(said)
            # The robot stands still, with the goal.
            heard.await_one(lambda row: Reason.STALE in row.reason)
            peer.call(Trigger, 'dfp_policy/stop')
            heard.await_one(lambda row: row.state is State.STOPPED)
            peer.wait_for(lambda: [
                each for each in said.all('cancelled', begin) if not each['arm']], 10)
            behave.publish(String(data='follow'))
            heard.await_one(lambda row: row.state is State.STOPPED, 20)
            begin = len(said)
            peer.call(Trigger, 'dfp_policy/resume')
            peer.wait_for(lambda: said.all('gripper', begin), 20)
            heard.await_one(
                lambda row: row.state is State.RUNNING and not row.reason & Reason.GOAL_FAILED, 20)
            assert node.stop() == 0, node.output
            robot.leave()


def test_a_hold_whose_goals_are_aborted_tries_less_and_less(
        packages: dict[str, str], tmp_path: Path) -> None:
    """An arm that is blocked was pushed against the obstacle each second."""
    policy, domain = write_policy(tmp_path / 'p.onnx', SPEC), free_domain()
    with Peer(domain) as peer:
        heard, said = HeardDecisions(peer), Said(peer)
        behave = peer.node.create_publisher(String, 'behave', 10)
        with NodeProcess('testing.processes.action_robot', domain, **packages) as robot, \
                NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                    policy, robot=ROBOT, publish_decisions='true'), '-r',
                    'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages) as node:
            heard.await_one(lambda row: row.state is State.RUNNING, 20)
            behave.publish(String(data='abort'))
            found = [0, 0]

            def is_calm() -> bool:
                """Tell whether there was no goal for more than three seconds of decisions."""
                goals = len(said.all('arm'))
                if goals != found[0]:
                    found[:] = goals, len(heard.all)
                return len(heard.all) - found[1] > 60
            peer.wait_for(is_calm, 30)
            assert re.search(
                r'was aborted .*; \d times in a row, so a hold tries it again after \d s',
                node.output), node.output
            behave.publish(String(data='follow'))
            heard.await_one(lambda row: row.state is State.RUNNING, 20, timeout=40)
            assert node.stop() == 0, node.output
            robot.leave()


def test_cleaning_up_while_a_server_answers(packages: dict[str, str], tmp_path: Path) -> None:
    """The process ended with a segmentation fault when clients were destroyed in between."""
    policy, domain = write_policy(tmp_path / 'p.onnx', SPEC), free_domain()
    with Peer(domain) as peer:
        heard = HeardDecisions(peer)
        with NodeProcess('testing.processes.action_robot', domain, **packages) as robot, \
                NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                    policy, robot=ROBOT, publish_decisions='true'), '-r',
                    'gripper_controller/gripper_cmd:=hand/gripper_cmd', **packages) as node:
            for _ in range(7):
                heard.await_one(lambda row: row.state is State.RUNNING, 4, timeout=30)
                for transition in (
                        Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                        Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                    request = ChangeState.Request()
                    request.transition.id = transition
                    answer = peer.ask(ChangeState, 'dfp_policy/change_state', request)
                    peer.wait_for(
                        lambda answer=answer: answer.done() or node.process.poll() is not None)
                    assert node.process.poll() is None, node.output
                    assert answer.result().success
            assert node.stop() == 0, node.output
            robot.leave()


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
