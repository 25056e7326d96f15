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
"""Episode manager with a policy node and a robot in real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import itertools
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from std_msgs.msg import Bool, Float64MultiArray, MultiArrayDimension, MultiArrayLayout, String
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.late_answers import answer_later, Later
from dfp_ros.node.ros.qos import DECISION_QOS, SENSOR_QOS, STATUS_QOS
from dfp_ros.tools.episodes.main import main
from testing.processes.policy_cell import arguments, Cell, CommonNode, SHIPPED, speed
from testing.processes.ros_processes import NodeProcess, Peer, status_of

MANAGER = 'dfp_ros.tools.episodes.main'
# Runs a command in a terminal, whose keys are what is written to a named pipe.
TERMINAL = """
import os, pty, select, sys
child, terminal = pty.fork()
if not child:
    os.execv(sys.argv[2], sys.argv[2:])
keys = os.open(sys.argv[1], os.O_RDWR)
while True:
    for ready in select.select([terminal, keys], [], [])[0]:
        try:
            text = os.read(ready, 1000)
        except OSError:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.write(terminal if ready == keys else 1, text)
"""


class LiftedCell(Cell):
    """A cell whose cube is lifted by hand."""

    #: Height of the cube above its place at rest, in m.
    lift = 0.0

    def publish(self, messages: dict[str, Any]) -> None:
        """Publish, with the cube where it is."""
        if 'cube_0_pose' in messages:
            messages['cube_0_pose'].pose.position.z += self.lift
        super().publish(messages)


class Scene:
    """
    A robot's service that resets the scene.

    :param cell: Its peer offers the service.
    """

    def __init__(self, cell: Cell) -> None:
        """Offer it."""
        self.calls = 0
        #: Messages of refusals to come; then it succeeds.
        self.refusals: list[str] = []
        #: Whether it never answers.
        self.hangs = False
        #: Called while the scene is being reset.
        self.during: Callable[[], object] = bool
        self._service = cell.peer.node.create_service(Trigger, 'scene/reset', self._serve)
        self._send = answer_later(self._service)

    def _serve(self, request: Any, response: Any) -> Any:
        self.calls += 1
        self.during()
        if self.hangs:
            return Later(self._send)
        response.success = not self.refusals
        response.message = self.refusals.pop(0) if self.refusals else 'done'
        return response


class Managed:
    """
    A cell with a manager.

    :param cell: The cell.
    :param prefix: Command that runs the manager.
    :param parameters: Parameters of the manager.
    """

    def __init__(self, cell: Cell, prefix: Sequence[str] = (), **parameters: Any) -> None:
        """Start the manager."""
        self.cell, self.peer = cell, cell.peer
        self.states: list[dict[str, Any]] = []
        self.marks: list[String] = self.peer.collect(String, 'episode_marks')
        self.reports: list[DiagnosticArray] = self.peer.collect(
            DiagnosticArray, 'episode_manager/statistics', STATUS_QOS)
        self.peer.node.create_subscription(
            String, 'episode_manager/state',
            lambda message: self.states.append(json.loads(message.data)), STATUS_QOS)
        self._publishers: dict[str, Any] = {}
        words = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
        self.process = NodeProcess(
            MANAGER, cell.domain, '--ros-args', *words, prefix=prefix)

    @property
    def state(self) -> str:
        """State of the manager."""
        return str(self.states[-1]['state']) if self.states else ''

    @property
    def values(self) -> dict[str, str]:
        """Values of the newest statistics."""
        return {item.key: item.value for item in self.reports[-1].status[0].values}

    @property
    def heard(self) -> list[str]:
        """All marks so far."""
        return [mark.data for mark in self.marks]

    def wait_for(self, state: str, reason: str = '', episode: int | None = None) -> None:
        """Wait for a state."""
        try:
            self.peer.wait_for(lambda: self.state == state and (
                reason in self.states[-1]['reason']) and episode in (
                    None, self.states[-1]['episode']))
        except TimeoutError as error:
            raise TimeoutError(
                f'{error}: {state} {reason}; found {self.states}\n{self.process.output}') from None

    def call(self, name: str) -> Any:
        """Call a service of the manager."""
        return self.peer.call(Trigger, f'episode_manager/{name}')

    def publish(self, topic: str, message: Any) -> None:
        """Publish a message to the manager, once it listens."""
        if topic not in self._publishers:
            self._publishers[topic] = self.peer.node.create_publisher(type(message), topic, 10)
            self.peer.wait_for(
                lambda: self._publishers[topic].get_subscription_count() > (
                    topic == 'episode_marks'))
        self._publishers[topic].publish(message)

    def run(self, start: str = 'start') -> None:
        """Start an episode, and see the robot move."""
        # From the start on: on a busy machine a short episode may be over before one looks again.
        self.cell.twists.clear()
        assert self.call(start).success
        self.wait_for('running')
        try:
            self.peer.wait_for(lambda: any(speed(twist) > 0 for twist in self.cell.twists))
        except TimeoutError as error:
            raise TimeoutError(
                f'{error}: motion; found {self.states}\n{self.process.output}\n'
                f'{self.cell.process.output}') from None


def require_rest(cell: Cell) -> None:
    """Require that nothing moves the robot for two seconds."""
    cell.report()
    cell.twists.clear()
    cell.report()
    cell.report()
    assert not [twist for twist in cell.twists if speed(twist)]


@contextlib.contextmanager
def managed(policy: Path | CommonNode, **parameters: Any) -> Iterator[Managed]:
    """Run a cell with a manager."""
    with Cell(policy) as cell:
        cell.wait_for_motion()
        found = Managed(cell, **parameters)
        with found.process:
            yield found
            found.process.leave()


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy, which always moves."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx', gain=0.7)


@pytest.fixture(name='running', scope='module')
def running_node(policy: Path) -> Iterator[CommonNode]:
    """Have a policy node for all tests that leave it as it was."""
    with CommonNode(policy) as node:
        yield node


def test_a_person_runs_episodes_by_services_and_marks(running: CommonNode) -> None:
    """The robot is held before, between and after; a late mark changes nothing."""
    with managed(running, time_limit=4.0) as cell:
        cell.wait_for('resetting', 'a person resets the scene')
        cell.cell.wait_for_stop()
        answer = cell.call('success')
        assert not answer.success
        assert "no episode to end now: the state is 'resetting'" in answer.message
        assert cell.call('ready').success
        cell.wait_for('ready')
        cell.run()
        assert not cell.call('start').success
        assert cell.call('success').success
        cell.wait_for('resetting', episode=1)
        cell.cell.wait_for_stop()
        cell.peer.wait_for(lambda: cell.heard == ['start', 'success'])
        # Marks of another: keys, a joystick.
        cell.publish('episode_marks', String(data='failure'))
        cell.publish('episode_marks', String(data='start'))
        cell.wait_for('running', episode=2)
        cell.cell.wait_for_motion()
        cell.publish('episode_marks', String(data='failure'))
        cell.wait_for('resetting', episode=2)
        cell.cell.wait_for_no_motion()
        cell.run()
        cell.wait_for('resetting', episode=3)
        cell.peer.wait_for(lambda: cell.values['timeouts'] == '1')
        values = cell.values
        assert [values[name] for name in (
            'episodes', 'successes', 'failures', 'abandoned', 'last_successes')] == [
                '3', '1', '1', '0', '1']
        assert (values['success_rate_low'], values['success_rate_high']) == ('0.0615', '0.7923')
        # 80 steps in 4 s; the other two were ended at once.
        assert 20 <= float(values['mean_steps']) <= 80
        assert cell.states[-1]['last'] == 'timeout'
        cell.peer.wait_for(lambda: cell.heard == [
            'start', 'success', 'failure', 'start', 'start', 'failure', 'start', 'failure'])
        assert cell.process.stop(signal.SIGINT) == 0
        output = cell.process.output
        assert 'episode 1: SUCCESS after' in output
        assert 'the service ~/success' in output
        assert 'episode 3: TIMEOUT after 4.' in output
        assert 'the mark failure is ignored' in output
        assert '1 of the last 3 succeeded' in output
        assert 'Traceback' not in output


def test_keys_in_a_terminal(running: CommonNode, tmp_path: Path) -> None:
    """They do what the services do; Ctrl-C stops the robot, and the terminal is as before."""
    pipe = tmp_path / 'keys'
    os.mkfifo(pipe)
    with Cell(running) as cell:
        cell.wait_for_motion()
        manager = Managed(cell, (sys.executable, '-c', TERMINAL, str(pipe)))
        keys = os.open(pipe, os.O_RDWR)
        with manager.process:
            manager.wait_for('resetting')
            for key, state in (('r', 'ready'), ('S', 'running'), ('x', 'running')):
                os.write(keys, key.encode())
                manager.wait_for(state)
            cell.wait_for_motion()
            os.write(keys, b'y')
            manager.wait_for('resetting', episode=1)
            os.write(keys, b's')
            manager.wait_for('running')
            manager.peer.wait_for(lambda: manager.heard == ['start', 'success', 'start'])
            cell.wait_for_motion()
            os.write(keys, b'\x03')
            assert manager.process.wait() == 0
            cell.wait_for_stop()
            assert 's: start   y: success' in manager.process.output
            assert 'the key y' in manager.process.output
        os.close(keys)


def test_a_success_predicate_and_a_reset_service(running: CommonNode, tmp_path: Path) -> None:
    """Episodes follow each other by themselves; a silent source is no success."""
    file = tmp_path / 'success.yaml'
    file.write_text(
        'hold: 0.3\nall:\n'
        '  - {field: cube_0_position, element: z, above: 1.0, unit: 0.1 m}\n')
    with LiftedCell(running) as cell:
        cell.wait_for_motion()
        scene = Scene(cell)
        scene.refusals = ['jammed']
        manager = Managed(
            cell, success=file, robot='ur5e_cube', reset_service='scene/reset', settle=0.1,
            auto_start='true')
        with manager.process:
            manager.wait_for('resetting', 'attempt 1 of 3: service scene/reset: refused: jammed')
            manager.wait_for('running', episode=1)
            assert scene.calls == 2
            cell.wait_for_motion()
            cell.lift = 0.3
            manager.wait_for('running', episode=2)
            assert manager.states[-1]['last'] == 'success'
            assert 'the success predicate held for 0.3 s' in manager.process.output
            # The cube is still up there: not a success of this episode.
            manager.peer.wait_for(lambda: 'holds already at the start' in manager.process.output)
            assert manager.state == 'running'
            cell.lift = 0.0
            # The manager has to see the cube below, before the source falls silent.
            poses = cell.peer.collect(PoseStamped, 'cube_0_pose', SENSOR_QOS)
            cell.peer.wait_for(lambda: len(poses) > 3)
            cell.silent = {'cube_0_pose'}
            manager.peer.wait_for(lambda: 'cannot be evaluated: source' in manager.process.output)
            assert manager.states[-1]['episode'] == 2
            cell.silent = set()
            cell.wait_for_motion()
            cell.lift = 0.3
            manager.wait_for('running', episode=3)
            manager.process.leave()
        assert manager.heard[:4] == ['start', 'success', 'start', 'success']


def test_a_speed_that_is_not_known_yet_is_no_scene_that_was_not_reset(
        running: CommonNode, tmp_path: Path) -> None:
    """At the start of each episode it has one sample, and the log says nothing of the scene."""
    robot, file = tmp_path / 'robot.yaml', tmp_path / 'success.yaml'
    text = SHIPPED.read_text()
    assert '\nobservation:\n' in text
    robot.write_text(text.replace('\nobservation:\n', (
        '\nobservation:\n  - {name: cube_speed, unit: m/s, source: cube_0, '
        'path: pose.position, components: [z], derivative: true}\n')))
    file.write_text('hold: 0.1\nall:\n  - {field: cube_speed, above: 1.0, unit: m/s}\n')
    with managed(running, success=file, robot=robot, time_limit=1.0) as cell:
        cell.wait_for('resetting', 'a person resets the scene')
        for episode in (1, 2):
            assert cell.call('start').success
            cell.wait_for('resetting', episode=episode)
        assert cell.states[-1]['last'] == 'timeout'
        assert cell.process.output.count(': TIMEOUT after') == 2
        assert 'holds already' not in cell.process.output


def test_a_reset_service_that_hangs_is_left_to_a_person(running: CommonNode) -> None:
    """Nothing starts, the robot is held, and its late answer does not count."""
    with Cell(running) as cell:
        cell.wait_for_motion()
        scene = Scene(cell)
        scene.hangs = True
        manager = Managed(
            cell, reset_service='scene/reset', reset_timeout=0.5, reset_attempts=2, settle=0.0,
            auto_start='true')
        with manager.process:
            manager.wait_for('resetting', '2 attempts failed, the last one: service scene/reset: '
                             'no answer within 0.5 s')
            assert manager.states[-1]['needs_person']
            assert scene.calls == 2
            cell.wait_for_stop()
            assert manager.call('ready').success
            manager.wait_for('running', episode=1)
            manager.process.leave()


def test_others_command_the_robot_during_a_reset(running: CommonNode) -> None:
    """With release, the policy node is inactive then, also if the service refuses."""
    with Cell(running) as cell:
        cell.wait_for_motion()
        scene = Scene(cell)
        scene.refusals = ['jammed']
        scene.during = lambda: seen.append(cell.process.output.count('stopped: sent'))
        seen: list[int] = []
        manager = Managed(
            cell, reset_service='scene/reset', settle=0.0, auto_start='true', release='true')
        with manager.process:
            manager.wait_for('running', episode=1)
            cell.wait_for_motion()
            # A node that is deactivated says so.
            assert seen == [1, 2]
            assert manager.call('failure').success
            manager.wait_for('running', episode=2)
            assert seen == [1, 2, 3]
            manager.process.leave()


def test_a_stop_by_a_person_is_never_resumed_unasked(running: CommonNode) -> None:
    """During an episode and between two, although episodes start by themselves."""
    with Cell(running) as cell:
        cell.wait_for_motion()
        scene = Scene(cell)
        manager = Managed(
            cell, reset_service='scene/reset', settle=1.5, auto_start='true')
        with manager.process:
            manager.wait_for('running', episode=1)
            cell.wait_for_motion()
            calls = scene.calls
            assert cell.peer.call(Trigger, 'dfp_policy/stop').success
            manager.wait_for('resetting', 'another than this node called ~/stop')
            assert manager.states[-1]['last'] == 'abandoned'
            cell.wait_for_stop()
            cell.wait_for_more_twists(30)
            assert scene.calls == calls, 'the robot does not move to reset the scene, either'
            manager.publish('episode_marks', String(data='start'))
            manager.peer.wait_for(lambda: 'the mark start is ignored' in manager.process.output)
            assert manager.call('start').success
            manager.wait_for('running', episode=2)
            cell.wait_for_motion()
            assert manager.call('success').success
            # The robot is held: a stop changes nothing that can be seen but its number.
            manager.wait_for('resetting', episode=2)
            assert cell.peer.call(Trigger, 'dfp_policy/stop').success
            manager.wait_for('ready', 'another than this node called ~/stop')
            require_rest(cell)
            assert manager.state == 'ready'
            assert manager.call('start').success
            manager.wait_for('running', episode=3)
            manager.process.leave()


def test_a_stop_by_a_person_withdraws_a_reset_that_has_not_begun(running: CommonNode) -> None:
    """The service that resets the scene comes later, and moves the robot only when asked to."""
    with Cell(running) as cell:
        cell.wait_for_motion()
        manager = Managed(cell, reset_service='scene/reset', settle=0.0, auto_start='true')
        with manager.process:
            manager.wait_for('resetting')
            assert cell.peer.call(Trigger, 'dfp_policy/stop').success
            manager.wait_for('resetting', 'another than this node called ~/stop')
            assert manager.states[-1]['needs_person']
            scene = Scene(cell)
            require_rest(cell)
            assert scene.calls == 0
            assert manager.call('start').success
            manager.wait_for('running', episode=1)
            assert scene.calls == 1
            manager.process.leave()


def test_a_stop_by_a_person_as_an_episode_starts_is_not_resumed() -> None:
    """It comes while the policy begins anew, and is in the next row."""
    domain = free_domain()
    called: list[str] = []
    states: list[dict[str, Any]] = []
    with Peer(domain) as peer:
        for word in ('stop', 'reset', 'resume'):
            def answer(_: Any, response: Any, word: str = word) -> Any:
                called.append(word)
                response.success = True
                return response
            peer.node.create_service(Trigger, f'dfp_policy/{word}', answer)
        publisher = peer.node.create_publisher(
            Float64MultiArray, 'dfp_policy/statistics', DECISION_QOS)
        layout = MultiArrayLayout(dim=[
            MultiArrayDimension(label=label, size=1, stride=1)
            for label in ('ticks', 'state', 'operator_stops')])
        ticks = itertools.count(1)

        def report() -> None:
            # Those of the manager, and the person's.
            stops = called.count('stop') + called.count('reset')
            state = State.STOPPED if stops else State.RUNNING
            publisher.publish(Float64MultiArray(
                layout=layout, data=[float(next(ticks)), float(list(State).index(state)),
                                     float(stops)]))
        peer.node.create_timer(0.1, report)
        peer.node.create_subscription(
            String, 'episode_manager/state',
            lambda message: states.append(json.loads(message.data)), STATUS_QOS)
        with NodeProcess(MANAGER, domain) as manager:
            peer.wait_for(lambda: states and states[-1]['state'] == 'resetting')
            assert peer.call(Trigger, 'episode_manager/start').success
            peer.wait_for(lambda: states[-1]['state'] == 'ready' and (
                'another than this node called ~/stop' in states[-1]['reason']))
            assert called == ['stop', 'reset'], manager.output
            manager.leave()


def test_a_robot_that_is_resumed_between_episodes_is_stopped_again(running: CommonNode) -> None:
    """It runs only in an episode."""
    with managed(running) as cell:
        cell.wait_for('resetting')
        cell.cell.wait_for_stop()
        assert cell.peer.call(Trigger, 'dfp_policy/resume').success
        cell.cell.wait_for_motion()
        cell.cell.wait_for_stop()
        assert cell.call('start').success
        cell.wait_for('running')
        assert cell.states[-1]['last'] is None


def test_a_policy_node_that_is_killed_and_started_again(policy: Path) -> None:
    """The episode is abandoned; the new node's robot is stopped, and waits for a start."""
    with managed(policy) as cell:
        cell.wait_for('resetting')
        cell.run()
        cell.cell.process.process.kill()
        cell.wait_for('waiting', 'has been silent for 3 s')
        assert cell.states[-1]['last'] == 'abandoned'
        answer = cell.call('start')
        assert not answer.success
        assert "the state is 'waiting'" in answer.message
        cell.cell.twists.clear()
        with NodeProcess(
                'dfp_ros.policy_node', cell.cell.domain, '--ros-args', *arguments(policy)) as node:
            cell.wait_for('resetting')
            cell.cell.wait_for_stop()
            cell.run()
            assert cell.states[-1]['episode'] == 2
            node.process.send_signal(signal.SIGSTOP)
            cell.wait_for('waiting', 'has been silent for 3 s')
            node.process.send_signal(signal.SIGCONT)
            cell.wait_for('resetting')
            require_rest(cell.cell)
            node.leave()
            cell.wait_for('waiting')


