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

if __name__ == '__main__':
    # Before the other imports, which take half a second.
    from dfp_ros.node.process.start import begin
    begin()

from dataclasses import replace
import sys
import threading
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.hung_calls import leave
from dfp_ros.core.planning.background_planner import BackgroundPlanner
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.node import Settings
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.node.commanding.action_clients import destroy_action_clients
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.files.node_files import NodeFiles
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loading.pending_policy import (
    describe_concerns,
    load_control_loop,
    load_posture,
    PendingPolicy,
    require_latency,
    signed,
)
from dfp_ros.node.loop.idle_work import IdleWork
from dfp_ros.node.loop.source_subscriptions import SourceSubscriptions
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.monitors.action_monitor import ActionMonitor
from dfp_ros.node.monitors.clock_monitor import ClockMonitor
from dfp_ros.node.monitors.commander_monitor import CommanderMonitor
from dfp_ros.node.monitors.publisher_monitor import PublisherMonitor
from dfp_ros.node.monitors.urdf_monitor import UrdfMonitor
from dfp_ros.node.parameters.overrides import require_known
from dfp_ros.node.parameters.parameters import (
    declare_parameters,
    list_parameters,
    read_settings,
    tell_safety,
)
from dfp_ros.node.realtime.privileges import RefusedError
from dfp_ros.node.realtime.process import prepare_threads, Realtime
from dfp_ros.node.reporting.decision_publisher import DecisionPublisher
from dfp_ros.node.reporting.diagnostics_publisher import DiagnosticsPublisher
from dfp_ros.node.reporting.policy_status import PolicyStatus
from dfp_ros.node.reporting.statistics_publisher import StatisticsPublisher
from dfp_ros.node.ros.background_worker import BackgroundWorker
from dfp_ros.node.ros.guarded_node import GuardedNode
from dfp_ros.node.ros.node_main import run_node
from dfp_ros.node.ros.qos_monitor import QosMonitor
from dfp_ros.node.ros.start import read_words
from dfp_ros.node.ros.trigger_services import TriggerServices
from dfp_ros.node.ros.urdf_topic import with_urdf
from dfp_ros.node.swap.fallback import Fallback
from dfp_ros.node.swap.parameter_changes import ParameterChanges
from dfp_ros.node.swap.policy_swapper import PolicySwapper
from dfp_ros.node.swap.preflight_gate import PreflightGate
from dfp_ros.tools.preflight.subject import require_preflight


