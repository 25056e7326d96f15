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
"""Simulated robot as a process, accessed only over ROS."""

from __future__ import annotations

from collections.abc import Iterator
import gc
from pathlib import Path
from queue import SimpleQueue
import signal
import threading
from types import SimpleNamespace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
import numpy as np
import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from dfp_ros.node.process.end_requests import Requests
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.sim.sim_robot import main as sim_node
from dfp_ros.sim.sim_robot.learner_gate import LearnerGate, write_seen
from dfp_ros.sim.sim_robot.messages import JOINT_NAMES
from dfp_ros.sim.sim_robot.node import SimRobot, STOP
from dfp_ros.sim.sim_robot.qos import EPISODE_QOS
from dfp_ros.sim.simulation.ogbench_simulation import Simulation
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError
from testing.fixtures.sros2_policy import differences, permissions, used_by
from testing.processes.ros_processes import NodeProcess, Peer

MODULE = 'dfp_ros.sim.sim_robot.main'
TASK = 'cube-single-singletask-task2-v0'
STATE_TOPICS = {
    'joint_states': JointState, 'gripper_state': JointState, 'effector_pose': PoseStamped,
    'cube_0_pose': PoseStamped}


class Cell:
    """Running robot, and a peer with a record of its messages."""

    def __init__(self, process: NodeProcess, peer: Peer) -> None:
        """Subscribe to all that the robot publishes, and be ready to command it."""
        self.process = process
        self.peer = peer
        self.heard = {
            topic: peer.collect(kind, topic, qos_profile_sensor_data)
            for topic, kind in STATE_TOPICS.items()}
        self.episodes = peer.collect(DiagnosticStatus, 'episode', EPISODE_QOS)
        self._twist = peer.node.create_publisher(TwistStamped, 'twist_command', 1)
        self._gripper = peer.node.create_publisher(Float64MultiArray, 'gripper_command', 1)

    def connect(self) -> None:
        """Wait until all topics flow, both ways."""
        self.peer.wait_for(lambda: all(self.heard.values()) and all(
            publisher.get_subscription_count() for publisher in (self._twist, self._gripper)))

    def command(self, linear: list[float], gripper: float, stamp: Any = None) -> None:
        """Send a command."""
        message = TwistStamped()
        message.header.frame_id = 'world'
        if stamp is not None:
            message.header.stamp = stamp
        message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = linear
        self._twist.publish(message)
        self._gripper.publish(Float64MultiArray(data=[gripper]))

    def set_off(self) -> None:
        """Send commands until the physics run; those before an episode's start are ignored."""
        def runs() -> bool:
            self.command([0.0, 0.0, 0.0], 0.0)
            return any(self.heard['joint_states'][-1].velocity)

        self.peer.wait_for(runs)

    def newest(self) -> dict[str, Any]:
        """Get the newest message of each topic, once all are of one instant."""
        def last() -> list[Any]:
            return [messages[-1].header.stamp for messages in self.heard.values()]

        self.peer.wait_for(lambda: all(self.heard.values()) and all(
            stamp == last()[0] for stamp in last()))
        return {topic: messages[-1] for topic, messages in self.heard.items()}

    def forget(self) -> None:
        """Clear the record."""
        for messages in self.heard.values():
            messages.clear()


def start(domain: int, **parameters: object) -> NodeProcess:
    """Start the robot with parameters; a name in capitals is an environment variable."""
    variables: dict[str, Any] = {
        name: parameters.pop(name) for name in list(parameters) if name.isupper()}
    settings = [part for name, value in parameters.items() for part in ('-p', f'{name}:={value}')]
    return NodeProcess(MODULE, domain, '--ros-args', *settings, **variables)


@pytest.fixture
def domain() -> int:
    """Find a ROS domain for one test."""
    return free_domain()


@pytest.fixture
def realtime(domain: int) -> Iterator[Cell]:
    """Run a robot in real time."""
    with start(domain, seed=0) as process, Peer(domain) as peer:
        cell = Cell(process, peer)
        cell.connect()
        yield cell