def test_a_reset_that_has_not_begun_is_withdrawn_with_the_policy_node(policy: Path) -> None:
    """Nothing moves the robot while nobody holds it."""
    with managed(policy, reset_service='scene/reset', auto_start='true') as cell:
        cell.wait_for('resetting')
        cell.cell.process.process.kill()
        cell.wait_for('waiting')
        scene = Scene(cell.cell)
        count = len(cell.reports)
        cell.peer.wait_for(lambda: len(cell.reports) > count + 2)
        assert scene.calls == 0


def test_a_policy_node_that_is_not_active(running: CommonNode) -> None:
    """The state says so, and nothing starts."""
    with managed(running, auto_start='true') as cell:
        cell.wait_for('resetting')
        assert cell.cell.change(Transition.TRANSITION_DEACTIVATE)
        cell.wait_for('waiting', 'is not active; activate it')
        assert not cell.call('ready').success
        assert cell.cell.change(Transition.TRANSITION_ACTIVATE)
        cell.wait_for('resetting')
        assert cell.call('ready').success
        cell.wait_for('running')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_robot_first(running: CommonNode, number: int) -> None:
    """The episode is abandoned, without a mark."""
    with managed(running) as cell:
        cell.wait_for('resetting')
        cell.run()
        assert cell.process.stop(number) == 0
        cell.cell.wait_for_stop()
        output = cell.process.output
        assert 'episode 1: ABANDONED' in output
        assert 'the robot is stopped; `ros2 service call /dfp_policy/resume ' in output
        assert 'Traceback' not in output
        assert cell.heard == ['start']


