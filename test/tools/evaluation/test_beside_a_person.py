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
"""Tests of an evaluation on a robot beside a person, and beside other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import itertools
import json
from pathlib import Path
import signal
import time
from typing import Any

import pytest

pytest.importorskip('rclpy')

from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout, String
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import DECISION_QOS, STATUS_QOS
from dfp_ros.tools.evaluation.result import read_evaluation
from testing.policies.small_policy import cube_spec, write_policy
from testing.processes.policy_cell import arguments, Cell, CommonNode, speed
from testing.processes.ros_processes import NodeProcess, Peer


@pytest.fixture(name='moving', scope='module')
def moving_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy, which always moves."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'moving.onnx', gain=0.7)


@pytest.fixture(name='running', scope='module')
def running_node(moving: Path) -> Iterator[CommonNode]:
    """Have a policy node for all tests that leave it as it was."""
    with CommonNode(moving) as node:
        yield node


def count(cell: Any, path: Path, *words: str) -> Any:
    """Start an evaluation in a cell, and wait until it has stopped the robot."""
    cell.wait_for_motion()
    counting = NodeProcess(
        'dfp_ros.tools.evaluation.main', cell.domain, '--episodes', '1', '--out', str(path),
        *words)
    cell.peer.wait_for(lambda: path.is_file())
    return counting


def begin(cell: Any, counting: Any, again: int = 1) -> None:
    """Begin an episode with a mark, and see the robot move."""
    marks = cell.peer.node.create_publisher(String, 'episode_marks', 10)
    cell.peer.wait_for(marks.get_subscription_count)
    cell.twists.clear()
    marks.publish(String(data='start'))
    cell.peer.wait_for(lambda: counting.output.count('running; y: success') == again)
    cell.wait_for_motion()


def test_the_robot_is_held_between_episodes_whoever_releases_it(
        moving: Path, tmp_path: Path) -> None:
    """Another may call ~/resume, or start the policy node again: the robot is stopped again."""
    with Cell(moving) as cell, count(cell, tmp_path / 'a.json') as counting:
        cell.wait_for_stop()
        assert cell.peer.call(Trigger, 'dfp_policy/resume').success
        cell.wait_for_stop()
        cell.process.process.kill()
        cell.process.process.wait()
        with NodeProcess('dfp_ros.policy_node', cell.domain, '--ros-args', *arguments(
                moving, latency_share=10.0, load_timeout=120.0)) as node:
            cell.peer.wait_for(lambda: 'the robot is stopped again' in counting.output)
            cell.wait_for_stop()
            # It goes on as usual.
            begin(cell, counting)
            assert counting.stop(signal.SIGINT) == 1, counting.output
            cell.wait_for_no_motion()
            node.leave()


def test_a_robot_in_a_namespace(moving: Path, tmp_path: Path) -> None:
    """The command that releases it works in any terminal; a forgotten namespace is named."""
    domain = free_domain()
    with NodeProcess('dfp_ros.policy_node', domain, '--ros-args', '-r', '__ns:=/left', *arguments(
            moving, latency_share=10.0)), Peer(domain) as peer:
        path, counting = tmp_path / 'a.json', 'dfp_ros.tools.evaluation.main'
        with NodeProcess(counting, domain, '--out', str(tmp_path / 'b.json')) as other, \
                NodeProcess(counting, domain, '--out', str(path), '--ros-args', '-r',
                            '__ns:=/left') as named:
            peer.wait_for(lambda: path.is_file())
            assert named.stop(signal.SIGINT) == 1, named.output
            command = named.output.partition('ros2 service call ')[2].split()
            assert other.process.wait(120) == 2
            assert 'not found as /dfp_policy; there is /left/dfp_policy; start' in other.output
        assert command[1] == 'std_srvs/srv/Trigger`'
        # `ros2 service call` resolves a name as any node does that is in no namespace.
        assert peer.call(Trigger, command[0]).success


def test_a_stop_by_a_person_is_not_resumed_with_the_next_scene(
        running: CommonNode, tmp_path: Path) -> None:
    """The episode does not count, the scene is not prepared, and the person's ~/resume goes on."""
    path, prepared = tmp_path / 'a.json', []

    def prepare(_: Any, answer: Any) -> Any:
        prepared.append(True)
        answer.success = True
        return answer
    with Cell(running) as cell:
        cell.peer.node.create_service(Trigger, 'next_part', prepare)
        with count(cell, path, '--scene', 'next_part', '--settle', '0') as counting:
            cell.peer.wait_for(lambda: 'running; y: success' in counting.output)
            cell.wait_for_motion()
            assert cell.peer.call(Trigger, 'dfp_policy/stop').success
            cell.peer.wait_for(lambda: 's, or /dfp_policy/resume: go on' in counting.output)
            cell.wait_for_stop()
            assert prepared == [True]
            assert cell.peer.call(Trigger, 'dfp_policy/resume').success
            cell.peer.wait_for(lambda: counting.output.count('running; y: success') == 2)
            cell.wait_for_motion()
            assert 'the robot is stopped again' in counting.output
            assert prepared == [True, True]
            assert counting.stop(signal.SIGINT) == 1, counting.output
    assert read_evaluation(path).episodes == []


