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
"""
Node ``dfp_policy``: runs a policy file on a robot, at a fixed rate.

``ros2 run dfp_ros policy_node --ros-args -p policy:=cube_single -p robot:=ur5e_cube``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import gc
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from std_srvs.srv import Trigger

from dfp_ros.control_loop import ControlLoop, load_policy, load_robot, make_control_loop
from dfp_ros.controller import Decision, State
from dfp_ros.decision_log import DecisionLog
from dfp_ros.diagnostics import diagnose
from dfp_ros.loop_statistics import LoopStatistics
from dfp_ros.node_main import run_node
from dfp_ros.node_parameters import declare_parameters, frozen_change, read_settings
from dfp_ros.observation import Sample
from dfp_ros.qos import COMMAND_QOS, DECISION_QOS, LOCKSTEP_QOS, SENSOR_QOS
from dfp_ros.recorded_decision import DecisionRow
from dfp_ros.safety import Reason
from dfp_ros.sample_store import Instant, SampleStore
from dfp_ros.settings import SettingsError
from dfp_ros.source_reader import SourceReader

# With trigger `samples` a robot may think between samples; one that stays away is held all the
# same, after this many seconds.
_SAMPLES_TIMEOUT = 2.0


class PolicyNode(LifecycleNode):
    """
    The policy node; see the parameters' descriptions.

    :raises rclpy.exceptions.ParameterException: Where a parameter's value is out of range.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; everything else happens in the transitions."""
        super().__init__('dfp_policy', **kwargs)
        declare_parameters(self)
        self._loop: ControlLoop | None = None
        self._prepared: ControlLoop | None = None
        self._active = False
        self._store = SampleStore(())
        self._log = DecisionLog(self.get_logger(), time.monotonic)
        self._statistics = LoopStatistics(None)
        self._last_tick = 0.0
        # What the last tick decided, with the loop whose writers can put it into messages.
        self._answer: tuple[ControlLoop, Decision] | None = None
        self._is_simulated_time = False
        # Where decisions are published: the publisher, its message, and what writes its numbers.
        self._decisions: tuple[Publisher, Float64MultiArray, DecisionRow] | None = None
        self._ticks = 0
        self._entities: list[Any] = []
        self._commands: list[Publisher] = []
        self._timer: Any = None
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm up; a failure is logged, and leaves nothing behind."""
        try:
            settings = read_settings(self)
            robot, policy = load_robot(settings.robot), load_policy(settings.policy)
            self._loop = make_control_loop(settings, robot, policy)
            self._open(self._loop)
        except Exception as error:  # whatever it is, the operator is told, and the node lives on
            self.get_logger().error(f'cannot configure: {_explain(error)}')
            self._close()
            return TransitionCallbackReturn.FAILURE
        self.get_logger().info(
            f'policy {policy.spec.name!r} ({policy.path}, sha256 {policy.sha256[:12]}) on robot '
            f'{robot.name!r} at {1e9 / self._loop.tick:g} Hz')
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start ticking, from samples that arrive from now on."""
        assert self._loop is not None
        self._store = SampleStore(self._loop.robot.sources)
        self._log.restart()
        self._last_tick = time.monotonic()
        self._answer = None
        self._loop.controller.reset(self._loop.settings.noise_seed)
        self._active = True
        self._start_timer()
        # What was loaded stays; without it, a collection is too short to be seen in the loop.
        gc.collect()
        gc.freeze()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, and stop ticking."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, should it be moving, and free everything."""
        self._stop()
        self._close()
        return TransitionCallbackReturn.SUCCESS

    # After a shutdown or a transition that failed there is nothing more, and nothing less, to do.
    on_shutdown = on_cleanup
    on_error = on_cleanup

    def autostart(self) -> bool:
        """
        Configure and activate, where the parameter says so.

        :return: False where that failed; the reason has been logged.
        """
        return not self.get_parameter('autostart').value or (
            self.trigger_configure() == TransitionCallbackReturn.SUCCESS
            and self.trigger_activate() == TransitionCallbackReturn.SUCCESS)

    def close(self) -> None:
        """Stop the robot whatever the node is doing; wait a moment for the command to arrive."""
        self._stop()
        for publisher in self._commands:
            publisher.wait_for_all_acked(Duration(seconds=0.5))
        self._close()
        self.destroy_node()

    # Parameters

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Accept or refuse new values; what follows from them is prepared, but not used yet."""
        self._prepared = None
        changes = {parameter.name: parameter.value for parameter in parameters}
        try:
            if self._loop is not None:
                self._prepared = self._prepare_changes(self._loop, changes)
            elif changes.get('policy'):
                load_policy(changes['policy'])
            if self._loop is None and changes.get('robot'):
                load_robot(changes['robot'])
        except Exception as error:  # likewise: a bad value must not end what is running
            reason = _explain(error)
            self.get_logger().warning(f'refused {", ".join(changes)}: {reason}')
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _prepare_changes(
            self, loop: ControlLoop, changes: Mapping[str, Any]) -> ControlLoop | None:
        """Make the loop that new values ask for; None where they do not concern it."""
        settings = read_settings(self, changes)
        frozen = frozen_change(loop.settings, changes)
        if frozen is not None:
            raise SettingsError(
                f'parameter {frozen}: can be set while the node is unconfigured; deactivate and '
                'clean up first')
        if settings == loop.settings and 'policy' not in changes:
            return None
        policy = load_policy(settings.policy) if 'policy' in changes else loop.policy
        return make_control_loop(settings, loop.robot, policy)

    def _apply_parameters(self, parameters: list[Parameter]) -> None:
        """Use what was prepared. Ticks run on this thread too, so this is between two of them."""
        loop, self._prepared = self._prepared, None
        if loop is None or self._loop is None:
            return
        old, self._loop = self._loop, loop
        if loop.policy is not old.policy:
            self.get_logger().info(
                f'policy {loop.policy.spec.name!r} ({loop.policy.path}, sha256 '
                f'{loop.policy.sha256[:12]}) takes over')
        if self._active:
            loop.controller.take_over(old.controller)
            if loop.tick != old.tick:
                self._start_timer()

    # The loop

    def _open(self, loop: ControlLoop) -> None:
        """Create publishers, then subscriptions, then what reports on them."""
        qos = LOCKSTEP_QOS if loop.settings.trigger == 'samples' else SENSOR_QOS
        for topic, writer in zip(loop.robot.commands, loop.writers, strict=True):
            self._commands.append(
                self.create_publisher(writer.message_type, topic.topic, COMMAND_QOS))
        for source in loop.robot.sources.values():
            reader = SourceReader(source, loop.robot)
            self._entities.append(self.create_subscription(
                reader.message_type, source.topic, self._receiver(source.name, reader), qos))
        self._entities.append(self.create_service(Trigger, '~/reset', self._on_reset))
        if loop.settings.publish_decisions:
            self._decisions = self._open_decisions(loop)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._entities += [self._diagnostics, self.create_timer(1.0, self._publish_diagnostics)]

    def _close(self) -> None:
        """Destroy what :meth:`_open` created."""
        for entity in (*self._entities, *self._commands):
            self._destroy(entity)
        self._entities, self._commands, self._loop, self._decisions = [], [], None, None

    def _open_decisions(
            self, loop: ControlLoop) -> tuple[Publisher, Float64MultiArray, DecisionRow]:
        """Create the publisher of decisions; a policy that takes over has the same sizes."""
        spec = loop.policy.spec
        row = DecisionRow(
            loop.robot.sources, spec.observation_size,
            [(member.name, member.size) for member in spec.action])
        message = Float64MultiArray()
        message.layout.dim = [
            MultiArrayDimension(label=label, size=size, stride=size) for label, size in row.parts]
        publisher = self.create_publisher(Float64MultiArray, '~/decision', DECISION_QOS)
        self._entities.append(publisher)
        return publisher, message, row

    def _destroy(self, entity: Any) -> None:
        """Destroy a publisher, subscription, timer or service of this node."""
        for destroy in (self.destroy_publisher, self.destroy_subscription, self.destroy_timer,
                        self.destroy_service):
            if destroy(entity):
                return

    def _receiver(self, name: str, reader: SourceReader) -> Callable[[Any], None]:
        """Make the callback of one source."""
        def receive(message: Any) -> None:
            if self._active and self._loop is not None:
                sample = reader.read(message, self.get_clock().now().nanoseconds)
                instant = self._store.add(name, sample)
                if self._loop.settings.trigger == 'samples':
                    self._tick_on_samples(self._loop, instant, sample.time)
        return receive

    def _start_timer(self) -> None:
        """Begin to tick at the rate that is set."""
        assert self._loop is not None
        if self._timer is not None:
            self.destroy_timer(self._timer)
        timed = self._loop.settings.trigger == 'timer'
        self._statistics = LoopStatistics(self._loop.tick * 1e-9 if timed else None)
        # Deadlines are those of the timer: absolute, and dropped when missed. A steady clock
        # cannot be set; simulated time has to be followed, but may stand still for its samples.
        self._is_simulated_time = timed and self.get_parameter('use_sim_time').value
        clock = (
            self.get_clock() if self._is_simulated_time
            else Clock(clock_type=ClockType.STEADY_TIME))
        self._timer = self.create_timer(
            self._loop.tick * 1e-9, self._tick_on_timer if timed else self._watch_samples,
            clock=clock)

    def _tick_on_timer(self) -> None:
        """Tick at a deadline."""
        if self._active and self._loop is not None:
            now = self.get_clock().now().nanoseconds
            if self._store.pass_time(now):
                self.get_logger().warning(
                    'the clock was set back; only samples that arrive from now on count')
            self._tick(self._loop, now, self._store.samples)

    def _tick_on_samples(self, loop: ControlLoop, instant: Instant, stamp: int) -> None:
        """
        Tick when the samples of an instant are complete.

        Where they come again, their answer got lost: it is sent again, and nothing is decided.
        """
        if instant is Instant.REPEATED and self._answer is not None:
            self._last_tick = time.monotonic()
            self._try_to_send(*self._answer, stamp)
        elif instant is Instant.NEW:
            # Time is the robot's here: it stands still while it waits for the command.
            samples = {
                name: Sample(sample.stamp, stamp, sample.values)
                for name, sample in self._store.samples.items()}
            self._tick(loop, stamp, samples)

    def _watch_samples(self) -> None:
        """Hold a robot whose samples stay away, where ticks follow the samples."""
        silent = time.monotonic() - self._last_tick
        if not self._active or self._loop is None or silent < _SAMPLES_TIMEOUT:
            return
        text = f'no complete set of samples with one stamp for {silent:.1f} s'
        if self._store.missing:
            text += f'; no message from {", ".join(self._store.missing)}'
        if self._log.last is None or self._log.last.state is State.WAITING:
            decision = Decision(State.WAITING, Reason.WAITING, text)
        else:
            decision = Decision(
                State.HOLD, Reason.STALE, text, self._loop.controller.stop_command)
        self._try_to_send(self._loop, decision, self._unasked_stamp())
        self._log.add(decision)

    def _tick(self, loop: ControlLoop, now: int, samples: Mapping[str, Sample]) -> None:
        """Decide, send, and only then do what is not urgent."""
        self._last_tick = begin = time.monotonic()
        try:
            decision = loop.controller.step(now, samples)
            self._send(loop, decision, now)
        except Exception as error:  # a defect must stop the robot, never leave it on its way
            decision = loop.controller.fail(error)
            self._try_to_send(loop, decision, now)
        self._answer = loop, decision
        self._statistics.tick(now * 1e-9 if self._is_simulated_time else begin)
        self._statistics.add(decision.inference, decision.observation_age)
        self._log.add(decision)
        self._ticks += 1
        if self._decisions is not None:
            publisher, message, row = self._decisions
            lockstep = loop.settings.trigger == 'samples'
            message.data = row.write(self._ticks, now, lockstep, decision, samples)
            publisher.publish(message)

    def _send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """Publish a decision's command, if it has one; a topic that fails costs no other its."""
        if decision.sent is None:
            return
        failed: Exception | None = None
        for publisher, writer in zip(self._commands, loop.writers, strict=True):
            try:
                publisher.publish(writer.write(decision.sent, stamp))
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed

    def _try_to_send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """Publish a decision's command where there is nothing to fall back on."""
        try:
            self._send(loop, decision, stamp)
        except Exception as error:
            self.get_logger().error(
                f'a command could not be sent: {_explain(error)}', throttle_duration_sec=1.0)

    def _unasked_stamp(self) -> int:
        """
        Make the stamp of a command that answers no observation.

        It is not quite now: where time is simulated, an observation may be stamped with this very
        instant, and a robot that waits for its answer would take the command for it.
        """
        return max(0, self.get_clock().now().nanoseconds - 1)

    def _send_stop(self, loop: ControlLoop) -> None:
        """Send zero to every command topic."""
        stop = Decision(State.HOLD, Reason.NONE, '', loop.controller.stop_command)
        self._try_to_send(loop, stop, self._unasked_stamp())

    def _stop(self) -> None:
        """Stop ticking, and stop the robot; the command is sent whatever was sent before."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._active and self._loop is not None:
            self._active = False
            gc.unfreeze()
            self._send_stop(self._loop)
            self.get_logger().info('stopped: sent zero to every command topic')
        self._log.restart()

    # Reports

    def _on_reset(
            self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Stop, and begin an episode: no chunk, noise from its seed, observations from now on."""
        response.success = self._active and self._loop is not None
        if self._active and self._loop is not None:
            seed = self._loop.settings.noise_seed
            self._send_stop(self._loop)
            self._loop.controller.reset(seed)
            self._store.clear()
            self._log.restart()
            response.message = f'chunk dropped, noise starts again at seed {seed}'
        else:
            response.message = 'the node is not active; activate it first'
        return response

    def _publish_diagnostics(self) -> None:
        """Report once a second."""
        if self._loop is not None:
            self._diagnostics.publish(diagnose(
                self.get_fully_qualified_name(), self._loop, self._store.samples, self._log.last,
                self._statistics, self.get_clock().now()))


def _explain(error: Exception) -> str:
    """Give an error's message, which for errors of this package says all there is to say."""
    known = type(error).__module__.startswith('dfp_ros.')
    return str(error) if known else f'{type(error).__name__}: {error}'


def main(args: list[str] | None = None) -> int:
    """
    Run the node until SIGINT or SIGTERM.

    :return: The exit status: 1 where a parameter is wrong or the autostart failed, else 0.
    """
    return run_node('dfp_policy', PolicyNode, args)


if __name__ == '__main__':
    sys.exit(main())