def assert_shows(messages: dict[str, Any], simulation: Simulation) -> None:
    """Compare messages with the state of a simulation of the test's own, number by number."""
    state = simulation.state()
    joints, gripper = messages['joint_states'], messages['gripper_state']
    assert tuple(joints.name) == JOINT_NAMES
    assert np.array_equal(joints.position, state.joint_positions)
    assert np.array_equal(joints.velocity, state.joint_velocities)
    assert list(gripper.name) == ['gripper_opening']
    assert list(gripper.position) == [state.gripper_opening]
    assert list(gripper.effort) == [state.gripper_contact]
    for topic, pose in (('effector_pose', state.effector), ('cube_0_pose', state.cubes[0])):
        message = messages[topic]
        assert message.header.frame_id == 'world'
        where, turn = message.pose.position, message.pose.orientation
        assert np.array_equal([where.x, where.y, where.z], pose.position)
        assert np.array_equal([turn.w, turn.x, turn.y, turn.z], pose.quaternion)


def test_real_time(realtime: Cell) -> None:
    """States share stamps; a command moves the arm and holds; reset starts the next seed."""
    peer, simulation = realtime.peer, Simulation(TASK)
    peer.wait_for(lambda: all(len(messages) > 20 for messages in realtime.heard.values()))
    stamps = [
        {(message.header.stamp.sec, message.header.stamp.nanosec) for message in messages}
        for messages in realtime.heard.values()]
    assert len(set.intersection(*stamps)) > 10
    # What it uses is what config/sros2_policy.xml allows it, apart from what it was not asked for.
    assert not differences(used_by(peer.node, 'sim_robot'), permissions()['sim_robot'], {
        'publish': {'/camera/image_raw', '/clock'}, 'subscribe': {'/dfp_learner/seen'},
        'request': {'/dfp_policy/reset', '/dfp_policy/set_parameters'}})
    # Nothing moves before the first command.
    simulation.reset(0)
    assert_shows(realtime.newest(), simulation)

    begin = realtime.newest()['effector_pose'].pose.position.x
    direction = 0.2 if begin < 0.42 else -0.2
    realtime.set_off()
    realtime.command([direction, 0.0, 0.0], 0.0)
    # One command is enough: it holds.
    peer.wait_for(lambda: abs(
        realtime.heard['effector_pose'][-1].pose.position.x - begin) > 0.05)

    assert peer.call(Trigger, 'sim_robot/reset').success
    simulation.reset(1)
    goal = simulation.state().effector.position.tolist()

    def is_there() -> bool:
        where = realtime.heard['effector_pose'][-1].pose.position
        return [where.x, where.y, where.z] == goal

    peer.wait_for(is_there)
    realtime.forget()
    assert_shows(realtime.newest(), simulation)
    assert not realtime.episodes, 'an episode that was given up has no result'

    realtime.command([float('nan'), 0.0, 0.0], 0.0)
    peer.wait_for(lambda: 'expected finite numbers; the command is ignored'
                  in realtime.process.output)
    realtime.forget()
    assert_shows(realtime.newest(), simulation)

    assert realtime.process.stop(signal.SIGINT) == 0
    assert 'Traceback' not in realtime.process.output


def test_the_pace_is_kept_and_the_episode_reported(domain: int) -> None:
    """An episode at four times real time ends at its time limit, on time, and the node with it."""
    settings = {'seed': 5, 'real_time_factor': 4.0, 'state_rate': 20.0, 'episodes': 1}
    with start(domain, **settings) as process, Peer(domain) as peer:
        cell = Cell(process, peer)
        cell.connect()
        cell.set_off()
        peer.wait_for(lambda: cell.episodes)
        assert process.wait(30) == 0
    status = cell.episodes[0]
    values = {pair.key: pair.value for pair in status.values}
    assert status.level == DiagnosticStatus.WARN
    assert status.hardware_id == TASK
    assert {key: values[key] for key in ('episode', 'seed', 'success', 'steps', 'duration')} == {
        'episode': '0', 'seed': '5', 'success': 'false', 'steps': '200', 'duration': '10'}
    assert float(values['return']) == -200
    # A slice may be late on a busy machine; a pace that is not asked for makes none of them late.
    factor, overruns = float(values['real_time_factor']), int(values['overruns'])
    assert factor < 4.02
    assert factor > 3.8 or overruns > 0
    assert 0 <= overruns <= 200