def test_a_stop_by_a_person_withdraws_the_call_for_a_scene(
        running: CommonNode, tmp_path: Path) -> None:
    """The service comes later, and moves the robot only when the person goes on."""
    prepared = []

    def prepare(_: Any, answer: Any) -> Any:
        prepared.append(True)
        answer.success = True
        return answer
    with Cell(running) as cell, count(
            cell, tmp_path / 'a.json', '--scene', 'next_part', '--settle', '0') as counting:
        cell.wait_for_stop()
        assert cell.peer.call(Trigger, 'dfp_policy/stop').success
        cell.peer.wait_for(lambda: 's, or /dfp_policy/resume: go on' in counting.output)
        cell.peer.node.create_service(Trigger, 'next_part', prepare)
        cell.wait_for_more_twists(30)
        assert prepared == [], counting.output
        assert cell.peer.call(Trigger, 'dfp_policy/resume').success
        cell.peer.wait_for(lambda: 'running; y: success' in counting.output)
        assert prepared == [True]
        assert counting.stop(signal.SIGINT) == 1, counting.output


def test_a_stop_by_a_person_is_not_resumed_with_the_mark_of_a_program(
        running: CommonNode, tmp_path: Path) -> None:
    """A robot that begins its next episode by itself says start, too: that is no permission."""
    with Cell(running) as cell, count(cell, tmp_path / 'a.json') as counting:
        begin(cell, counting)
        assert cell.peer.call(Trigger, 'dfp_policy/stop').success
        cell.peer.wait_for(lambda: 'does not count: another than this' in counting.output)
        marks = cell.peer.node.create_publisher(String, 'episode_marks', 10)
        cell.peer.wait_for(marks.get_subscription_count)
        cell.wait_for_stop()
        cell.twists.clear()
        marks.publish(String(data='start'))
        cell.peer.wait_for(lambda: 'a mark start is ignored: another than' in counting.output
                           or counting.output.count('running; y: success') == 2)
        cell.wait_for_more_twists(20)
        assert not any(speed(twist) for twist in cell.twists), counting.output
        # The person releases it; between two episodes it is held, and marks count again.
        assert cell.peer.call(Trigger, 'dfp_policy/resume').success
        cell.peer.wait_for(lambda: 'the robot is stopped again' in counting.output)
        cell.wait_for_stop()
        begin(cell, counting, again=2)
        assert counting.stop(signal.SIGINT) == 1, counting.output


def test_a_stop_by_a_person_as_the_evaluation_begins(running: CommonNode, tmp_path: Path) -> None:
    """Right after its own stop, which it cannot be told from by the state of the robot."""
    with Cell(running) as cell:
        def prepare(_: Any, answer: Any) -> Any:
            answer.success = True
            return answer
        cell.peer.node.create_service(Trigger, 'next_part', prepare)
        cell.wait_for_motion()
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', cell.domain, '--episodes', '1', '--scene',
                'next_part', '--out', str(tmp_path / 'a.json')) as counting:
            cell.wait_for_stop()
            assert cell.peer.call(Trigger, 'dfp_policy/stop').success
            cell.twists.clear()
            cell.peer.wait_for(
                lambda: 's, or /dfp_policy/resume: go on' in counting.output
                or 'running; y: success' in counting.output)
            cell.wait_for_more_twists(20)
            assert not any(speed(twist) for twist in cell.twists), counting.output
            assert counting.stop(signal.SIGINT) == 1, counting.output


def stand_in(node: Any, silent: str) -> list[str]:
    """
    Offer the services of a policy node that answer with success, and publish its status.

    :param silent: Service that does not answer; its callback fails.
    :return: The services in the order of their calls.
    """
    called: list[str] = []
    for word in ('stop', 'reset', 'resume', 'scene'):
        def answer(_: Any, response: Any, word: str = word) -> Any:
            called.append(word)
            if word == silent:
                # rclpy sends no answer after an error.
                raise ConnectionError(word)
            response.success = True
            return response
        node.create_service(Trigger, word if word == 'scene' else f'dfp_policy/{word}', answer)
    node.create_publisher(String, 'dfp_policy/policy', STATUS_QOS).publish(
        String(data=json.dumps({
            'name': 'a', 'path': '/a.onnx', 'sha256': '1' * 64, 'robot': {'name': 'r'},
            'settings': {}, 'spec': {'environment': 'none', 'period': 0.05, 'provenance': {}}})))
    return called


@pytest.mark.parametrize(('silent', 'event', 'said'), [
    ('', 'stop', 's, or /dfp_policy/resume: go on'), ('reset', 'restart', 'was restarted'),
    ('resume', 'restart', 'was restarted'), ('resume', 'stop', 's, or /dfp_policy/resume: go on')])
