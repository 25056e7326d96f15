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
"""Several commanders of one robot: a single active policy node, and warnings about others."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import random
import signal
import time

import pytest

from dfp_ros.node.monitors.claim import Claim, Claims, read_claim, TIMEOUT
from testing.policies.small_policy import write_policy


def test_of_two_claims_both_nodes_find_the_same_one_stronger() -> None:
    """The result does not depend on clocks, or on the order of discovery."""
    generator = random.Random(0)
    for _ in range(200):
        nodes = [Claims(name, 'here') for name in ('/a', '/b', '/a')]
        claims = [node.make(generator.choice((5, 5, 6))) for node in nodes]
        for node in nodes:
            for claim in generator.sample(claims, 3):
                node.hear(claim.to_json(), 0.0)
        assert sum(node.stronger(0.1) is None for node in nodes) == 1
        assert all(len(node.rivals(0.1)) == 2 for node in nodes)


def test_a_node_that_is_silent_commands_no_more() -> None:
    """A killed node does not block others."""
    mine = Claims('/a', 'here')
    other = Claims('/a', 'there')
    mine.hear(other.make(1).to_json(), 10.0)
    assert str(mine.stronger(10.0 + 0.9 * TIMEOUT)) == '/a on there'
    assert mine.stronger(10.0 + TIMEOUT) is None
    # One that does not command yet has every other one before it, but itself.
    own = mine.make(0)
    mine.hear(own.to_json(), 11.0)
    mine.drop()
    assert mine.stronger(11.0) is None


def test_claims_from_an_earlier_activation_are_ignored() -> None:
    """Its last messages come late, and would be those of a node that was activated earlier."""
    node = Claims('/a', 'here')
    before = [node.make(i).to_json() for i in range(3)]
    node.drop()
    node.make(3)
    for text in before:
        node.hear(text, 0.0)
    assert node.stronger(0.1) is None


@pytest.mark.parametrize('text', [
    '', '[]', '{}', '[' * 5000, '{"since": 1}', 'x' * 10**6,
    json.dumps({'since': 1.5, 'id': 'a', 'node': '/a', 'host': 'b'}),
    json.dumps({'since': True, 'id': 'a', 'node': '/a', 'host': 'b'}),
    json.dumps({'since': 1, 'id': ['a'], 'node': '/a', 'host': 'b'})], ids=[
        'empty', 'list', 'no keys', 'deeply nested', 'keys missing', 'long', 'since is a float',
        'since is a bool', 'id is a list'])
def test_anything_else_on_the_topic_is_no_claim(text: str) -> None:
    """Any node may publish on the topic, so other content is ignored."""
    assert read_claim(text) is None


def test_names_from_the_network_are_escaped() -> None:
    """They are written into the log."""
    claim = read_claim(Claim(1, 'a', '/a\n[ERROR] forged', 'b').to_json())
    assert str(claim) == r'/a\n[ERROR] forged on b'


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx', gain=0.7)


@pytest.fixture(name='cell')
def running_cell(policy: Path) -> Iterator[object]:
    """Start a node and its robot."""
    pytest.importorskip('rclpy')
    from testing.processes.policy_cell import Cell, OFTEN
    with Cell(policy, **OFTEN) as cell:
        cell.wait_for_motion()
        yield cell


def test_a_second_node_does_not_command(cell: object, policy: Path) -> None:
    """Activation is refused, naming the other node; once that is killed, it succeeds."""
    from testing.processes.policy_cell import arguments, Cell
    from testing.processes.ros_processes import NodeProcess
    assert isinstance(cell, Cell)
    words = ['--ros-args', *arguments(policy)]
    with NodeProcess('dfp_ros.policy_node', cell.domain, *words) as second:
        cell.peer.wait_for(lambda: second.process.poll() is not None or (
            'commands this robot' in second.output))
        assert second.wait() == 1, second.output
        assert 'cannot activate: /dfp_policy on ' in second.output
        assert 'commands this robot already' in second.output
    cell.wait_for_motion()
    assert 'deactivated' not in cell.process.output
    cell.process.process.send_signal(signal.SIGKILL)
    cell.process.process.wait()
    with NodeProcess('dfp_ros.policy_node', cell.domain, *words) as third:
        cell.wait_for_motion()
        assert 'cannot activate' not in third.output
        third.leave()


def test_two_nodes_of_one_name_do_not_command_even_different_topics(
        cell: object, policy: Path) -> None:
    """A call of ~/stop reaches one of two services of the same name, perhaps not the intended."""
    from testing.processes.policy_cell import arguments, Cell
    from testing.processes.ros_processes import NodeProcess
    assert isinstance(cell, Cell)
    words = ['--ros-args', *arguments(policy), '-r', 'twist_command:=dry/twist',
             '-r', 'gripper_command:=dry/gripper']
    with NodeProcess('dfp_ros.policy_node', cell.domain, *words) as second:
        cell.peer.wait_for(lambda: second.process.poll() is not None or (
            'running' in second.output))
        assert second.wait() == 1, second.output
        assert 'or another robot under the name of this node' in second.output
    # Under another name, it is another robot's node.
    with NodeProcess(
            'dfp_ros.policy_node', cell.domain, *words, '-r', '__node:=dry') as other:
        cell.peer.wait_for(lambda: '[dry]: running' in other.output)
        other.leave()
    cell.wait_for_motion()


def test_of_two_that_begin_together_one_goes_on(cell: object, policy: Path) -> None:
    """Neither both nor none."""
    from lifecycle_msgs.msg import Transition

    from testing.processes.policy_cell import arguments, Cell
    from testing.processes.ros_processes import NodeProcess
    assert isinstance(cell, Cell)
    # The first one stands still, so the others find none, as if they began at the same time.
    assert cell.change(Transition.TRANSITION_DEACTIVATE)
    cell.twists.clear()
    others = [
        NodeProcess(
            'dfp_ros.policy_node', cell.domain, '--ros-args', '-r', f'__node:={name}',
            *arguments(policy)) for name in ('left', 'right')]
    with others[0], others[1]:
        cell.peer.wait_for(lambda: any(
            'commands this robot' in process.output for process in others))
        cell.wait_for_motion()
        losers = [
            process for process in others if 'commands this robot already' in process.output
            or 'which is deactivated' in process.output]
        assert len(losers) == 1, [process.output for process in others]
        for process in others:
            process.leave()


@pytest.mark.parametrize('has_successor', [True, False])
def test_a_node_that_stood_still_commands_nothing_unchecked(
        cell: object, policy: Path, tmp_path: Path, has_successor: bool) -> None:
    """Not even a stop reaches a robot that another node took over; without one, it goes on."""
    from testing.processes.policy_cell import arguments, Cell, SHIPPED
    from testing.processes.ros_processes import NodeProcess
    assert isinstance(cell, Cell)
    # The commands of the two differ by their frame.
    robot = tmp_path / 'robot.yaml'
    robot.write_text(SHIPPED.read_text().replace('frame_id: world', 'frame_id: second'))
    cell.process.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    if has_successor:
        with NodeProcess(
                'dfp_ros.policy_node', cell.domain, '--ros-args', '-r', '__node:=second',
                *arguments(policy, robot=robot)) as second:
            cell.wait_for_motion()
            cell.twists.clear()
            cell.process.process.send_signal(signal.SIGCONT)
            cell.peer.wait_for(lambda: 'stopped: no stop was sent' in cell.process.output)
            assert '/second on ' in cell.process.output
            cell.wait_for_more_twists(20)
            assert {twist.header.frame_id for twist in cell.twists} == {'second'}
            assert 'commands this robot' not in second.output
            second.leave()
    else:
        cell.peer.wait_for(lambda: time.monotonic() > stopped + 1.5 * TIMEOUT)
        cell.twists.clear()
        cell.process.process.send_signal(signal.SIGCONT)
        cell.peer.wait_for(lambda: 'it begins again' in cell.process.output)
        cell.wait_for_motion()
        cell.end()


def test_a_node_that_may_be_two_goes_on_at_once(policy: Path) -> None:
    """Where a second node only causes a warning, nothing is checked first."""
    pytest.importorskip('rclpy')
    from testing.processes.policy_cell import Cell
    with Cell(policy, **{'safety.second_node': 'warn'}) as cell:
        cell.wait_for_motion()
        cell.process.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        cell.peer.wait_for(lambda: time.monotonic() > stopped + 1.5 * TIMEOUT)
        cell.process.process.send_signal(signal.SIGCONT)
        cell.wait_for_motion()
        assert 'begins again' not in cell.process.output
        cell.end()


def test_another_publisher_is_reported(cell: object) -> None:
    """There is a warning whether or not it sends anything, and, if configured, a hold."""
    from geometry_msgs.msg import TwistStamped

    from testing.processes.policy_cell import Cell
    assert isinstance(cell, Cell)
    publisher = cell.peer.node.create_publisher(TwistStamped, 'twist_command', 1)
    status, _ = cell.report(reason='other_publisher', response='warn')
    assert '/peer publishes on /twist_command, too' in status.message
    cell.wait_for_motion()
    assert cell.set('safety.other_publisher', 'hold') == (True, '')
    cell.report(state='hold', reason='other_publisher')
    cell.wait_for_stop()
    cell.peer.node.destroy_publisher(publisher)
    cell.wait_for_motion()
    cell.report(state='running', other_publishers='')
