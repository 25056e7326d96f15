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

from __future__ import annotations

from pathlib import Path
import time
from typing import Any

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.clock import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from dfp_ros.node.reporting.diagnostics_publisher import DiagnosticsPublisher
from dfp_ros.node.reporting.statistics_publisher import StatisticsPublisher
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.guarded_node import GuardedNode
from dfp_ros.policy_node import PolicyNode
from testing.processes.policy_cell import SHIPPED


def spin(executor: SingleThreadedExecutor, condition: Any) -> None:
    """Spin as a user's own program does, until a condition holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        executor.spin_once(0.1)


def test_no_callback_ends_the_spin(capfd: pytest.CaptureFixture[str]) -> None:
    """Exceptions in timer, subscription, service and transition are logged; the node continues."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    node = GuardedNode('guarded', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    called: list[str] = []

    def fail(*arguments: Any) -> None:
        called.append(type(arguments[0]).__name__ if arguments else 'timer')
        raise RuntimeError('on purpose')

    try:
        node.create_timer(0.001, fail)
        node.create_subscription(Empty, 'thing', fail, 1)
        node.create_service(Trigger, 'serve', fail)
        publisher = node.create_publisher(Empty, 'thing', 1)
        serve = node.create_client(Trigger, 'serve')
        change = node.create_client(ChangeState, 'guarded/change_state')
        spin(executor, lambda: publisher.get_subscription_count() and serve.service_is_ready()
             and change.service_is_ready())
        publisher.publish(Empty())
        answers: list[Any] = [
            serve.call_async(Trigger.Request()), *(
                change.call_async(ChangeState.Request(transition=transition))
                for transition in (
                    Transition(id=Transition.TRANSITION_ACTIVATE), Transition(label='a\nb')))]
        spin(executor, lambda: all(answer.done() for answer in answers) and 'Empty' in called
             and called.count('timer') > 50)
        assert not any(answer.result().success for answer in answers)
        said = capfd.readouterr().err
        # A callback that fails a thousand times a second is worth a line a second.
        assert 1 <= said.count('the node continues: RuntimeError: on purpose') < 20
        # A refused request is no defect of the node.
        assert 'RCLError' not in said
        assert (
            'refused the transition 3: the node is unconfigured; possible are configure, shutdown'
            in said)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_transition_that_fails_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    """The exception is in the log, and the transition fails."""
    class Failing(GuardedNode):
        def on_configure(self, state: object) -> Any:
            raise RecursionError('on purpose')

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    node = Failing('failing', context=context)
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.ERROR
        assert 'on_configure failed: RecursionError: on purpose' in capfd.readouterr().err
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(('part', 'timed'), [
    (DiagnosticsPublisher, 'advance'), (StatisticsPublisher, 'publish')])
def test_reports_that_fail_leave_the_robot_alone(
        part: type, timed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node ticks on in a program of one's own, and reports are tried again."""
    failed: list[float] = []

    def fail(self: object) -> None:
        failed.append(time.monotonic())
        raise RuntimeError('on purpose')

    monkeypatch.setattr(part, timed, fail)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    policy = write_policy(tmp_path / 'small.onnx')
    node = PolicyNode(context=context, parameter_overrides=[
        Parameter('policy', value=str(policy)), Parameter('robot', value=str(SHIPPED))])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        assert node.autostart()
        spin(executor, lambda: failed)
        ticker = node._ticker
        assert ticker is not None
        # A clock that is set back would stop the others for as long.
        assert {timer.clock.clock_type for timer in node.timers} == {ClockType.STEADY_TIME}
        before = ticker.statistics.ticks
        spin(executor, lambda: len(failed) > 1 and ticker.statistics.ticks > before)
    finally:
        executor.shutdown()
        node.close()
        rclpy.shutdown(context=context)


def test_a_refused_parameter_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """The service says what was found, what is expected, and the nearest name; 2 is 2.0."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    node = GuardedNode('guarded', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        node.declare_parameter('limits.speed', 1.5)
        node.declare_parameter('steps', 4)
        client = node.create_client(SetParameters, 'guarded/set_parameters')
        spin(executor, client.service_is_ready)
        answer = client.call_async(SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in (
                ('limits.sped', 1.0), ('speed', 1.0), ('limits.speed', 'fast'), ('steps', 2.0),
                ('limits.speed', 2))]))
        spin(executor, answer.done)
        assert [(each.successful, each.reason) for each in answer.result().results] == [
            (False, "parameter 'limits.sped': this node has none of that name; did you mean "
                    "'limits.speed'?"),
            (False, "parameter 'speed': this node has none of that name; did you mean "
                    "'limits.speed'?"),
            (False, "parameter limits.speed: found 'fast', expected a float, such as 30.0"),
            (False, 'parameter steps: found 2.0, expected an int, such as 30'),
            (True, '')]
        assert node.get_parameter('limits.speed').value == 2.0
        assert "refused a request: parameter 'limits.sped'" in capfd.readouterr().err
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