def test_a_manager_that_is_suspended_stops_the_robot_first(running: CommonNode) -> None:
    """As with Ctrl-Z; it goes on afterwards."""
    with managed(running) as cell:
        cell.wait_for('resetting')
        cell.run()
        cell.process.process.send_signal(signal.SIGTSTP)
        cell.cell.wait_for_stop()
        status = Path(f'/proc/{cell.process.process.pid}/stat')
        cell.peer.wait_for(lambda: status.read_text().rpartition(')')[2].split()[0] == 'T')
        cell.process.process.send_signal(signal.SIGCONT)
        cell.peer.wait_for(lambda: 'the process was suspended' in cell.process.output)
        assert 'ABANDONED' in cell.process.output
        cell.wait_for('resetting')
        cell.run()
        assert cell.states[-1]['episode'] == 2


def test_a_second_manager_is_refused(running: CommonNode, tmp_path: Path) -> None:
    """The first one goes on; one that stood still meanwhile ends without a command."""
    with managed(running) as cell:
        cell.wait_for('resetting')
        cell.run()
        with NodeProcess(
                MANAGER, cell.cell.domain, '--ros-args', '-r', '__node:=second') as second:
            assert second.wait() == 1
            assert '/episode_manager on ' in second.output
            assert 'runs the episodes of dfp_policy already' in second.output
        with NodeProcess(
                'dfp_ros.tools.evaluation.main', cell.cell.domain, '--out',
                str(tmp_path / 'result.json')) as evaluation:
            assert evaluation.wait() == 2
            assert "runs the episodes of 'dfp_policy'; end it first" in evaluation.output
        assert cell.state == 'running'
        cell.process.process.send_signal(signal.SIGSTOP)
        with NodeProcess(
                MANAGER, cell.cell.domain, '--ros-args', '-r', '__node:=second') as second:
            cell.peer.wait_for(lambda: 'resetting' in second.output)
            assert cell.peer.call(Trigger, 'second/start').success
            cell.peer.wait_for(lambda: 'running' in second.output)
            cell.cell.wait_for_motion()
            cell.process.process.send_signal(signal.SIGCONT)
            assert cell.process.wait() == 1
            assert 'was there first; this node ends' in cell.process.output
            cell.cell.wait_for_motion()
            assert 'ABANDONED' not in second.output
            second.leave()