class PolicyNode(GuardedNode):
    """
    Lifecycle node that runs a policy; see the descriptions of its parameters.

    :raises SettingsError: If a parameter's value is out of range.

    :ivar ending: Set once the process is asked to end, which aborts waits within a transition.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; everything else is done in the transitions."""
        super().__init__('dfp_policy', **kwargs)
        self.ending = threading.Event()
        # Whether the robot may be moving because of this node.
        self._is_moving = False
        # Why an operator has stopped the robot, if the node was cleaned up since; else empty.
        self._operator_stop = ''
        declare_parameters(self)
        self._realtime = Realtime()
        try:
            prepare_threads(self.get_parameter('realtime.timer_slack').value)
        except RefusedError as error:
            self.get_logger().warning(explain(error))
        # Objects of the configured node.
        self._ticker: Ticker | None = None
        self._commands: CommandPublishers | None = None
        self._swapper: PolicySwapper | None = None
        self._clock_monitor: ClockMonitor | None = None
        self._commander_monitor: CommanderMonitor | None = None
        self._urdf_monitor: UrdfMonitor | None = None
        self._parts: list[Any] = []
        self._gate: PreflightGate | None = None
        # Loader processes.
        self._files = NodeFiles(self)
        self._changes = ParameterChanges(self, self._files)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm up; a failure is logged and undone."""
        with self._changes.during('configuring'):
            try:
                loop = self._configure()
            except Exception as error:  # reported to the operator; the node continues
                self.get_logger().error(f'cannot configure: {explain(error)}')
                self._close()
                return TransitionCallbackReturn.FAILURE
            self.get_logger().info(
                f'policy {loop.policy.spec.name!r} ({printable(loop.policy.path, TEXT)}, sha256 '
                f'{loop.policy.sha256[:12]}{signed(loop)}) on robot {loop.robot.name!r} at '
                f'{1e9 / loop.tick:g} Hz, running on {" ".join(loop.policy.providers)}')
            if isinstance(loop.controller.planner, BackgroundPlanner):
                self.get_logger().info(
                    f'inference runs beside the loop: it takes {loop.latency * 1e3:.3g} ms (p99), '
                    'and the next chunk is requested '
                    f'{loop.controller.planner.lead:.3g} s before the end of the last')
            return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start ticking, from samples that arrive from now on."""
        assert self._ticker is not None
        assert self._commander_monitor is not None
        assert self._clock_monitor is not None
        assert self._urdf_monitor is not None
        assert self._gate is not None
        with self._changes.during('activating'):
            try:
                self._gate.admit(self._ticker.loop)
                self._commander_monitor.require_sole()
                self._realtime.acquire_or_warn(
                    self._ticker.loop.settings.realtime, self.get_logger())
            except Exception as error:  # reported to the operator
                self.get_logger().error(f'cannot activate: {explain(error)}')
                return TransitionCallbackReturn.FAILURE
            self._is_moving = True
            self._ticker.start()
            self._commander_monitor.start()
            self._clock_monitor.say_again()
            self._urdf_monitor.say_again()
            if self._swapper is not None:
                self._swapper.compare_with_disk()
            return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot and the ticks; a pending policy still takes over."""
        with self._changes.during('deactivating'):
            self.stop()
            return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot if it is moving, and destroy everything."""
        with self._changes.during('cleaning up'):
            self.stop()
            self._close()
            return TransitionCallbackReturn.SUCCESS

    # A shutdown and a failed transition need exactly the same.
    on_shutdown = on_cleanup
    on_error = on_cleanup

    def autostart(self) -> bool:
        """
        Configure and activate, if the parameter autostart is set.

        :return: False if that failed; the reason has been logged.
        """
        return not self.get_parameter('autostart').value or (
            self.trigger_configure() == TransitionCallbackReturn.SUCCESS
            and self.trigger_activate() == TransitionCallbackReturn.SUCCESS)

    def stop(self) -> None:
        """Stop the robot and the ticks, in any state of the node."""
        may_command = self._commander_monitor is not None and (
            self._commander_monitor.may_command())
        if self._ticker is not None and self._ticker.stop():
            has_stopped = self._ticker.commander.has_stopped
            self.get_logger().info(
                'stopped: sent a stop to every command topic' if has_stopped else
                'stopped: no stop was sent, as nothing had been commanded' if may_command else
                'stopped: no stop was sent, as another node may command the robot')
        # Only now: the robot is claimed until it has stopped.
        if self._commander_monitor is not None:
            self._commander_monitor.stop()
        self._is_moving = False
        self._realtime.release()

    def give_up(self) -> None:
        """Abort loading from another thread; a pending wait fails at once."""
        if self._changes.transition == 'configuring':
            self._files.close()

    def suspend(self) -> None:
        """Deactivate before the process is suspended, as it could not stop the robot then."""
        if not self._is_moving:
            return
        self.trigger_deactivate()
        if self._commands is not None:
            self._commands.wait_until_arrived()
        self.get_logger().warning(
            'deactivated, because the process is being suspended; once it continues (fg), '
            f'activate it: ros2 service call {self.get_fully_qualified_name()}/change_state '
            'lifecycle_msgs/srv/ChangeState "{transition: {id: 3}}"')

    def abandon(self) -> None:
        """
        Send a last stop from another thread, if the node's own hangs.

        If the watchdog has stopped the robot already, that was within the limits.
        """
        if self._is_moving and self._ticker is not None and self._commands is not None and (
                not self._ticker.is_overdue):
            self._ticker.commander.stop_for_good(self._ticker.loop)

    def told(self) -> str:
        """Safety settings that differ from their defaults, for the log."""
        return tell_safety(self)

    def close(self) -> None:
        """Stop, wait a moment for the last command to arrive, and destroy the node."""
        self.stop()
        if self._commands is not None:
            self._commands.wait_until_arrived()
        self._close()
        destroy_action_clients(self)
        self.destroy_node()

    def _configure(self) -> ControlLoop:
        """Load the files that the parameters name, and open the topics."""
        require_known(self)
        settings = read_settings(self)
        self._files.start()
        if self.ending.is_set():
            raise RefusedError('the node was asked to end')
        robot = with_urdf(
            self, self._files.load_robot(settings.robot), settings.limits.urdf_wait,
            self.ending)
        loop = self._load(settings, robot)
        for text in describe_concerns(loop):
            self.get_logger().warning(text)
        shadow = None
        if settings.shadow:
            shadow = self._load(replace(settings, policy=settings.shadow), robot, 'shadow')
        fallback = None
        if settings.fallback.policy:
            fallback = self._load(
                replace(settings, policy=settings.fallback.policy), robot, 'fallback.policy')
            require_latency(fallback)
        elif settings.fallback.posture:
            fallback = load_posture(loop)
        self._open(loop, shadow, fallback)
        return loop

    def _load(
            self, settings: Settings, robot: RobotDescription,
            name: str = 'policy') -> ControlLoop:
        """Load the policy of a parameter while there are no ticks."""
        try:
            file = self._files.read_policy(settings.policy)
            self._files.say_what_changed(settings.policy, file)
            return load_control_loop(
                PendingPolicy(settings, file=file), robot, try_out=self._files.try_out)
        except Exception as error:
            if name == 'policy':
                raise
            raise SettingsError(f'parameter {name}: {explain(error)}') from error

    def _open(
            self, loop: ControlLoop, shadow: ControlLoop | None,
            fallback: ControlLoop | None) -> None:
        """Create publishers, then subscriptions, then the reporting topics."""
        def add(part: Any) -> Any:
            self._parts.append(part)
            return part

        watch = QosMonitor(self)
        commands = self._commands = add(CommandPublishers(self, loop, watch))
        # What commands and what watches over other commanders need each other.
        commander_monitor = self._commander_monitor = add(CommanderMonitor(
            self, [topic.topic for topic in loop.robot.commands],
            lambda: ticker.loop.settings.safety, self.trigger_deactivate,
            lambda: ticker.begin_again(),
            lambda text: ticker.loop.controller.note(Reason.OTHER_PUBLISHER, text)))
        ticker = self._ticker = Ticker(
            self, loop, commands, self.trigger_deactivate, commander_monitor.may_command)
        if self._operator_stop:
            loop.controller.operator.stop(self._operator_stop)
            self.get_logger().warning(
                f'the robot stays stopped, as before the node was cleaned up: '
                f'{self._operator_stop}')
        if any(topic.action for topic in loop.robot.commands):
            ticker.listeners.append(ActionMonitor(commands, ticker))
        if loop.settings.publish_decisions:
            ticker.listeners.append(add(DecisionPublisher(self, loop)))
        clock_monitor = self._clock_monitor = add(
            ClockMonitor(self, lambda: ticker.loop.tick * 1e-9))
        sources = add(SourceSubscriptions(
            self, loop, ticker.receive, watch, lambda: ticker.episodes))
        add(PublisherMonitor(
            self, sources,
            lambda text: ticker.loop.controller.note(Reason.SEVERAL_PUBLISHERS, text)))
        reader = add(BackgroundWorker(self, lambda: ticker.is_timed, self._files.longest))
        self._changes.start_reading(reader)
        urdf_monitor = self._urdf_monitor = add(UrdfMonitor(self, loop.robot, reader))
        worker = BackgroundWorker(self, lambda: ticker.is_timed, self._files.longest)
        ticker.listeners.append(IdleWork(worker, reader))
        status = add(PolicyStatus(self, loop.robot.sha256, worker.wait_for_tick))
        gate = self._gate = PreflightGate(
            lambda loop: require_preflight(loop, self._files.read))
        swapper = self._swapper = add(PolicySwapper(
            self, ticker, status, worker, self._files, gate))
        self._changes.apply_to(ticker, swapper)
        if shadow is not None:
            swapper.take_shadow(shadow)
        known: tuple[Any, ...] = (
            commander_monitor, swapper, commands, clock_monitor, urdf_monitor, sources,
            self._realtime)
        if fallback is not None:
            made = Fallback(fallback, ticker, swapper, self.get_logger())
            ticker.listeners.append(made)
            known = (*known, made)
        add(DiagnosticsPublisher(self, ticker, lambda: {
            name: text for part in known for name, text in part.facts().items()}, watch))
        add(StatisticsPublisher(self, ticker))
        add(TriggerServices(self, {
            '~/reset': ticker.reset, '~/stop': ticker.hold,
            '~/resume': ticker.resume, '~/rollback': swapper.rollback,
            '~/promote': swapper.promote}))

    def _close(self) -> None:
        """Destroy the parts that :meth:`_open` created."""
        self._files.close()
        self._changes.stop_reading()
        if self._ticker is not None:
            self._operator_stop = self._ticker.loop.controller.operator.why or ''
        for part in reversed(self._parts):
            part.close()
        self._parts = []
        self._changes.apply_to_nothing()
        self._ticker = self._commands = self._swapper = None
        self._clock_monitor = self._commander_monitor = self._urdf_monitor = None


def main(args: list[str] | None = None) -> int:
    """
    Run the node until it is asked to end.

    :return: The exit status: 1 if a parameter is wrong or the autostart failed, else 0.
    """
    read_words(
        'policy_node', 'Run a policy file on a robot, at a fixed rate.', list_parameters(), args)
    return leave(run_node('dfp_policy', PolicyNode, args))


if __name__ == '__main__':
    sys.exit(main())
