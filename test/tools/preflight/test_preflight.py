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
"""Preflights of real nodes: a robot that is ready, and one with every fault."""

from __future__ import annotations

import contextlib
from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import time
from typing import Any

import pytest

from testing.fixtures.robot_samples import rest_messages
from testing.policies.endless_policy import write_endless_policy
from testing.policies.small_policy import cube_spec, write_policy

pytest.importorskip('rclpy')

from geometry_msgs.msg import PoseStamped, TwistStamped
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.policy_node import PolicyNode
from dfp_ros.tools.preflight.main import main
from dfp_ros.tools.preflight.report import write_report
from dfp_ros.tools.preflight.subject import subject
from dfp_ros.tools.preflight.verdict import judge
from testing.fixtures.preflights import good
from testing.processes.policy_cell import arguments, SHIPPED
from testing.processes.ros_processes import NodeProcess, Peer, status_of

MODULE = 'dfp_ros.tools.preflight.main'


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')


@pytest.fixture
def domain() -> int:
    """Find a ROS domain for one test."""
    return free_domain()


def patient_robot(folder: Path) -> Path:
    """Describe a robot whose sources may be late, as on a busy machine."""
    path = folder / 'patient.yaml'
    path.write_text(SHIPPED.read_text().replace('max_age: 0.2', 'max_age: 20.0'))
    return path


def test_a_robot_that_is_ready(policy: Path, domain: int, tmp_path: Path) -> None:
    """It passes, its figures are in the report, and nothing was commanded."""
    pytest.importorskip('mujoco')
    report = tmp_path / 'preflight.json'
    with NodeProcess('dfp_ros.sim.sim_robot.main', domain) as robot, Peer(domain) as peer:
        twists: list[Any] = peer.collect(TwistStamped, 'twist_command')
        grips: list[Any] = peer.collect(Float64MultiArray, 'gripper_command')
        states: list[JointState] = peer.collect(JointState, 'joint_states')
        peer.wait_for(lambda: states)
        with NodeProcess(
                MODULE, domain, '--seconds', '2', '--wait', '60', '--json', str(report),
                '--ros-args', *arguments(policy, robot=patient_robot(tmp_path), rate=5.0),
                ) as process:
            publishers = set()

            def has_ended() -> bool:
                for topic in ('twist_command', 'gripper_command'):
                    publishers.update(
                        info.node_name
                        for info in peer.node.get_publishers_info_by_topic(f'/{topic}'))
                return process.process.poll() is not None

            peer.wait_for(has_ended)
            assert process.wait() == 0, process.output
            assert 'PASSED at 5 Hz' in process.output
        assert (twists, grips) == ([], [])
        assert not publishers
        assert not any(states[-1].velocity)
        assert robot.process.poll() is None
    found = json.loads(report.read_text())
    figures = found['figures']
    assert found['passed'] is True
    assert found['subject']['rate'] == 5
    assert figures['running'] == figures['ticks'] > 5
    for part in figures['parts'].values():
        assert part['count'] == figures['ticks']
        assert 0 < part['p50'] <= part['p99'] <= part['p999'] <= part['largest']
    for source in figures['sources']:
        assert source['count'] > 50
        assert source['rate'] > 10
        assert source['missing_joints'] == []
        assert source['publishers'] == [{'node': '/sim_robot', 'problem': ''}]
    for command in figures['commands']:
        assert {'/peer', '/sim_robot'} == {end['node'] for end in command['subscribers']}
    # All that is left to say is that a description without limits has none.
    assert {remark['level'] for remark in found['remarks']} == {'WARN'}


@pytest.mark.parametrize(('step', 'pace', 'words'), [
    (0.01, 5, ''),
    (0.1, 1, '/clock moves in steps of 100 ms (10 Hz), and the ticks are 50 ms apart (20 Hz)')])
