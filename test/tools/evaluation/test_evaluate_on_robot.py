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
"""Evaluation on a robot: result file, keys, and the shipped simulated robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import json
import os
from pathlib import Path
import pty
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest
from scipy.stats import binomtest

from dfp_ros.core.intervals import wilson_interval
from dfp_ros.tools.evaluation import result as robot_evaluation
from dfp_ros.tools.evaluation.result import EvaluationError, RobotEpisode, RobotEvaluation

POLICY = {'name': 'a', 'sha256': '1' * 64}
ROBOT = {'name': 'r', 'sha256': '2' * 64}
STATUS = {
    'name': 'a', 'path': '/a.onnx', 'sha256': '1' * 64, 'robot': {'name': 'r'}, 'settings': {},
    'spec': {'environment': 'none', 'period': 0.05, 'provenance': {}}}


def evaluation(*successes: bool, asked: int = 5) -> RobotEvaluation:
    """Make an evaluation with some episodes."""
    return RobotEvaluation(
        asked, POLICY, ROBOT, {'rate': 0.0}, {'python': '3'}, 'here', '2026-01-01T00:00:00+00:00',
        [RobotEpisode(success, 1.5, '2026-01-01T00:00:01+00:00', 'mark') for success in successes])


@pytest.mark.parametrize(
    ('solved', 'episodes'), [(0, 1), (1, 1), (0, 7), (3, 7), (19, 20), (20, 20), (500, 1000)])
def test_interval_is_wilsons(solved: int, episodes: int) -> None:
    """As SciPy has it."""
    expected = binomtest(solved, episodes).proportion_ci(method='wilson')
    assert wilson_interval(solved, episodes) == pytest.approx((expected.low, expected.high))


def test_result_is_kept_and_read_again(tmp_path: Path) -> None:
    """The file has everything that identifies the measurement."""
    path = tmp_path / 'monday.json'
    found = evaluation(True, False, True)
    found.write(path)
    content = json.loads(path.read_text())
    assert content['success']['solved'] == 2
    assert content['success']['episodes'] == 3
    assert content['success']['low'] == pytest.approx(wilson_interval(2, 3)[0])
    assert content['policy'] == POLICY
    assert not content['complete']
    assert robot_evaluation.read_evaluation(path) == found
    assert '2 of 3 episodes solved: 66.7%' in found.sentence()
    assert '5 were requested' in found.sentence()
    assert os.listdir(tmp_path) == ['monday.json']


def test_parameters_that_changed_are_noted_once() -> None:
    """The note is returned when it is new, so that the operator is told at once."""
    found = evaluation(True)
    assert found.remark_settings({'rate': 0.0, 'noise_seed': 3}) == ''
    note = found.remark_settings({'rate': 40.0, 'noise_seed': 3})
    assert note == 'parameters changed during the evaluation: rate'
    assert found.remark_settings({'rate': 20.0}) == ''
    assert found.remarks == [note]


def test_other_software_is_noted_once(tmp_path: Path) -> None:
    """The file has that of the first episodes, and a note from which on there was another."""
    found = evaluation(True, False)
    assert found.remark_machine({'python': '3'}, 'here') == ''
    note = found.remark_machine({'python': '3', 'dfp_ros': '2.0.0'}, 'there')
    assert note == (
        'continued after 2 episodes with dfp_ros 2.0.0 in place of None, host there in place of '
        'here')
    assert found.remark_machine({'python': '3', 'dfp_ros': '2.0.0'}, 'there') == ''
    # Back on the first machine, the note does not count any more.
    found.episodes.append(found.episodes[0])
    back = found.remark_machine({'python': '3'}, 'here')
    assert back == 'continued after 3 episodes with the software and host of the first one'
    assert found.remark_machine({'python': '3'}, 'here') == ''
    found.write(tmp_path / 'a.json')
    again = robot_evaluation.read_evaluation(tmp_path / 'a.json')
    assert (again.remarks, again.software, again.host) == ([note, back], {'python': '3'}, 'here')
    # The last note is what holds, also if no episode ended since it was there before.
    there = found.remark_machine({'python': '3'}, 'there')
    assert found.remark_machine({'python': '3'}, 'here') == back
    assert found.remark_machine({'python': '3'}, 'there') == there
    assert found.remarks == [note, back, there, back, there]


def test_an_episode_with_a_person_is_no_success_of_the_policy(tmp_path: Path) -> None:
    """It is kept, and counts neither for the rate nor for the number that was asked for."""
    path = tmp_path / 'helped.json'
    found = evaluation(True, False, asked=2)
    found.episodes.append(RobotEpisode(
        True, 2.0, '2026-01-01T00:00:02+00:00', 'mark', person_steps=7))
    found.write(path)
    content = json.loads(path.read_text())
    assert content['success']['rate'] == 0.5
    assert content['success']['episodes'] == 2
    assert content['success']['left_out_with_a_person'] == 1
    assert content['episodes'][2]['person_steps'] == 7
    assert robot_evaluation.read_evaluation(path) == found
    assert found.is_complete
    assert '1 of 2 episodes solved: 50.0%' in found.sentence()
    assert found.sentence().endswith('1 more, in which a person took over, left out')
    del found.episodes[:2]
    assert not found.is_complete
    found.write(path)
    assert json.loads(path.read_text())['success']['rate'] is None
    # A file of an earlier release has no steps of a person.
    del content['episodes'][2]['person_steps']
    path.write_text(json.dumps(content))
    assert robot_evaluation.read_evaluation(path).counted == 3


def test_no_episode_is_no_rate(tmp_path: Path) -> None:
    """Nothing is divided by nothing."""
    evaluation().write(tmp_path / 'none.json')
    assert json.loads((tmp_path / 'none.json').read_text())['success']['rate'] is None
    assert 'no episode ended' in evaluation().sentence()


@pytest.mark.parametrize('text', [
    '', '[]', '{}', 'null', '{"kind": "dfp_ros evaluation on a robot", "version": 1}', '[' * 10**5,
    '{"kind": 1, "kind": "dfp_ros evaluation on a robot", "version": 2}'])
def test_an_invalid_result_is_not_continued(tmp_path: Path, text: str) -> None:
    """It is refused with its name, and stays as it is."""
    path = tmp_path / 'other.json'
    path.write_text(text)
    with pytest.raises(EvaluationError, match=r'other\.json'):
        robot_evaluation.read_evaluation(path)
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(EvaluationError, match='is not a file'):
        robot_evaluation.read_evaluation(tmp_path / 'pipe')


@pytest.mark.parametrize(('written', 'found'), [
    ('"seconds": 1.5', 'NaN'), ('"seconds": 1.5', '1e999'), ('"held": 0', '1e400'),
    ('"asked": 5', '-1'), ('"dropped": 0', '0.5'), ('"person_steps": 0', '-3'),
    ('"seconds": 1.5', '"nan"'), ('"seconds": 1.5', '-1'), ('"seconds": 1.5', 'true')])
def test_numbers_that_no_evaluation_writes(tmp_path: Path, written: str, found: str) -> None:
    """With them, the result could not be written again after the next episode."""
    path = tmp_path / 'mended.json'
    evaluation(True).write(path)
    key = written.partition(':')[0]
    assert written in (text := path.read_text())
    path.write_text(text.replace(written, f'{key}: {found}'))
    with pytest.raises(EvaluationError, match=r'mended\.json is not an evaluation on a robot'):
        robot_evaluation.read_evaluation(path)


@pytest.mark.parametrize(('policy', 'robot', 'message'), [
    ({**POLICY, 'sha256': '3'}, ROBOT, 'policy: found'), (POLICY, {'name': 'x'}, 'robot: found')])
def test_two_policies_have_no_common_rate(
        policy: dict[str, Any], robot: dict[str, Any], message: str) -> None:
    """Nor one policy on two robots."""
    evaluation(True).require_same(POLICY, ROBOT)
    with pytest.raises(EvaluationError, match=message):
        evaluation(True).require_same(policy, robot)


def test_two_kinds_of_episodes_have_no_common_rate(tmp_path: Path) -> None:
    """The file has the options; a file of an earlier version is continued with a remark."""
    plan = {'seconds': 30.0, 'scene': 'reset', 'settle': 1.0, 'release': False}
    found = evaluation(True)
    found.require_same_plan(plan)
    assert found.remarks == ['the options of the earlier episodes are unknown']
    found.write(tmp_path / 'a.json')
    again = robot_evaluation.read_evaluation(tmp_path / 'a.json')
    assert again.plan == plan
    again.require_same_plan(plan)
    with pytest.raises(EvaluationError, match='--seconds: found 20.0, expected 30.0 as in'):
        again.require_same_plan({**plan, 'seconds': 20.0})


@pytest.mark.parametrize('words', [
    ['--policy-node', 'pölicy'], ['--scene', 'a b'], ['--scene', 'x' * 500]])
def test_names_that_cannot_be(
        words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are refused before anything is created with them."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.evaluation import main
    with pytest.raises(SystemExit):
        main.parse(['--out', str(tmp_path / 'out.json'), *words])
    assert f'{words[0]}: found' in capsys.readouterr().err


def test_a_scene_of_another_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The type is named; it is not said to be missing."""
    pytest.importorskip('rclpy')
    from std_srvs.srv import SetBool

    from dfp_ros.node.ros.domain import free_domain
    from dfp_ros.tools.evaluation import evaluator
    from testing.processes.ros_processes import Peer
    monkeypatch.setattr(evaluator, '_ANSWER', 1.0)
    domain = free_domain()
    with Peer(domain) as peer, Peer(domain) as other:
        peer.node.create_service(SetBool, 'scene', lambda _, answer: answer)
        for scene, message in (
                ('scene', 'found the type std_srvs/srv/SetBool, expected std_srvs/srv/Trigger'),
                ('seen', 'not found as /seen; start the node that offers it')):
            running = evaluator.RobotEvaluator(
                other.node, evaluator.Plan(1, 0.0, scene, 0.0, False, 'dfp_policy'),
                str, bool, print)
            with pytest.raises(EvaluationError, match=f'service {scene}: {message}'):
                running.run(evaluation(), tmp_path / 'a.json')
            running.close()


