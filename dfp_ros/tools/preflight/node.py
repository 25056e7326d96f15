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
"""Node ``dfp_preflight``: the policy node's ticks, without commands to the robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
import threading
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.pictures.picture import pixels_of
from dfp_ros.core.policy.deadline import with_deadline
from dfp_ros.core.policy.interface import ask, LateError, PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import typical_pictures
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.node import Settings
from dfp_ros.node.commanding.action_clients import destroy_action_clients
from dfp_ros.node.commanding.action_sender import status_topic
from dfp_ros.node.commanding.command_publishers import CommandPublishers, require_own_topics
from dfp_ros.node.files.node_files import NodeFiles
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loading.pending_policy import (
    doubtful_settings,
    load_control_loop,
    PendingPolicy,
    require_latency,
)
from dfp_ros.node.loop.source_subscriptions import SourceSubscriptions
from dfp_ros.node.monitors.clock_monitor import ClockMonitor
from dfp_ros.node.parameters.overrides import require_known
from dfp_ros.node.parameters.parameters import declare_parameters, LIFETIME, read_settings
from dfp_ros.node.realtime.garbage_collector import GARBAGE
from dfp_ros.node.realtime.process import prepare_threads, Realtime
from dfp_ros.node.ros.qos import COMMAND_QOS
from dfp_ros.node.ros.urdf_topic import with_urdf
from dfp_ros.tools.preflight.arrivals import Arrivals
from dfp_ros.tools.preflight.hang_watch import HangWatch
from dfp_ros.tools.preflight.measurements import Figures, PARTS, Percentiles, WakeUps
from dfp_ros.tools.preflight.robot_check import (
    find_commands,
    find_people,
    find_sources,
    private_topics,
)
from dfp_ros.tools.preflight.subject import subject

_POLL = 0.05  # s
# A tick that goes on for so long has no end: this many s, and this many periods.
_LONGEST, _LONGEST_PERIODS = 5.0, 5


class PreflightNode(Node):
    """
    Preflight measurement.

    It subscribes to the sources as the policy node does, and decides with the same controller. The
    decisions go to private topics, on which a second participant subscribes so that publishing has
    its real cost.

    :param seconds: Duration of the measurement.
    :param wait: Time limit for sources and subscribers to appear, in s.
    :param ending: Set once the process is asked to end; None for never.
    :param hung: Called from another thread if a tick does not end, with its duration so far in s.
    :raises SettingsError: If a parameter's value is out of range.
    :raises ValueError: If parameters, robot and policy do not fit.

    :ivar subject: Identity of policy, robot and machine.
    :ivar ending: Event that is set once the process is asked to end.
    :ivar ended: Future that completes at the end of the measurement.
    """

    def __init__(
            self, seconds: float, wait: float, ending: threading.Event | None = None,
            hung: Callable[[float], object] = lambda seconds: None, **kwargs: Any) -> None:
        """Load policy and robot, subscribe, and wait for the robot."""
        super().__init__('dfp_preflight', **kwargs)
        self.ending = threading.Event() if ending is None else ending
        declare_parameters(self)
        self.declare_parameter(*LIFETIME[:2])
        require_known(self)
        settings = read_settings(self)
        self._realtime = Realtime()
        prepare_threads(settings.realtime.timer_slack)
        loop = self._load(settings)
        # The same for the controller and for further questions: an answer that was given up may
        # still be computed, and must not be disturbed.
        self._policy = with_deadline(loop.policy, settings)
        if loop.inference is not None:
            # No tick waits for it, so no measurement of ticks would tell.
            require_latency(loop)
        self._loop = replace(loop, controller=make_controller(
            settings, loop.robot, self._policy, inference=loop.inference)).measured(loop.latency)
        self.subject = subject(self._loop)
        self.ended = Future()
        self._seconds = seconds
        robot, policy = self._loop.robot, self._loop.policy
        self._store = SampleStore(robot.sources, in_order=not self._loop.is_lockstep)
        self._arrivals: dict[str, Arrivals] = {}
        before = set(self.subscriptions)
        self._sources = SourceSubscriptions(self, self._loop, self._receive)
        self._subscriptions_made = [
            made for made in self.subscriptions if made not in before]
        # Of the robot itself: the private topics differ by their numbers.
        require_own_topics(self, robot)
        self._private = replace(self._loop, robot=private_topics(robot))
        self._commands = CommandPublishers(self, self._private)
        self._listener = _Listener(self, self._loop)
        self._noise = NoiseStream(
            settings.noise_seed, self.subject.candidates, policy.spec.noise_size,
            settings.scale(policy.spec))
        self._typical = np.array([
            (low + high) / 2 for member in policy.spec.observation
            for low, high in zip(member.low, member.high, strict=True)], np.float32)
        self._typical_pictures = typical_pictures(policy.spec)
        self._took: dict[str, list[float]] = {name: [] for name in (*PARTS, 'together')}
        self._ages: list[float] = []
        self._stops: dict[str, tuple[int, str]] = {}
        self._running = 0
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # The ticks use the clock of the policy node's ticks.
        is_simulated = bool(self.get_parameter('use_sim_time').value)
        self._tick_clock = self.get_clock() if is_simulated else self._steady
        self._clock_monitor = ClockMonitor(self, lambda: self._loop.tick * 1e-9)
        self._give_up = self._steady.now().nanoseconds + round(wait * 1e9)
        self._wake_ups: WakeUps | None = None
        self._begin = self._end = self._stop_at = 0
        self._timer = self.create_timer(_POLL, self._wait_for_robot, clock=self._steady)
        # Simulated time may stand still.
        self._end_timer = self.create_timer(_POLL, self._end_in_time, clock=self._steady)
        self._hang_watch = HangWatch(
            max(_LONGEST, _LONGEST_PERIODS * self._loop.tick * 1e-9), hung)

    def _load(self, settings: Settings) -> ControlLoop:
        """Load robot and policy as the policy node does: in processes that can be killed."""
        files = NodeFiles(self)
        try:
            robot = with_urdf(
                self, files.load_robot(settings.robot), settings.limits.urdf_wait, self.ending)
            file = files.read_policy(settings.policy)
            return load_control_loop(
                PendingPolicy(settings, file=file), robot, try_out=files.try_out)
        finally:
            files.close()

    def figures(self, hung: float = 0.0) -> Figures:
        """
        Summarise the measurements, with the current endpoints.

        :param hung: Duration in s of a tick that does not end, which the thread that spins this
            node is in; 0 for none.
        """
        settings, controller = self._loop.settings, self._loop.controller
        has_clock = not self.get_parameter('use_sim_time').value or bool(
            self.get_publishers_info_by_topic(self.resolve_topic_name('/clock')))
        return Figures(
            self._loop.tick * 1e-9, settings.latency_share, settings.safety.clock_skew,
            self._seconds, self._loop.is_lockstep, has_clock,
            self._clock_monitor.step or math.nan, len(self._took['together']),
            self._wake_ups.missed if self._wake_ups else 0,
            {name: Percentiles.of(self._took[name]) for name in PARTS},
            Percentiles.of(self._took['together']), Percentiles.of(self._ages), self._running,
            self._stops, controller.outside,
            self._loop.policy.execution.left_out(self._loop.policy.providers),
            find_sources(
                self, self._loop.robot, self._subscriptions_made, self._arrivals,
                self._end or self.get_clock().now().nanoseconds, self._sources.cameras),
            find_commands(self, self._loop.robot), self._realtime.refused,
            self._loop.settings.realtime.required, hung,
            find_people(self, self._loop.robot, self._subscriptions_made),
            self._loop.policy.file.signer, doubtful_settings(self._loop))

    def close(self) -> None:
        """Destroy everything."""
        self._hang_watch.close()
        self._clock_monitor.close()
        self._realtime.release()
        self._listener.close()
        self._commands.close()
        self._sources.close()
        destroy_action_clients(self)
        self.destroy_node()

    def _receive(self, name: str, sample: Sample) -> None:
        """Process a sample of a source; nobody takes over now."""
        if name not in self._loop.robot.sources:
            return
        self._store.add(name, sample)
        if name in self._arrivals:
            self._arrivals[name].add(sample)

    def _wait_for_robot(self) -> None:
        """Start the measurement when everything is there, or at the time limit."""
        is_there = not self._store.missing and all(
            self.get_publishers_info_by_topic(status_topic(self.resolve_topic_name(topic.topic)))
            if topic.action
            else self.get_subscriptions_info_by_topic(self.resolve_topic_name(topic.topic))
            for topic in self._loop.robot.commands)
        if not is_there and self._steady.now().nanoseconds < self._give_up:
            return
        self.destroy_timer(self._timer)
        self._realtime.acquire(self._loop.settings.realtime)
        self._begin = self.get_clock().now().nanoseconds
        self._arrivals = {
            name: Arrivals(self._begin, self._lasting(name)) for name in self._loop.robot.sources}
        self._loop.controller.reset(self._loop.settings.noise_seed)
        self._stop_at = self._steady.now().nanoseconds + round(self._seconds * 1e9)
        self._timer = self.create_timer(
            self._loop.tick * 1e-9, self._tick, clock=self._tick_clock)
        self._wake_ups = WakeUps(
            self._tick_clock.now().nanoseconds + self._timer.time_until_next_call(),
            self._loop.tick)

    def _end_in_time(self) -> None:
        """End the measurement when its time is up."""
        if self._wake_ups is None or self._steady.now().nanoseconds < self._stop_at:
            return
        self._end = self.get_clock().now().nanoseconds
        self.destroy_timer(self._timer)
        self.destroy_timer(self._end_timer)
        self.ended.set_result(None)

    def _lasting(self, name: str) -> Sample | None:
        """Return the last value of a latched source, which stays valid until it is replaced."""
        sample = self._store.samples.get(name)
        return sample if sample is not None and sample.lasts else None

    def _tick(self) -> None:
        """Run a tick of the policy node, and time its parts."""
        if self.ended.done() or self._wake_ups is None:
            return
        self._hang_watch.begin()
        try:
            self._run_tick(self._wake_ups)
        finally:
            self._hang_watch.end()

    def _run_tick(self, wake_ups: WakeUps) -> None:
        """Run a tick."""
        late = wake_ups.add(self._tick_clock.now().nanoseconds) * 1e-9
        now = self.get_clock().now().nanoseconds
        self._store.pass_time(now)
        start = time.perf_counter()
        try:
            decision = self._loop.controller.step(now, self._store.at(now))
        except Exception as error:  # as in the policy node: it stops the robot, and is reported
            decision = self._loop.controller.fail(error)
        decided = time.perf_counter()
        inference = decision.inference
        deciding = decided - start - (inference or 0.0)
        if self._loop.inference is not None:
            deciding, inference = decided - start, 0.0
        elif inference is None:
            inference = self._ask_policy(decision)
        sending = time.perf_counter()
        self._commands.try_to_send(self._private, self._sent(decision), now)
        publishing = time.perf_counter() - sending
        # Every tick is timed as one that asks the policy, the longest kind.
        took = late, deciding, inference, publishing
        for name, seconds in zip(PARTS, took, strict=True):
            self._took[name].append(seconds)
        self._took['together'].append(sum(took))
        self._note(decision)
        if self._loop.inference is not None:
            self._loop.controller.planner.prepare()
        GARBAGE.after_tick(lambda: float(self._timer.time_until_next_call() * 1e-9))

    def _ask_policy(self, decision: Decision) -> float:
        """Ask the policy although no answer is due; return the inference time in s."""
        observation = self._typical if decision.observation is None else decision.observation
        pictures = pixels_of(decision.pictures) or self._typical_pictures
        noise = self._noise.next()
        start = time.perf_counter()
        try:
            ask(self._policy, observation, noise, pictures=pictures)
        except LateError as error:
            self._stop_for(Reason.LATE_INFERENCE, str(error))
        except PolicyError as error:
            self._stop_for(Reason.INFERENCE_FAILED, str(error))
        return time.perf_counter() - start

    def _sent(self, decision: Decision) -> Decision:
        """Return a decision that is sent to the private topics."""
        if decision.sent is not None:
            return decision
        return replace(decision, sent=np.zeros(self._loop.policy.spec.action_size))

    def _note(self, decision: Decision) -> None:
        """Record the decision that the policy node would have made."""
        if decision.observation_age is not None:
            self._ages.append(decision.observation_age)
        if decision.state is State.RUNNING:
            self._running += 1
            return
        if decision.reason is Reason.PLANNING:
            # The first answer, which the robot waits for at each start.
            return
        self._stop_for(decision.reason, decision.text)

    def _stop_for(self, reason: Reason, text: str) -> None:
        """Record a tick in which the policy node would have stopped the robot."""
        count, _ = self._stops.get(reason.words, (0, ''))
        self._stops[reason.words] = count + 1, text


class _Listener:
    """
    Second participant that subscribes to the private topics, so that publishing has its real cost.

    :param node: Node that publishes.
    :param loop: Control loop with the robot description and message types.
    """

    def __init__(self, node: Node, loop: ControlLoop) -> None:
        """Create the participant and its subscriptions."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=node.context.get_domain_id())
        self._node = Node(
            'dfp_preflight_listener', context=self._context, use_global_arguments=False,
            start_parameter_services=False)
        for topic, writer in zip(
                private_topics(loop.robot).commands, loop.writers, strict=True):
            self._node.create_subscription(
                writer.message_type, node.resolve_topic_name(topic.topic), lambda _: None,
                COMMAND_QOS)

    def close(self) -> None:
        """Leave."""
        self._node.destroy_node()
        # A signal has ended it already.
        rclpy.try_shutdown(context=self._context)