def test_ticks_on_simulated_time(
        step: float, pace: float, words: str, policy: Path, domain: int, tmp_path: Path) -> None:
    """
    As the policy node: at five times real time, five times as many ticks.

    A clock with longer steps than the ticks fails the preflight.
    """
    report = tmp_path / 'preflight.json'
    with Peer(domain) as peer, NodeProcess(
            MODULE, domain, '--seconds', '2', '--wait', '60', '--json', str(report), '--ros-args',
            *arguments(policy, robot=patient_robot(tmp_path), rate=20.0, use_sim_time='true'),
            ) as process:
        for topic, kind in (('twist_command', TwistStamped), (
                'gripper_command', Float64MultiArray)):
            peer.collect(kind, topic)
        clock = peer.node.create_publisher(Clock, '/clock', 5)
        publishers = {
            topic: peer.node.create_publisher(type(message), topic, 5)
            for topic, message in rest_messages(Time().to_msg()).items()}
        begin, count = time.monotonic(), 0
        while process.process.poll() is None:
            assert time.monotonic() < begin + 90, process.output
            count += 1
            now = Time(nanoseconds=10**12 + count * round(step * 1e9)).to_msg()
            clock.publish(Clock(clock=now))
            for topic, message in rest_messages(now).items():
                publishers[topic].publish(message)
            time.sleep(max(0.0, begin + count * step / pace - time.monotonic()))
        assert 'Traceback' not in process.output, process.output
    found = json.loads(report.read_text())
    assert found['figures']['clock_step'] == pytest.approx(step, rel=0.01)
    failed = {remark['about']: remark['text'] for remark in found['remarks']
              if remark['level'] == 'FAIL'}
    assert failed.get('clock', '').startswith(words)
    assert ('clock' in failed) == bool(words)
    if not words:
        assert 2 * 20 * 2 < found['figures']['ticks'] + found['figures']['missed'] <= 2 * 20 * 8