def test_what_happens_while_the_robot_is_released(
        tmp_path: Path, silent: str, event: str, said: str) -> None:
    """A stop by a person is not resumed, and a new policy node is stopped without a delay."""
    domain = free_domain()
    with Peer(domain) as peer:
        called = stand_in(peer.node, silent)
        publisher = peer.node.create_publisher(
            Float64MultiArray, 'dfp_policy/statistics', DECISION_QOS)
        layout = MultiArrayLayout(dim=[
            MultiArrayDimension(label=label, size=1, stride=1)
            for label in ('ticks', 'state', 'operator_stops')])
        ticks = itertools.count(1)

        def report() -> None:
            word = silent or 'reset'
            stops = called.count('stop')
            if word in called and event == 'stop':
                stops += 1
            elif word in called:
                stops = called[called.index(word):].count('stop')
            state = State.STOPPED if stops else State.RUNNING
            publisher.publish(Float64MultiArray(
                layout=layout, data=[float(next(ticks)), float(list(State).index(state)),
                                     float(stops)]))
        peer.node.create_timer(0.1, report)
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', domain, '--episodes', '1', '--settle', '1',
                '--scene', 'scene', '--out', str(tmp_path / 'a.json')) as counting:
            def spin(condition: Callable[[], object]) -> None:
                while True:
                    try:
                        return peer.wait_for(condition, 20)
                    except ConnectionError:
                        pass
            word = silent or 'reset'
            spin(lambda: word in called)
            begun = time.monotonic()
            spin(lambda: 'stop' in called[called.index(word):] or 'resume' in called[:-1]
                 or counting.process.poll() is not None)
            # An answer would be awaited for ten seconds.
            assert time.monotonic() - begun < 9, counting.output
            assert called[called.index(word) + 1] == 'stop', counting.output
            spin(lambda: said in counting.output)
            counting.process.send_signal(signal.SIGINT)
            spin(lambda: counting.process.poll() is not None)
            assert counting.process.poll() == 1, counting.output


def test_the_robot_is_stopped_before_the_evaluation_is_suspended(
        running: CommonNode, tmp_path: Path) -> None:
    """As with Ctrl-Z: it could not end the episode, which does not count; it goes on later."""
    with Cell(running) as cell, count(cell, tmp_path / 'a.json', '--seconds', '60') as counting:
        begin(cell, counting)
        counting.process.send_signal(signal.SIGTSTP)
        status = Path(f'/proc/{counting.process.pid}/stat')
        cell.peer.wait_for(lambda: status.read_text().rpartition(')')[2].split()[0] == 'T')
        cell.wait_for_stop()
        counting.process.send_signal(signal.SIGCONT)
        cell.peer.wait_for(
            lambda: 'does not count: the evaluation was suspended' in counting.output)
        begin(cell, counting, again=2)
        assert counting.stop(signal.SIGINT) == 1, counting.output


def test_an_evaluation_that_was_replaced_ends_without_a_command(
        running: CommonNode, tmp_path: Path) -> None:
    """It stood still meanwhile, and the robot is another's now."""
    with Cell(running) as cell, count(cell, tmp_path / 'a.json') as first:
        begin(cell, first)
        first.process.send_signal(signal.SIGSTOP)
        with count(cell, tmp_path / 'b.json') as second:
            begin(cell, second)
            stops = cell.process.output.count('~/stop: a stop was sent')
            first.process.send_signal(signal.SIGCONT)
            assert first.wait(60) == 1, first.output
            assert 'end it first' in first.output
            cell.wait_for_motion()
            assert cell.process.output.count('~/stop: a stop was sent') == stops
            assert 'this episode does not count' not in second.output
            assert second.stop(signal.SIGINT) == 1, second.output


def test_an_episode_with_another_policy_in_it_does_not_count(
        moving: Path, tmp_path: Path) -> None:
    """However short, and even if the evaluation stood still meanwhile."""
    path = tmp_path / 'a.json'
    other = write_policy(tmp_path / 'other.onnx', cube_spec(name='other'), 1, 0.7)
    with Cell(moving) as cell:
        assert cell.set('shadow', str(other))[0]
        cell.report(shadow='other')
        with count(cell, path) as counting:
            begin(cell, counting)
            counting.process.send_signal(signal.SIGSTOP)
            # It has to be there until its report was sent.
            said = cell.peer.collect(String, 'dfp_policy/policy')
            for word, name in (('promote', 'other'), ('rollback', 'test')):
                assert cell.peer.call(Trigger, f'dfp_policy/{word}').success
                cell.peer.wait_for(lambda name=name: said and (
                    json.loads(said[-1].data)['name'] == name))
            counting.process.send_signal(signal.SIGCONT)
            cell.peer.wait_for(lambda: 'this episode does not count: another policy took over'
                               in counting.output)
            # The last moment before the stop counts as well.
            assert cell.set('shadow', str(other))[0]
            cell.report(shadow='other')
            begin(cell, counting, again=2)
            marks = cell.peer.node.create_publisher(String, 'episode_marks', 10)
            cell.peer.wait_for(marks.get_subscription_count)
            swapped = cell.peer.ask(Trigger, 'dfp_policy/promote')
            marks.publish(String(data='success'))
            cell.peer.wait_for(swapped.done)
            assert counting.wait(60) == 1, counting.output
            assert 'a success rate belongs to one policy' in counting.output
    assert read_evaluation(path).episodes == []