@pytest.mark.parametrize('kind', ['marks', 'bool'])
def test_another_program_judges(running: CommonNode, kind: str) -> None:
    """What it says after the end, or still says of the last episode, changes nothing."""
    with managed(running, judge='judge', judge_type=kind) as cell:
        good: Any = String(data='success') if kind == 'marks' else Bool(data=True)
        cell.wait_for('resetting')
        cell.publish('judge', good)
        cell.run()
        if kind == 'bool':
            cell.publish('judge', good)
            cell.publish('judge', Bool(data=False))
        else:
            cell.publish('judge', String(data='sucess'))
            cell.peer.wait_for(lambda: "found 'sucess', which is ignored" in cell.process.output)
        assert cell.state == 'running'
        if kind == 'bool':
            # Two that disagree: the success of one would follow the other's false at once.
            other = cell.peer.node.create_publisher(Bool, 'judge', 10)
            cell.peer.wait_for(other.get_subscription_count)

            def is_said() -> bool:
                other.publish(Bool(data=False))
                return 'judge: found 2 publishers' in cell.process.output

            cell.peer.wait_for(is_said)
            cell.publish('judge', good)
            other.publish(Bool(data=False))
            cell.publish('judge', good)
            assert cell.state == 'running'
            cell.peer.node.destroy_publisher(other)
            cell.peer.wait_for(
                lambda: cell.publish('judge', Bool(data=False)) or cell.publish('judge', good)
                or cell.state == 'resetting')
        cell.publish('judge', good)
        cell.wait_for('resetting', episode=1)
        cell.publish('judge', good)
        cell.run()
        assert cell.values['successes'] == '1'
        assert cell.heard == ['start', 'success', 'start']
        assert 'the judge (judge)' in cell.process.output