def test_a_robot_with_every_fault(policy: Path, domain: int, tmp_path: Path) -> None:
    """Each topic is reported with its fault, both ends, and the remedy."""
    report = tmp_path / 'preflight.json'
    with Peer(domain) as peer:
        now = peer.node.get_clock().now().to_msg()
        arm = rest_messages(now)['joint_states']
        arm.name[2] = 'elbow'
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        publishers = [
            (peer.node.create_publisher(JointState, 'joint_states', 5), arm),
            (peer.node.create_publisher(JointState, 'gripper_state', best_effort), JointState()),
            (peer.node.create_publisher(JointState, 'cube_0_pose', 5), JointState()),
            (peer.node.create_publisher(PoseStamped, 'arm/effector_pose', 5), PoseStamped())]
        peer.collect(Float64MultiArray, 'gripper_command', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        with NodeProcess(
                MODULE, domain, '--seconds', '2', '--wait', '2', '--json', str(report),
                '--ros-args', *arguments(policy, trigger='samples')) as process:

            def has_ended() -> bool:
                for publisher, message in publishers:
                    publisher.publish(message)
                return process.process.poll() is not None

            peer.wait_for(has_ended)
            assert process.wait() == 1
            assert 'Traceback' not in process.output, process.output
    found = json.loads(report.read_text())
    assert found['passed'] is False
    failed = {
        remark['about'].split(' (')[0]: remark['text']
        for remark in found['remarks'] if remark['level'] == 'FAIL'}
    assert 'joint(s) elbow_joint are not in its messages' in failed['source arm']
    assert "did you mean 'elbow'?" in failed['source arm']
    assert failed['source gripper'].startswith(
        'nothing comes from /peer: requested reliable, volatile, offered best_effort, volatile')
    assert failed['source cube_0'].startswith(
        'nothing comes from /peer: its type is sensor_msgs/msg/JointState, the robot description '
        'says geometry_msgs/msg/PoseStamped')
    assert failed['source effector'].startswith('it has no publisher')
    assert "did you mean '/arm/effector_pose'?" in failed['source effector']
    assert failed['command effector'].startswith('it has no subscriber')
    assert failed['command gripper'].startswith(
        'nothing gets to /peer: requested reliable, transient_local, offered reliable, volatile')


def test_an_activation_can_require_it(
        policy: Path, domain: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No report, no activation; one for another rate is refused too; a passed one is enough."""
    report = tmp_path / 'preflight.json'
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = PolicyNode(context=context, parameter_overrides=[
        Parameter(name, value=value) for name, value in {
            'policy': str(policy), 'robot': str(SHIPPED), 'rate': 50.0,
            'require_preflight': str(report)}.items()])
    try:
        assert not node.autostart()
        assert f'cannot activate: preflight report {report}: cannot be read' in capfd.readouterr(
            ).err
        assert node._ticker is not None
        assert not node._ticker.is_active
        mine = subject(node._ticker.loop)
        write_report(report, replace(mine, rate=20.0), good(), judge(good()))
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert 'is about rate 20.0, here it is 50.0' in capfd.readouterr().err
        report.write_text('[' * 100_000)
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert (f'cannot activate: preflight report {report}: is not a preflight report'
                in capfd.readouterr().err)
        write_report(report, mine, good(), judge(good()))
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert node._ticker.is_active
    finally:
        node.close()
        rclpy.shutdown(context=context)


def test_a_swap_can_require_it(
        policy: Path, domain: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """While the node is active, another policy or rate needs a report; the old one goes on."""
    report = tmp_path / 'preflight.json'
    second = write_policy(tmp_path / 'second.onnx', cube_spec(name='second'), seed=7)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = PolicyNode(context=context, parameter_overrides=[
        Parameter(name, value=value) for name, value in {
            'policy': str(policy), 'robot': str(SHIPPED), 'rate': 50.0,
            'require_preflight': str(report)}.items()])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def swap() -> str:
        """Swap to the second policy; return the name of the one that runs then."""
        assert node._ticker is not None
        assert node._swapper is not None
        [result] = node.set_parameters([Parameter('policy', value=str(second))])
        assert result.successful, result.reason
        end = time.monotonic() + 60
        while node._swapper._jobs:
            assert time.monotonic() < end
            executor.spin_once(0.02)
        return node._ticker.loop.policy.spec.name

    try:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node._ticker is not None
        first = node._ticker.loop
        write_report(report, subject(first), good(), judge(good()))
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert swap() == first.policy.spec.name
        assert node.get_parameter('policy').value == str(policy)
        assert f'preflight report {report}: is about policy ' in capfd.readouterr().err
        [result] = node.set_parameters([Parameter('rate', value=25.0)])
        assert 'at 25 Hz with' in result.reason
        # It runs on with other settings, and another policy takes over with its own report.
        [result] = node.set_parameters([Parameter('noise_seed', value=5)])
        assert result.successful, result.reason
        mine = replace(
            subject(first), policy='second', policy_sha256=read_policy_file(second).sha256)
        write_report(report, mine, good(), judge(good()))
        assert swap() == 'second'
        assert node._swapper is not None
        assert 'takes over' in node._swapper.rollback()
        assert node._ticker.loop.policy.sha256 == first.policy.sha256
        # Without ticks, an activation has to come first.
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        [result] = node.set_parameters([Parameter('rate', value=25.0)])
        assert result.successful, result.reason
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
    finally:
        executor.shutdown()
        node.close()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(('words', 'message'), [
    (['--ros-args', '-p', 'policy:=none_such', '-p', 'robot:=ur5e_cube'],
     "preflight: cannot start: found 'none_such', which is neither a file"),
    (['--ros-args', '-p', 'policy:=cube_single', '-p', 'robot:=panda_lift'], 'observation field'),
    (['--ros-args', '-p', 'rate:=-3.0'], 'rate'),
    (['--ros-args', '-p', 'rate:=fast'],
     "cannot start: parameter rate: found 'fast', expected a float, such as 30.0\n"),
    (['--seconds', '0'], '--seconds: found 0.0, expected above 0 and at most 3600 s'),
    (['policy:=lift', 'robot:=panda_lift'], 'did you mean --ros-args -p policy:=lift ?'),
    (['--policy', 'lift'], 'did you mean --ros-args -p policy:=VALUE ?'),
    (['--json', 'no/such/folder/report.json'], '--json: there is no folder')])
def test_a_failed_start_reports_the_reason(
        words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The exit status is an error, and there is no traceback."""
    assert status_of(main, *words) in {1, 2}
    said = capfd.readouterr().err
    assert message in said
    assert 'Traceback' not in said


def test_an_interruption_is_no_crash(domain: int, policy: Path) -> None:
    """Ctrl-C while it waits for the robot: exit status 1, no traceback."""
    with Peer(domain) as peer, NodeProcess(
            MODULE, domain, '--wait', '60', '--ros-args', *arguments(policy)) as process:
        peer.wait_for(lambda: 'dfp_preflight_listener' in peer.node.get_node_names())
        assert process.stop() == 1
        assert 'Traceback' not in process.output, process.output


def test_a_policy_that_never_answers(domain: int, tmp_path: Path) -> None:
    """It is tried out in a process that is killed after load_timeout, as in the policy node."""
    endless = write_endless_policy(tmp_path / 'endless.onnx', cube_spec())
    with NodeProcess(MODULE, domain, '--ros-args', *arguments(
            endless, load_timeout=2.0, **{'execution.unbounded_operators': 'Loop'})) as process:
        assert process.wait() == 1
        assert 'within 2 s, and was killed' in process.output
        assert 'Traceback' not in process.output


@pytest.mark.parametrize(('how', 'seconds'), [('warn', 8), ('hold', 1)])
def test_a_policy_that_never_answers_some_observations(
        how: str, seconds: int, domain: int, tmp_path: Path) -> None:
    """It passes the trial, and is found in bounded time, with a report."""
    report = tmp_path / 'preflight.json'
    endless = write_endless_policy(tmp_path / 'endless.onnx', cube_spec(), place=0)
    with Peer(domain) as peer:
        messages = rest_messages(peer.node.get_clock().now().to_msg())
        messages['joint_states'].position[0] = 0.9
        # Their stamps stay the same.
        patient = tmp_path / 'patient.yaml'
        patient.write_text(SHIPPED.read_text().replace('max_age: 0.2', 'max_age: 1000.0'))
        publishers = {
            topic: peer.node.create_publisher(type(message), topic, 5)
            for topic, message in messages.items()}
        with NodeProcess(
                MODULE, domain, '--seconds', str(seconds), '--wait', '5', '--json', str(report),
                '--ros-args', *arguments(endless, robot=patient, **{
                    'execution.unbounded_operators': 'Loop', 'safety.late_inference': how,
                    'safety.inference_deadline': 1.0})) as process:

            def has_ended() -> bool:
                for topic, publisher in publishers.items():
                    publisher.publish(messages[topic])
                return process.process.poll() is not None

            peer.wait_for(has_ended)
            assert process.wait() == 1
            assert 'Traceback' not in process.output, process.output
            assert 'FAILED at' in process.output
    failed = {
        remark['about']: remark['text'] for remark in json.loads(report.read_text())['remarks']
        if remark['level'] == 'FAIL'}
    if how == 'warn':
        assert 'a tick did not end within' in failed['policy']
    else:
        assert 'inference was given up' in failed['late_inference']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_policy_is_tried_out(
        number: int, domain: int, tmp_path: Path) -> None:
    """The preflight ends at once, and so does the process that tries the policy out."""
    endless = write_endless_policy(tmp_path / 'endless.onnx', cube_spec())
    with NodeProcess(MODULE, domain, '--ros-args', *arguments(
            endless, load_timeout=500.0, **{'execution.unbounded_operators': 'Loop'})) as process:
        pid = process.process.pid
        deadline = time.monotonic() + 30
        # One that computes for so long has loaded it.
        while max(map(processor_time, children_of(pid)), default=0.0) < 1.5:
            assert time.monotonic() < deadline, process.output
            time.sleep(0.05)
        children = children_of(pid)
        assert process.stop(number, 10) == 1
        assert f'preflight: interrupted: {signal.Signals(number).name}' in process.output
        assert 'Traceback' not in process.output
    while any(Path(f'/proc/{child}').exists() for child in children):
        assert time.monotonic() < deadline + 10, 'a process is left'
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """List the processes that a process has started; a thread may end meanwhile."""
    found = []
    for task in Path(f'/proc/{pid}/task').glob('*'):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in (task / 'children').read_text().split()]
    return found


def processor_time(pid: int) -> float:
    """Return the processor time of a process in s; 0 for one that has ended."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(text.rpartition(')')[2].split()[11]) / os.sysconf('SC_CLK_TCK')
