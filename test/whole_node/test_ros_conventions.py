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
"""ROS conventions of the policy node: parameters, namespaces, foreign executors."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from testing import ROOT
from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from geometry_msgs.msg import TwistStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, ListParameters, SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter as RclpyParameter
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dfp_ros.core.settings.node import describe
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.policy_node import PolicyNode
from testing.processes.policy_cell import arguments, Cell, SHIPPED, speed
from testing.processes.ros_processes import in_domain, NodeProcess, Peer

EXAMPLE = ROOT / 'examples' / 'own_executor.py'
ROBOTS = ('left', 'right')


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')


def test_parameters_describe_themselves(policy: Path) -> None:
    """As `ros2 param list` and `describe` see them: sentence, range, words, read-only marks."""
    domain = free_domain()
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', *arguments(policy, autostart='false'),
            ) as process:
        names = peer.call(ListParameters, 'dfp_policy/list_parameters').result.names
        settings = {name: (default, meaning) for name, default, meaning in describe()}
        assert set(settings) <= set(names)
        found = peer.call(
            DescribeParameters, 'dfp_policy/describe_parameters',
            DescribeParameters.Request(names=list(settings))).descriptors
        for descriptor in found:
            default, meaning = settings[descriptor.name]
            assert descriptor.description == meaning.sentence
            assert descriptor.read_only == meaning.is_fixed
            assert descriptor.dynamic_typing == meaning.is_any_type
            ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
            assert [(limits.from_value, limits.to_value) for limits in ranges] == (
                [] if meaning.bounds is None else [meaning.bounds])
            # A number without a range could be anything.
            assert ranges or isinstance(default, str | bool), descriptor.name
            assert all(word in descriptor.additional_constraints for word in meaning.choices)
        for name, (_, meaning) in settings.items():
            if meaning.choices:
                result = peer.call(
                    SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                        parameters=[Parameter(name=name, value=ParameterValue(
                            type=ParameterType.PARAMETER_STRING, string_value='foo'))])).results[0]
                assert not result.successful, name
                assert all(word in result.reason for word in meaning.choices), result.reason
        for name, value, reason in (
                ('autostart', ParameterValue(
                    type=ParameterType.PARAMETER_BOOL, bool_value=True), 'read-only'),
                ('rate', ParameterValue(
                    type=ParameterType.PARAMETER_STRING, string_value='fast'),
                 "parameter rate: found 'fast', expected"),
                ('rate', ParameterValue(
                    type=ParameterType.PARAMETER_DOUBLE, double_value=1001.0), 'range')):
            result = peer.call(
                SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                    parameters=[Parameter(name=name, value=value)])).results[0]
            assert not result.successful
            assert reason in result.reason
        assert process.stop() == 0


def test_a_word_that_cannot_be_ends_the_start() -> None:
    """Before there is a node that could be taken for one that works."""
    with NodeProcess(
            'dfp_ros.policy_node', free_domain(), '--ros-args', '-p', 'planning.mode:=foo', '-p',
            'autostart:=false') as process:
        assert process.wait() == 1
        assert ("parameter planning.mode: found 'foo', expected open_loop or receding or ensemble"
                in process.output)
        assert 'Traceback' not in process.output


def find_ends(peer: Peer, topic: str) -> list[set[tuple[str, str]]]:
    """List namespace and name of a topic's publishers, and of its subscribers."""
    return [
        {(end.node_namespace, end.node_name) for end in seen if end.node_name != 'peer'}
        for seen in (peer.node.get_publishers_info_by_topic(topic),
                     peer.node.get_subscriptions_info_by_topic(topic))]