def test_marks_of_another_are_followed(running: CommonNode) -> None:
    """Nothing is called: the robot runs on."""
    with managed(running, follow='true') as cell:
        cell.wait_for('ready', 'follows marks')
        for mark, state in (
                ('start', 'running'), ('success', 'success'), ('start', 'running'),
                ('start', 'running'), ('failure', 'failure')):
            before = len(cell.states)
            cell.publish('episode_marks', String(data=mark))
            cell.peer.wait_for(lambda before=before: len(cell.states) > before)
            assert cell.state == state
        assert not cell.call('start').success
        cell.cell.wait_for_motion()
        assert (cell.values['episodes'], cell.values['abandoned']) == ('2', '1')
        assert cell.process.stop() == 0
        cell.cell.wait_for_motion()


@pytest.mark.parametrize(('parameters', 'message'), [
    ({'success': 'x.yaml'}, "parameter success: found 'x.yaml' without robot"),
    ({'success': 'x.yaml', 'robot': 'ur5e_cube'}, 'x.yaml: '),
    ({'follow': 'true', 'time_limit': 3.0}, 'parameter time_limit: found 3.0 with follow:=true'),
    ({'judge_type': 'int'}, "parameter judge_type: found 'int', expected marks or bool"),
    ({'reset_service': 'a b'}, "parameter reset_service: found 'a b', expected a name"),
    ({'reset_service': '/dfp_policy/resume'}, 'a service of /dfp_policy, which resets no scene'),
    ({'reset_service': 'episode_manager/start'}, 'a service of /episode_manager, which resets'),
    ({'policy_node': 'episode_manager'}, "found 'episode_manager', which is this node itself"),
    ({'time_limt': 3.0}, "did you mean 'time_limit'?")])