def test_lockstep_waits_for_the_answer(domain: int) -> None:
    """Time stands still until the command with the observation's stamp has come."""
    simulation = Simulation(TASK)
    simulation.reset(3)
    with start(domain, seed=3, mode='lockstep') as process, Peer(domain) as peer:
        cell = Cell(process, peer)
        cell.connect()
        for rates in ([0.3, -0.2, 0.1], [0.0, 0.5, -1.0]):
            first = cell.newest()
            assert_shows(first, simulation)
            stamp = first['joint_states'].header.stamp
            # An answer to another observation is none: the same instant is published again.
            cell.forget()
            wrong = type(stamp)(sec=stamp.sec, nanosec=(stamp.nanosec + 1) % 10**9)
            cell.command([1.0, 1.0, 1.0], 5.0, wrong)
            peer.wait_for(lambda: len(cell.heard['joint_states']) >= 2)
            assert_shows(cell.newest(), simulation)
            assert all(message.header.stamp == stamp for message in cell.heard['joint_states'])
            cell.command(rates, 4.0, stamp)
            simulation.step(np.array([*rates, 0.0, 0.2]))
            peer.wait_for(lambda stamp=stamp: all(
                messages[-1].header.stamp != stamp for messages in cell.heard.values()))
        assert_shows(cell.newest(), simulation)
        assert process.stop(signal.SIGTERM) == 0
        assert 'Traceback' not in process.output