def test_a_status_that_no_result_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that are none, and nesting without an end, are said and ignored."""
    pytest.importorskip('rclpy')
    from std_msgs.msg import String

    from dfp_ros.node.ros.domain import free_domain
    from dfp_ros.node.ros.qos import STATUS_QOS
    from dfp_ros.tools.evaluation import evaluator
    from testing.processes.ros_processes import Peer
    monkeypatch.setattr(evaluator, '_ANSWER', 0.5)
    domain, said = free_domain(), []
    good = json.dumps(STATUS)
    with Peer(domain) as peer, Peer(domain) as other:
        publisher = peer.node.create_publisher(String, 'other/policy', STATUS_QOS)
        for bad in (good.replace('0.05', 'NaN'), good.replace('0.05', '[' * 9000), '{}', ''):
            running = evaluator.RobotEvaluator(
                other.node, evaluator.Plan(1, 0.0, '', 0.0, False, 'other'), str, bool,
                said.append)
            publisher.publish(String(data=bad))
            with pytest.raises(EvaluationError, match="policy node 'other': not found"):
                running.find()
            running.close()
            assert said
            assert set(said) == {'a status of the policy node cannot be read; it is ignored'}
            said.clear()


def _stand_in(words: Iterable[str], node: Any, status: dict[str, Any]) -> tuple[Any, list[str]]:
    """
    Offer the services of a policy node that answer with success, and publish its status.

    :param words: Services that never answer.
    :return: The publisher, and the services in the order of their calls.
    """
    from lifecycle_msgs.srv import ChangeState
    from std_msgs.msg import String
    from std_srvs.srv import Trigger

    from dfp_ros.node.ros.qos import STATUS_QOS
    called: list[str] = []

    def serve(kind: Any, word: str) -> None:
        def answer(request: Any, response: Any) -> Any:
            name = word if kind is Trigger else f'change {request.transition.id}'
            called.append(name)
            if name in words:
                # rclpy sends no answer after an error.
                raise TimeoutError(name)
            response.success = True
            return response
        node.create_service(kind, f'dfp_policy/{word}' if word != 'scene' else word, answer)
    for word in ('stop', 'reset', 'resume', 'scene'):
        serve(Trigger, word)
    serve(ChangeState, 'change_state')
    publisher = node.create_publisher(String, 'dfp_policy/policy', STATUS_QOS)
    publisher.publish(String(data=json.dumps(status)))
    return publisher, called


@pytest.mark.parametrize(('silent', 'option'), [
    ('scene', []), ('reset', []), ('change 3', ['--release']), ('resume', [])])
def test_signals_are_heard_while_a_service_is_awaited(
        tmp_path: Path, silent: str, option: list[str]) -> None:
    """Ctrl-C ends the wait at once, and the robot is stopped, whether or not it was started."""
    pytest.importorskip('rclpy')
    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    domain = free_domain()
    with Peer(domain) as peer:
        _, called = _stand_in([silent], peer.node, STATUS)

        def spin(condition: Callable[[], object]) -> None:
            def held() -> object:
                return condition()
            while True:
                try:
                    return peer.wait_for(held)
                except TimeoutError as error:
                    if str(error) != silent:
                        raise
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', domain, '--episodes', '2', '--seconds', '0.1',
                '--settle', '0', '--scene', 'scene', '--out', str(tmp_path / 'a.json'), *option,
        ) as counting:
            spin(lambda: silent in called)
            del called[:]
            begun = time.monotonic()
            counting.process.send_signal(signal.SIGINT)
            spin(lambda: counting.process.poll() is not None)
            assert counting.process.poll() == 1, counting.output
            # An answer would be awaited for ten seconds.
            assert time.monotonic() - begun < 9, counting.output
            assert called == ['stop'], counting.output
            assert 'interrupted' in counting.output
            assert 'the robot is stopped' in counting.output


def test_a_verdict_while_the_scene_is_prepared_is_none_on_the_next_episode(
        tmp_path: Path) -> None:
    """It is late, and on the last one: the robot has not moved yet."""
    pytest.importorskip('rclpy')
    from std_msgs.msg import String
    from std_srvs.srv import Trigger

    from dfp_ros.core.control.episode_marks import TOPIC
    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    domain, path = free_domain(), tmp_path / 'a.json'
    with Peer(domain) as peer:
        _, called = _stand_in([], peer.node, STATUS)
        judge = peer.node.create_publisher(String, TOPIC, 10)

        def prepare(_: Any, answer: Any) -> Any:
            judge.publish(String(data='success'))
            answer.success = True
            return answer
        peer.node.create_service(Trigger, 'next_part', prepare)
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', domain, '--episodes', '1', '--seconds', '1',
                '--settle', '2', '--scene', 'next_part', '--out', str(path)) as counting:
            peer.wait_for(lambda: counting.process.poll() is not None)
            assert counting.process.poll() == 0, counting.output
    [episode] = robot_evaluation.read_evaluation(path).episodes
    assert (episode.success, episode.ended_by) == (False, 'time')
    assert called == ['stop', 'reset', 'resume', 'stop', 'stop']


def test_a_key_while_the_scene_is_prepared_is_no_verdict_on_the_next_episode(
        tmp_path: Path) -> None:
    """It came after the last episode had ended, and would count as a success within a moment."""
    pytest.importorskip('rclpy')
    from std_srvs.srv import Trigger

    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    domain, path = free_domain(), tmp_path / 'a.json'
    read, write = os.pipe()
    with Peer(domain) as peer, os.fdopen(read) as stream, os.fdopen(write, 'w') as keys:
        _stand_in([], peer.node, STATUS)

        def prepare(_: Any, answer: Any) -> Any:
            print('y', file=keys, flush=True)
            answer.success = True
            return answer
        peer.node.create_service(Trigger, 'next_part', prepare)
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', domain, '--episodes', '1', '--seconds', '1',
                '--settle', '0', '--scene', 'next_part', '--out', str(path),
                stdin=stream) as counting:
            peer.wait_for(lambda: counting.process.poll() is not None)
            assert counting.process.poll() == 0, counting.output
    [episode] = robot_evaluation.read_evaluation(path).episodes
    assert (episode.success, episode.ended_by) == (False, 'time')


def test_late_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but q, which ends the evaluation; an endless input is read for a moment only."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.evaluation.operator_verdicts import OperatorVerdicts
    from dfp_ros.tools.evaluation.policy_calls import Ended
    from dfp_ros.tools.recording.operator_keys import OperatorKeys
    read, write = os.pipe()
    with os.fdopen(read) as stream, os.fdopen(write, 'w') as typed, monkeypatch.context() as patch:
        patch.setattr('sys.stdin', stream)
        with OperatorKeys() as keys:
            verdicts = OperatorVerdicts(keys.pressed)
            print('Y\nn\na', file=typed, flush=True)
            verdicts.forget()
            print('N', file=typed, flush=True)
            assert [verdicts.next() for _ in range(2)] == ['n', '']
            print('y\nq', file=typed, flush=True)
            with pytest.raises(Ended, match='ended by the operator'):
                verdicts.forget()
    endless = OperatorVerdicts(lambda: 'y')
    endless.forget()
    assert endless.next() == 'y'


def test_another_policy_is_refused_while_the_robot_goes_on(tmp_path: Path) -> None:
    """A result that cannot be continued is no reason to stop the robot."""
    pytest.importorskip('rclpy')
    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    domain, path = free_domain(), tmp_path / 'other.json'
    evaluation(True).write(path)
    with Peer(domain) as peer:
        _, called = _stand_in([], peer.node, STATUS | {'sha256': '3' * 64})
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', domain, '--out', str(path),
                '--continue') as counting:
            peer.wait_for(lambda: counting.process.poll() is not None)
            assert counting.process.poll() == 2, counting.output
            assert 'policy: found a (sha256 333333333333)' in counting.output
            assert called == []


def test_keys_of_lines_and_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe counts by the first letters of its lines, a terminal by its keys; neither waits."""
    from dfp_ros.tools.recording.operator_keys import OperatorKeys
    read, write = os.pipe()
    with os.fdopen(read) as stream, monkeypatch.context() as patch:
        patch.setattr('sys.stdin', stream)
        with OperatorKeys() as keys:
            assert keys.pressed() == ''
            os.write(write, b'start\n  yes')
            assert [keys.pressed() for _ in range(3)] == ['s', 'y', '']
            os.write(write, b'n\nno\n')
            assert [keys.pressed() for _ in range(2)] == ['n', '']
            os.close(write)
            assert keys.pressed() == ''
    master, terminal = pty.openpty()
    with os.fdopen(terminal) as stream, monkeypatch.context() as patch:
        patch.setattr('sys.stdin', stream)
        patch.setattr('os.tcgetpgrp', lambda _: os.getpgrp())
        with OperatorKeys() as keys:
            os.write(master, b'sy')
            assert [keys.pressed() for _ in range(2)] == ['s', 'y']
    os.close(master)