def test_wrong_parameters(
        parameters: dict[str, Any], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    """They are refused before anything is stopped."""
    words = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    assert status_of(main, '--ros-args', *words) == 1
    said = capfd.readouterr().err
    assert message in said
    assert 'Traceback' not in said


def test_the_launch_file() -> None:
    """Its arguments reach the node, and a wrong one ends the launch with the reason."""
    pytest.importorskip('launch_ros')
    from testing.processes.launch_process import launch, output_of
    from testing.processes.ros_processes import Peer
    domain = free_domain()
    process = launch('episodes.launch.py', domain, 'follow:=true', 'namespace:=left')
    try:
        with Peer(domain) as peer:
            states = peer.collect(String, '/left/episode_manager/state', STATUS_QOS)
            peer.wait_for(lambda: states)
            assert json.loads(states[0].data)['reason'] == 'follows marks'
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert 'process has finished cleanly' in output
    assert 'Traceback' not in output
    output, _ = output_of('episodes.launch.py', free_domain(), 'time_limit:=-3')
    assert 'parameter time_limit: found -3' in output, output


def test_a_simulated_robot_is_managed() -> None:
    """It resets itself when asked, and judges itself by marks; its own start is not ours."""
    pytest.importorskip('mujoco')
    from testing.processes.ros_processes import Peer
    domain = free_domain()
    with NodeProcess(
            'dfp_ros.sim.sim_robot.main', domain, '--ros-args', '-p', 'auto_reset:=false',
            ) as robot, NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', '-p', 'policy:=cube_single', '-p',
            'robot:=ur5e_cube') as node, Peer(domain) as peer, NodeProcess(
            MANAGER, domain, '--ros-args', '-p', 'reset_service:=sim_robot/reset', '-p',
            'auto_start:=true', '-p', 'settle:=0.3') as manager:
        reports = peer.collect(DiagnosticArray, 'episode_manager/statistics', STATUS_QOS)

        def values() -> dict[str, str]:
            return {item.key: item.value for item in reports[-1].status[0].values}

        peer.wait_for(lambda: reports and int(values()['episodes']) >= 2)
        found = values()
        assert found['abandoned'] == '0', manager.output
        assert int(found['successes']) >= 1
        assert 20 < float(found['mean_steps']) < 200
        assert 'the mark start is ignored' in manager.output
        assert manager.stop(signal.SIGINT) == 0
        assert 'Traceback' not in manager.output
        node.leave()
        robot.leave()
