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
"""Policy node as a process, with real topics and services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import signal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
import pytest

from testing.fixtures.robot_samples import rest_messages, rest_samples
from testing.policies.small_policy import cube_spec, write_policy

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
import rclpy
from rclpy.parameter import Parameter
from rclpy.time import Time
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.node_main import run_node
from dfp_ros.policy_node import PolicyNode
from testing.processes.policy_cell import arguments, Cell, OFTEN, SHIPPED, speed
from testing.processes.ros_processes import NodeProcess, Peer


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')


def test_runs_reports_and_stops(policy: Path) -> None:
    """Commands at the control rate within their bounds, figures once a second, zero at the end."""
    with Cell(policy, **OFTEN) as cell:
        cell.wait_for_motion()
        twist = cell.twists[-1]
        assert twist.header.frame_id == 'world'
        assert abs(twist.twist.linear.x) <= 1
        assert (twist.twist.angular.x, twist.twist.angular.y) == (0, 0)
        for _ in range(5):
            status, values = cell.report(state='running')
            # The first report has all the ticks there are.
            if int(values['run_ticks']) > int(values['ticks']) > 0:
                break
        assert status.hardware_id == 'ur5e_cube'
        assert status.name == '/dfp_policy: control loop'
        # However busy the machine: no tick is before its deadline, and no deadline gets lost.
        intervals, lost = int(values['run_ticks']) - 1, int(values['run_missed_ticks'])
        elapsed = float(values['run_period_mean_ms']) * intervals
        assert 50 * (intervals - 1) - 10 < elapsed < 50 * (intervals + lost + 1)
        assert float(values['inference_p50_ms']) > 0
        assert float(values['observation_age_p50_ms']) >= 0
        assert int(values['run_ticks']) > int(values['ticks']) > 0
        for key in ('period_std_ms', 'period_p99_ms', 'period_max_ms', 'inference_p99_ms',
                    'observation_age_max_ms', 'missed_ticks', 'run_missed_ticks',
                    'run_period_p99_ms', 'source_arm_age_ms'):
            assert float(values[key]) >= 0
        assert values['policy'] == 'test'
        assert len(values['policy_sha256']) == 64
        # Reports come as often as they are to, from the next one on.
        for interval, ticks in ((1.0, range(15, 30)), (0.1, range(1, 5))):
            assert cell.set('diagnostics.interval', interval) == (True, '')
            cell.peer.wait_for(lambda ticks=ticks: int(
                cell.report(state='running')[1]['ticks']) in ticks)
        cell.end()
        cell.wait_for_no_motion()


def test_runs_a_flow(tmp_path: Path) -> None:
    """A file with Euler steps inside is a policy like the others, best of several included."""
    torch = pytest.importorskip('torch')
    onnx = pytest.importorskip('onnx')
    from training.config import TrainConfig
    from training.learning.agents.agent import Agent
    from training.learning.networks.modules import Normaliser
    from training.onnx_export.policy_graph import policy_model
    spec = cube_spec(name='flow', candidates=4)
    agent = Agent(
        TrainConfig(policy='flow', hidden=(32, 32), horizon=spec.horizon),
        spec.observation_size, spec.action_size,
        Normaliser(torch.zeros(spec.observation_size), torch.ones(spec.observation_size)))
    onnx.save_model(policy_model(agent, spec), str(tmp_path / 'flow.onnx'))
    with Cell(tmp_path / 'flow.onnx') as cell:
        cell.wait_for_motion()
        # The first report may be of an interval that was over before the first chunk.
        cell.report(state='running', policy='flow')
        _, values = cell.report(state='running', policy='flow')
        assert float(values['inference_p50_ms']) > 0
        cell.end()


def test_parameters_are_checked_and_policies_swapped(policy: Path, tmp_path: Path) -> None:
    """Invalid values are refused with the reason and change nothing; valid ones take over."""
    with Cell(policy, **OFTEN) as cell:
        cell.wait_for_motion()
        bad = tmp_path / 'bad.onnx'
        bad.write_bytes(policy.read_bytes()[:-100])
        other_size = write_policy(
            tmp_path / 'other_size.onnx', cube_spec(observation=cube_spec().observation[:-1]))
        for name, value, reason in (
                ('policy', str(tmp_path / 'none.onnx'), 'there is no such file'),
                ('policy', str(bad), 'cut short'),
                ('policy', str(other_size), 'observation field 8'),
                ('policy', '', 'parameter policy: found nothing'),
                ('policy', '~nosuchuser/x.onnx', 'cannot be the path of a file'),
                ('policy', 'x' * 300, 'cannot be the path of a file'),
                ('rate', 0.5, 'found 0.5 Hz, expected 1.0 to 1000.0 Hz'),
                ('rate', 5000.0, 'rate'),
                ('candidates', -1, 'candidates'),
                ('noise_scale', -0.5, 'found -0.5, expected 0 to 10'),
                ('planning.mode', 'foo', 'expected open_loop or receding or ensemble'),
                ('trigger', 'samples', 'while the node is unconfigured'),
                ('robot', 'other', 'while the node is unconfigured'),
                ('publish_decisions', True, 'while the node is unconfigured')):
            accepted, text = cell.set(name, value)
            assert not accepted, (name, value)
            assert reason in text
        assert cell.get('policy').string_value == str(policy)
        assert cell.get('rate').double_value == 0
        cell.wait_for_motion()

        _, before = cell.report(state='running')
        swapped = write_policy(tmp_path / 'swapped.onnx', cube_spec(name='second'), seed=1)
        assert cell.set('policy', str(swapped)) == (True, '')
        _, after = cell.report(state='running', policy='second')
        assert after['policy_sha256'] != before['policy_sha256']
        assert int(after['run_ticks']) > int(before['run_ticks'])
        assert cell.set('rate', 100.0) == (True, '')
        _, values = cell.report(rate_hz='100')
        cell.wait_for_motion()
        cell.end(signal.SIGTERM)
        cell.wait_for_no_motion()


def test_a_source_that_never_appears(policy: Path) -> None:
    """Nothing is commanded; log and diagnostics name the topic."""
    with Cell(policy, **OFTEN) as cell:
        cell.silent.add('cube_0_pose')
        status, _ = cell.report(state='waiting', reason='waiting')
        assert status.level == DiagnosticStatus.WARN
        assert "source 'cube_0' (topic cube_0_pose): no message yet" in status.message
        cell.peer.wait_for(lambda: 'cube_0_pose): no message yet' in cell.process.output)
        assert not cell.twists
        assert not cell.grips
        cell.silent.clear()
        cell.wait_for_motion()


def test_faults_stop_the_robot_until_they_are_over(policy: Path) -> None:
    """A source that stops, and a NaN: zero at once, one warning, and motion again afterwards."""
    with Cell(policy, **OFTEN) as cell:
        cell.wait_for_motion()
        cell.silent.add('effector_pose')
        cell.wait_for_stop()
        status, _ = cell.report(state='hold', reason='stale')
        assert status.level == DiagnosticStatus.ERROR
        assert "source 'effector' (topic effector_pose): " in status.message
        cell.silent.clear()
        cell.wait_for_motion()
        cell.broken = True
        cell.wait_for_stop()
        status, _ = cell.report(state='hold', reason='not_finite_observation')
        assert "joint_velocities[2] is nan (source 'arm', velocity)" in status.message
        cell.broken = False
        cell.wait_for_motion()
        said = "holding: source 'effector' (topic effector_pose): "
        assert cell.process.output.count(said) == 1
        assert cell.process.output.count('joint_velocities[2] is nan') == 1


def test_lifecycle_and_reset(policy: Path) -> None:
    """Nothing moves before activation or after deactivation; a reset begins an episode."""
    with Cell(policy, autostart='false', **OFTEN) as cell:
        assert cell.change(Transition.TRANSITION_CONFIGURE)
        answer = cell.peer.call(Trigger, 'dfp_policy/reset')
        assert not answer.success
        assert 'not active' in answer.message
        cell.report(state='inactive')
        assert not cell.twists
        for _ in range(2):
            assert cell.change(Transition.TRANSITION_ACTIVATE)
            cell.wait_for_motion()
            assert cell.change(Transition.TRANSITION_DEACTIVATE)
            cell.wait_for_no_motion()
            cell.twists.clear()
            cell.report(state='inactive')
            assert not cell.twists
        assert cell.change(Transition.TRANSITION_ACTIVATE)
        cell.wait_for_motion()
        assert cell.set('noise_seed', 5) == (True, '')
        answer = cell.peer.call(Trigger, 'dfp_policy/reset')
        assert answer.success
        assert 'seed 5' in answer.message
        cell.wait_for_motion()
        assert cell.change(Transition.TRANSITION_DEACTIVATE)
        assert cell.change(Transition.TRANSITION_CLEANUP)
        for name in ('/no/such/robot.yaml', '~nosuchuser/robot.yaml', 'x' * 300):
            assert cell.set('robot', name)[0] is False
        assert cell.change(Transition.TRANSITION_CONFIGURE)
        cell.end()


def test_ticks_with_the_samples(policy: Path) -> None:
    """One decision an instant, sent again when asked again; none from before a stop."""
    with Cell(policy, trigger='samples', **OFTEN) as cell:
        cell.wait_for_motion()
        topics = set(rest_messages(cell.now()))
        cell.silent |= topics
        cell.wait_for_stop()
        cell.report(state='hold', reason='stale')
        assert 'no complete set of samples with one stamp' in cell.process.output
        _, before = cell.report(state='hold')
        instant = rest_messages(cell.now())
        stamp = instant['joint_states'].header.stamp
        first = ask(cell, instant)
        assert speed(first.twist) > 0
        assert ask(cell, instant) == first
        # Messages that are sent without a request are no answer.
        cell.wait_for_stop()
        assert all(twist.header.stamp != stamp for twist in cell.twists)
        cell.report(run_ticks=str(int(before['run_ticks']) + 1))
        # Once the robot was stopped, what was decided before is not true any more.
        assert speed(ask(cell, instant).twist) > 0
        assert cell.peer.call(Trigger, 'dfp_policy/stop').success
        assert speed(ask(cell, instant, moves=False).twist) == 0
        assert cell.peer.call(Trigger, 'dfp_policy/resume').success
        assert speed(ask(cell, instant).twist) > 0
        assert cell.peer.call(Trigger, 'dfp_policy/reset').success
        assert speed(ask(cell, instant).twist) > 0
        # The robot starts again, and its time with it.
        assert cell.peer.call(Trigger, 'dfp_policy/reset').success
        again = rest_messages(Time(seconds=5).to_msg())
        assert speed(ask(cell, again).twist) > 0
        cell.report(run_ticks=str(int(before['run_ticks']) + 6))
        cell.silent.clear()
        cell.wait_for_motion()
        cell.end()
        cell.wait_for_no_motion()


class Answer(NamedTuple):
    """Commands for one set of samples."""

    twist: TwistStamped
    grip: Float64MultiArray


def ask(cell: Cell, instant: dict[str, Any], moves: bool = True) -> Answer:
    """
    Publish one set of samples, and wait for the command with its stamp.

    :param moves: Whether the command moves the robot; an unrequested zero may be in flight as
        well.
    """
    cell.twists.clear()
    cell.grips.clear()
    cell.publish(instant)
    stamp = instant['joint_states'].header.stamp

    def answers() -> list[TwistStamped]:
        return [twist for twist in cell.twists if twist.header.stamp == stamp]

    cell.peer.wait_for(
        lambda: answers() and cell.grips and (cell.grips[-1].data[0] != 0) == moves)
    return Answer(answers()[-1], cell.grips[-1])


def test_simulated_time(policy: Path) -> None:
    """Figures are in simulated time; a clock that is set back revives no dead source."""
    with Cell(policy, pace=0.25) as cell:
        cell.wait_for_motion()
        cell.report(state='running')
        _, values = cell.report(state='running')
        # By the clock on the wall it would be 200 ms, and three of four ticks missed.
        intervals, lost = int(values['run_ticks']) - 1, int(values['run_missed_ticks'])
        elapsed = float(values['run_period_mean_ms']) * intervals
        assert 50 * (intervals - 1) - 10 < elapsed < 50 * (intervals + lost + 1)
        assert lost <= intervals
        cell.silent |= set(rest_messages(cell.now()))
        arrived = cell.time
        cell.set_back = 0.5
        cell.peer.wait_for(lambda: 'the clock was set back' in cell.process.output)
        cell.wait_for_stop()
        cell.twists.clear()
        # The clock comes by the time of the last samples again, and leaves it.
        cell.peer.wait_for(lambda: cell.time - cell.set_back > arrived + 0.3)
        assert cell.twists
        assert all(speed(twist) == 0 for twist in cell.twists)
        cell.silent.clear()
        cell.wait_for_motion()
        cell.end()


def test_simulated_time_that_stands_still(policy: Path) -> None:
    """A robot that falls silent is held; the zero does not look like the answer it waits for."""
    with Cell(policy, pace=1e-12, trigger='samples') as cell:
        cell.wait_for_motion()
        stamp = cell.now()
        assert cell.twists[-1].header.stamp == stamp
        cell.silent |= set(rest_messages(stamp))
        cell.wait_for_stop()
        assert all(twist.header.stamp != stamp for twist in cell.twists if speed(twist) == 0)
        cell.silent.clear()
        cell.wait_for_motion()
        assert cell.now() == stamp
        cell.end()


class FailingOnce:
    """A writer that fails the first time."""

    def __init__(self, writer: CommandWriter) -> None:
        self._writer = writer
        self.message_type = writer.message_type
        self._calls = 0

    def serialize(self, command: NDArray[np.float64], stamp: int, *ahead: Any) -> Any:
        """Fail, or serialize."""
        self._calls += 1
        if self._calls == 1:
            raise OverflowError('does not fit')
        return self._writer.serialize(command, stamp, *ahead)


@pytest.mark.parametrize('broken', [0, 1])
def test_a_failed_publication_stops_and_replans(policy: Path, broken: int) -> None:
    """One topic fails: every topic gets zero at once, and the next tick a chunk of its own."""
    domain = free_domain()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = PolicyNode(context=context, parameter_overrides=[
        Parameter('policy', value=str(policy)), Parameter('robot', value=str(SHIPPED))])
    with Peer(domain) as peer:
        twists: list[TwistStamped] = peer.collect(TwistStamped, 'twist_command')
        grips: list[Float64MultiArray] = peer.collect(Float64MultiArray, 'gripper_command')
        try:
            assert node.autostart()
            ticker = node._ticker
            assert ticker is not None
            loop = ticker.loop
            peer.wait_for(lambda: all(
                peer.node.count_publishers(topic) for topic in
                ('twist_command', 'gripper_command')))
            now = node.get_clock().now().nanoseconds

            def tick(number: int) -> Decision:
                """Tick, and wait for the command."""
                at = now + number * loop.tick
                ticker.tick(at, rest_samples(at))
                decision = ticker.log.last
                assert decision is not None
                assert decision.sent is not None
                peer.wait_for(
                    lambda: twists and twists[-1].header.stamp == Time(nanoseconds=at).to_msg()
                    and (twists[-1].twist.angular.z == decision.sent[3])
                    and grips and grips[-1].data[0] == decision.sent[4])
                return decision

            assert [tick(number).chunk_index for number in (0, 1)] == [0, 1]
            writers: list[Any] = list(loop.writers)
            writers[broken] = FailingOnce(writers[broken])
            ticker.loop = replace(loop, writers=tuple(writers))
            failed = tick(2)
            assert failed.state is State.HOLD
            assert failed.reason == Reason.INTERNAL_ERROR
            assert failed.text == 'OverflowError: does not fit'
            assert failed.sent is not None
            assert not failed.sent.any()
            after = tick(3)
            assert after.state is State.RUNNING
            assert after.chunk_index == 0
        finally:
            node.close()
            rclpy.shutdown(context=context)


def test_a_failed_start_reports_the_reason_and_ends(
        policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    """One error, no traceback, exit status 1: policy file, robot description, rate."""
    text = SHIPPED.read_text()
    cut, html = tmp_path / 'cut.onnx', tmp_path / 'page.onnx'
    cut.write_bytes(policy.read_bytes()[:5000])
    html.write_text('<html>')
    robots = {}
    for name, old, new in (
            ('type', 'sensor_msgs/msg/JointState', 'sensor_msgs/msg/JointStates'),
            ('field', 'path: pose.position', 'path: pose.positions'),
            ('key', 'joints: &arm_joints', 'joins: &arm_joints'),
            ('size', '      - elbow_joint\n', '')):
        robots[name] = tmp_path / f'{name}.yaml'
        robots[name].write_text(text.replace(old, new, 1))
    cases: list[tuple[dict[str, Any], str]] = [
        ({'policy': tmp_path / 'none.onnx'}, 'there is no such file'),
        ({'policy': cut}, 'cut short'),
        ({'policy': html}, 'not an ONNX model'),
        ({'robot': robots['type']}, "did you mean 'sensor_msgs/msg/JointState'?"),
        ({'robot': robots['field']}, "has no field 'positions'; did you mean 'position'?"),
        ({'robot': robots['key']}, "did you mean 'joints'?"),
        ({'robot': robots['size']}, 'joint_positions (6), robot'),
        ({'rate': 0.5}, 'found 0.5 Hz, expected 1.0 to 1000.0 Hz'),
        ({'rate': 1e6}, 'rate')]
    domain = free_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    started: set[str] = set()
    for wrong, message in cases:
        words = ['--ros-args', *arguments(**{'policy': policy, **wrong})]
        if started >= set(wrong):
            status = run_node('dfp_policy', PolicyNode, words)
            output = ''.join(capfd.readouterr())
        else:
            # The first of each parameter as a user starts it.
            started |= set(wrong)
            with NodeProcess('dfp_ros.policy_node', domain, *words) as process:
                status, output = process.wait(), process.output
        assert status == 1, output
        assert message in output
        assert 'Traceback' not in output
        assert sum('ERROR' in line for line in output.splitlines()) == 1, output