def test_an_older_result_is_not_written_over(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is another policy's evaluation continued; both are reported before the robot moves."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.evaluation.main import main
    evaluation(True).write(tmp_path / 'old.json')
    for arguments, message in (
            [['--out', str(tmp_path / 'old.json')], '--continue'],
            [['--out', str(tmp_path / 'no' / 'x.json')], 'there is no folder'],
            [['--out', '/dev/x.json'], '/dev/x.json cannot be written: is in the folder of dev'],
            [['--out', str(tmp_path / 'new.json'), '--continue'], 'new.json is not a file']):
        before = [signal.getsignal(number) for number in signal.valid_signals()]
        assert main(arguments) == 2
        assert [signal.getsignal(number) for number in signal.valid_signals()] == before
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['--out', 'x.json', '--episodes', '0'])


@pytest.mark.parametrize(('resume', 'message'), [
    ('x/resume', 'the robot is stopped; x/resume lets the policy continue'),
    ('', 'the policy node did not answer: check the robot')])
def test_a_result_that_cannot_be_written_is_no_reason_to_leave_out_the_robot(
        resume: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays stopped, or is not, and the person has to know."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.evaluation.main import _report
    asked, evaluator = SimpleNamespace(out=Path('/dev/x.json')), SimpleNamespace(
        is_outranked=False, is_released=False)
    found = evaluation(True, asked=1)
    assert _report(found, asked, resume, evaluator) == 1  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert '/dev/x.json cannot be written' in said.err
    assert message in said.out + said.err


def test_counts_on_the_simulated_robot_and_keeps_results_at_ctrl_c(tmp_path: Path) -> None:
    """
    Marks of the robot begin and end episodes, and the policy is stopped in between.

    Ctrl-C in the third keeps the first two; going on counts from there.
    """
    pytest.importorskip('mujoco')
    pytest.importorskip('rclpy')
    from std_srvs.srv import Trigger

    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    domain, path = free_domain(), tmp_path / 'result.json'
    arguments = ['--episodes', '3', '--out', str(path)]
    with NodeProcess('dfp_ros.sim.sim_robot.main', domain, '--ros-args',
                     '-p', 'policy_node:=dfp_policy') as robot, \
            NodeProcess('dfp_ros.policy_node', domain, '--ros-args', '-p', 'policy:=cube_single',
                        '-p', 'robot:=ur5e_cube') as policy, Peer(domain) as peer:
        with NodeProcess('dfp_ros.tools.evaluation.main', domain, *arguments) as counting:
            peer.wait_for(lambda: path.is_file() and len(
                json.loads(path.read_text())['episodes']) == 2)
            assert counting.stop(signal.SIGINT) == 1, counting.output
            said = counting.output
            assert 'interrupted' in said
        content = json.loads(path.read_text())
        solved = [episode['success'] for episode in content['episodes']]
        # On a machine that is too busy for real time, the policy may fail.
        assert len(solved) == 2
        assert f'{sum(solved)} of 2 episodes solved' in said
        assert {episode['ended_by'] for episode in content['episodes']} == {'mark'}
        assert content['policy']['sha256'].startswith('4f731113c211')
        assert content['robot']['name'] == 'ur5e_cube'
        assert content['settings']['robot'] == 'ur5e_cube'
        # The robot was left stopped: there is something to resume.
        assert peer.call(Trigger, 'dfp_policy/resume').success
        status, output = 1, 'stood still'
        while status and 'stood still' in output:
            # A node that a busy machine kept from running for a second has an evaluation end.
            with NodeProcess(
                    'dfp_ros.tools.evaluation.main', domain, *arguments, '--continue') as counting:
                status, output = counting.wait(), counting.output
        assert status == 0, output
        assert 'of 3 episodes solved' in output
        policy.leave()
        robot.leave()
    assert robot_evaluation.read_evaluation(path).is_complete


def test_a_person_who_takes_over_for_a_moment_is_noticed(tmp_path: Path) -> None:
    """However short it was; another episode is run in place of that one."""
    pytest.importorskip('mujoco')
    pytest.importorskip('rclpy')
    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.arm_person import ArmPerson
    from testing.processes.ros_processes import NodeProcess, Peer
    domain, path = free_domain(), tmp_path / 'result.json'
    with NodeProcess('dfp_ros.sim.sim_robot.main', domain, '--ros-args',
                     '-p', 'policy_node:=dfp_policy') as robot, \
            NodeProcess('dfp_ros.policy_node', domain, '--ros-args', '-p', 'policy:=cube_single',
                        '-p', 'robot:=ur5e_cube') as policy, Peer(domain) as peer:
        person = ArmPerson(peer, lambda: peer.node.get_clock().now().to_msg())
        # Before the first episode, which may take less time than to find a new publisher.
        peer.wait_for(person.is_found)
        with NodeProcess('dfp_ros.tools.evaluation.main', domain, '--episodes', '1', '--out',
                         str(path)) as counting:
            peer.wait_for(lambda: 'running; y: success' in counting.output)
            with person:
                peer.wait_for(lambda: 'a person commands' in policy.output)
            assert counting.wait(120) == 0, counting.output
            assert 'left out, as a person held the dead-man' in counting.output
        policy.leave()
        robot.leave()
    found = robot_evaluation.read_evaluation(path)
    assert found.counted == 1
    assert found.episodes[0].person_steps > 0
    assert found.episodes[-1].person_steps == 0
    assert found.remarks == []