def test_two_robots_in_one_domain(policy: Path) -> None:
    """Each is commanded by its own node, and stopping one leaves the other alone."""
    pytest.importorskip('mujoco')
    domain = free_domain()
    with Peer(domain) as peer:
        twists: dict[str, list[Any]] = {
            name: peer.collect(TwistStamped, f'/{name}/twist_command') for name in ROBOTS}
        states: dict[str, list[Any]] = {
            name: peer.collect(JointState, f'/{name}/joint_states') for name in ROBOTS}
        processes = [
            NodeProcess(
                module, domain, '--ros-args', '-r', f'__ns:=/{name}', *words)
            for name in ROBOTS for module, words in (
                ('dfp_ros.sim.sim_robot.main', ('-p', 'state_rate:=20.0')),
                ('dfp_ros.policy_node', arguments(policy)))]
        try:
            peer.wait_for(lambda: all(
                states[name] and any(states[name][-1].velocity) and twists[name]
                for name in ROBOTS), 120)
            for name in ROBOTS:
                for topic in ('twist_command', 'gripper_command'):
                    # An endpoint is counted before its node is known.
                    peer.wait_for(lambda at=f'/{name}/{topic}': not any(
                        node.startswith('_') for ends in find_ends(peer, at) for _, node in ends))
                    assert find_ends(peer, f'/{name}/{topic}') == [
                        {(f'/{name}', 'dfp_policy')}, {(f'/{name}', 'sim_robot')}]
            assert peer.call(Trigger, '/left/dfp_policy/stop').success
            peer.wait_for(lambda: speed(twists['left'][-1]) == 0)
            for heard in twists.values():
                heard.clear()
            peer.wait_for(lambda: all(len(heard) > 3 for heard in twists.values()))
            assert not any(speed(twist) for twist in twists['left'])
            assert any(speed(twist) for twist in twists['right'])
            for process in processes:
                process.process.send_signal(signal.SIGINT)
            for process in processes:
                assert process.wait() == 0, process.output
                assert 'Traceback' not in process.output
        finally:
            for process in processes:
                process.__exit__()


def test_remapping(policy: Path) -> None:
    """Topics of a description are names that a launch file can change."""
    domain = free_domain()
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', *arguments(policy), '-r',
            'joint_states:=/arm/state', '-r', 'twist_command:=servo/delta_twist_cmds', '-r',
            '__node:=pilot') as process:
        def nodes(topic: str, publishers: bool) -> list[str]:
            seen = (
                peer.node.get_publishers_info_by_topic(topic) if publishers
                else peer.node.get_subscriptions_info_by_topic(topic))
            return [end.node_name for end in seen]

        peer.wait_for(lambda: nodes('/arm/state', False) == ['pilot']
                      and nodes('/servo/delta_twist_cmds', True) == ['pilot'])
        assert not nodes('/joint_states', False)
        assert not nodes('/twist_command', True)
        assert process.stop() == 0


@pytest.mark.parametrize('seed', [0, 1])
def test_without_features_missing_in_humble(
        policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """
    Parameters that are set take effect, all of them, and those that are refused have none.

    A policy of the same content, that of seed 0, runs already and is not loaded; another is being
    loaded when the next parameter is set.
    """
    monkeypatch.delattr(Node, 'add_post_set_parameters_callback')
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    node = PolicyNode(context=context, parameter_overrides=[
        RclpyParameter('policy', value=str(policy)), RclpyParameter('robot', value=str(SHIPPED))])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        assert node.autostart()
        ticker = node._ticker
        assert ticker is not None
        assert not node.set_parameters([RclpyParameter('rate', value=0.5)])[0].successful
        assert node.set_parameters([RclpyParameter('rate', value=100.0)])[0].successful
        other = write_policy(tmp_path / 'other.onnx', seed=seed)
        assert node.set_parameters([RclpyParameter('policy', value=str(other))])[0].successful
        assert node.set_parameters([RclpyParameter('noise_seed', value=5)])[0].successful
        deadline = time.monotonic() + 30
        while ticker.loop.policy.path != other or ticker.loop.settings.noise_seed != 5:
            assert time.monotonic() < deadline, 'the policy or the seed was not taken'
            executor.spin_once(0.1)
        assert ticker.loop.tick == 10_000_000
    finally:
        executor.shutdown()
        node.close()
        rclpy.shutdown(context=context)


def test_in_a_program_of_ones_own(policy: Path) -> None:
    """The example runs the node with its own executor, and stops the robot at its end."""
    with Cell(policy, autostart='false') as cell:
        done = subprocess.Popen(
            [sys.executable, str(EXAMPLE), str(policy), str(SHIPPED), '--seconds', '4',
             '--ros-args', '-r', '__node:=inside'], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=environment(cell.domain))
        cell.wait_for_motion()
        cell.peer.wait_for(lambda: done.poll() is not None)
        output, _ = done.communicate()
        assert done.returncode == 0, output
        assert 'Traceback' not in output
        cell.peer.wait_for(lambda: speed(cell.twists[-1]) == 0)


def environment(domain: int) -> dict[str, str]:
    """Make the environment of a process in a domain."""
    return {
        **in_domain(domain),
        'PYTHONPATH': os.pathsep.join([
            str(EXAMPLE.parent.parent), os.environ.get('PYTHONPATH', '')])}