class FailingRobot(SimRobot):
    """Fails in its first callback, and asks to be ended in the second."""

    def __init__(self, inbox: SimpleQueue[Any]) -> None:
        super().__init__(inbox)
        self.calls = 0
        self.create_timer(0.01, self.fail)

    def fail(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError('on purpose')
        self._inbox.put(STOP)


def test_a_failing_callback_does_not_deafen_the_robot(
        domain: int, capfd: pytest.CaptureFixture[str]) -> None:
    """The failure is reported, and the next command is accepted; physics do not run on."""
    inbox: SimpleQueue[Any] = SimpleQueue()
    words = ['--ros-args', '-p', 'mode:=lockstep']
    rclpy.init(args=words, domain_id=domain)
    requests = Requests()
    giving_up = threading.Timer(30, inbox.put, [STOP])
    giving_up.start()
    try:
        robot = FailingRobot(inbox)
        assert sim_node._run(robot, inbox, requests, words) == 0
        robot.destroy_node()
    finally:
        giving_up.cancel()
        rclpy.shutdown()
        requests.close()
        gc.unfreeze()
    assert robot.calls >= 2
    said = capfd.readouterr().err
    assert 'a callback failed, the node continues: RuntimeError: on purpose' in said


def test_camera(domain: int) -> None:
    """With rendering on there are images, stamped as the states that they show."""
    parameters = {'render': True, 'image_width': 64, 'image_height': 48, 'MUJOCO_GL': None}
    missing = ''
    try:
        choose_backend({})
    except RenderingError as error:
        missing = str(error)
    if missing:
        with start(domain, **parameters) as process:
            assert process.wait() == 1
            assert f'cannot start with render:=true: {missing}' in process.output
        return
    with start(domain, state_rate=20.0, **parameters) as process, Peer(domain) as peer:
        # Reliable: a subscriber that takes what it can get may miss the very state of the image.
        states = peer.collect(JointState, 'joint_states', 1000)
        images = peer.collect(Image, 'camera/image_raw', qos_profile_sensor_data)
        # The first picture may show a state from before the subscription.
        peer.wait_for(lambda: len(images) >= 2, 120)
        image = images[-1]
        peer.wait_for(lambda: any(state.header.stamp == image.header.stamp for state in states))
        assert process.stop() == 0
        assert 'Traceback' not in process.output
    assert (image.width, image.height, image.encoding, image.step) == (64, 48, 'rgb8', 192)
    assert np.array(image.data).std() > 5


def test_a_visual_environment_has_its_camera(domain: int) -> None:
    """In lockstep each state follows its own picture, in size and colours as the data have it."""
    try:
        choose_backend({})
    except RenderingError as error:
        pytest.skip(f'no off-screen rendering here: {error}')
    environment = 'visual-cube-single-singletask-task2-v0'
    with start(domain, environment=environment, mode='lockstep', MUJOCO_GL=None) as process:
        with Peer(domain) as peer:
            states = peer.collect(JointState, 'joint_states', 100)
            images = peer.collect(Image, 'camera/image_raw', qos_profile_sensor_data)
            # Published again and again, because nobody answers.
            peer.wait_for(lambda: images and states, 120)
            stamp = images[-1].header.stamp
            peer.wait_for(lambda: any(state.header.stamp == stamp for state in states))
        assert process.stop() == 0
    assert (images[-1].width, images[-1].height, images[-1].encoding) == (64, 64, 'rgb8')
    pixels = np.array(images[-1].data).reshape(64, 64, 3).astype(int)
    # The cube is red, and nothing else is.
    assert 4 < ((pixels[..., 0] > 150) & (pixels[..., 1] < 110)).sum() < 60


@pytest.mark.parametrize(('name', 'value', 'message'), [
    ('environment', 'cube-singel-v0', "environment: found 'cube-singel-v0'"),
    ('state_rate', '90.0', 'state_rate: found 90 Hz, expected one of 20, 100, 500 Hz'),
    ('real_time_factor', '0.0',
     'parameter real_time_factor: found 0.0, expected 0.01 to 10'),
    ('policy_node', 'a b', "parameter policy_node: found 'a b', expected a name such as left/"),
    ('policy_node', '/dfp/{x}', 'parameter policy_node: found'),
])
def test_bad_parameters_are_refused(
        domain: int, name: str, value: str, message: str,
        capfd: pytest.CaptureFixture[str]) -> None:
    """One line names the fault, and the exit status is an error."""
    inbox: SimpleQueue[Any] = SimpleQueue()
    words = ['--ros-args', '-p', f'{name}:={value}']
    rclpy.init(args=words, domain_id=domain)
    requests = Requests()
    try:
        robot = SimRobot(inbox)
        assert sim_node._run(robot, inbox, requests, words) == 1
        robot.destroy_node()
    finally:
        rclpy.shutdown()
        requests.close()
    said = capfd.readouterr().err
    assert 'cannot start: ' in said
    assert message in said


def test_a_refusal_is_in_the_exit_status(domain: int) -> None:
    """So that a launch file knows of it."""
    with start(domain, mode='fast') as process:
        assert process.wait() == 1
        assert "mode: found 'fast', expected one of realtime, lockstep" in process.output
        assert 'Traceback' not in process.output


def test_a_folder_of_recordings_that_cannot_be_made(tmp_path: Path) -> None:
    """It is named before anything is simulated."""
    (tmp_path / 'file').write_text('text')
    with NodeProcess(
            'dfp_ros.sim.sim_robot.main', free_domain(), '--ros-args', '-p',
            f'record:={tmp_path / "file"}') as process:
        assert process.wait() == 1
        assert 'parameter record: the folder ' in process.output
        assert 'cannot be created (File exists); name another one' in process.output
        assert 'Traceback' not in process.output


@pytest.mark.parametrize('text', [
    '{"stamp": 1e999, "marks": 0}', '{"stamp": 1, "marks": NaN}', '5', '[' * 900, '{"stamp": {}}'])
def test_a_learner_that_says_nonsense_is_not_heard(text: str) -> None:
    """Anybody can publish on its topic."""
    node = SimpleNamespace(create_subscription=lambda *_: None)
    woken: list[bool] = []
    gate = LearnerGate(node, 'learner', lambda: woken.append(True))  # type: ignore[arg-type]
    gate._hear(String(data=text))
    assert not woken
    assert not gate.has_seen(1)
    gate._hear(String(data=write_seen(7, 1)))
    assert woken
    assert gate.has_seen(7)
