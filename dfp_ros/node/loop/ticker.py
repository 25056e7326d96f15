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
"""Ticker: runs the control loop between activation and deactivation, tick by tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time

from rclpy.node import Node

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.control.input_log import Failed, InputLog
from dfp_ros.core.observation.freshness import check_sources
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.node.commanding.command_publishers import CommandPublishers, NotSentError
from dfp_ros.node.commanding.commander import Commander
from dfp_ros.node.commanding.controlled_stop import stop_robot
from dfp_ros.node.commanding.decision_log import DecisionLog
from dfp_ros.node.commanding.watchdog import LONGEST_BEAT, Watchdog
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.lockstep_trigger import LockstepTrigger
from dfp_ros.node.loop.statistics import LoopStatistics
from dfp_ros.node.loop.tick import Tick, TickListener
from dfp_ros.node.loop.timer_trigger import TimerTrigger
from dfp_ros.node.loop.trigger import Trigger
from dfp_ros.node.realtime.garbage_collector import GARBAGE
from dfp_ros.node.ros.node_clock import NodeClock

_STOPPED = 'stopped by ~/stop; call ~/resume to go on'


class NotActiveError(ValueError):
    """A request needs an active node."""


class NotStoppedError(ValueError):
    """A request needs a robot that was stopped by its operator."""


class Ticker:
    """
    Runs a control loop between activation and deactivation.

    All methods run on the thread that spins the node.

    :param node: Has the clock, and creates the timer.
    :param loop: The control loop.
    :param commands: Publish the commands.
    :param deactivate: Deactivates the node, if a decision requires it.
    :param may_command: See :class:`Commander`; there are no ticks while it returns False.

    :ivar loop: The running control loop; see :meth:`transfer_to`.
    :ivar listeners: Are told of each tick, in this order.
    :ivar is_active: Whether it runs.
    :ivar store: The newest samples since it started.
    :ivar people: The newest samples of a person who may take over; None if nobody can.
    :ivar log: The log, with the last decision.
    :ivar statistics: Figures since the timer was started.
    :ivar input_log: External inputs of the controller, for replays.
    :ivar commander: Sends every command.
    :ivar operator_stops: Number of calls of :meth:`hold`.
    :ivar episodes: Number of episodes begun, by activation or reset.
    """

    def __init__(
            self, node: Node, loop: ControlLoop, commands: CommandPublishers,
            deactivate: Callable[[], object],
            may_command: Callable[[], bool] = lambda: True) -> None:
        """Wait to be started."""
        self.loop = loop
        self.listeners: list[TickListener] = []
        self.is_active = False
        self.store = SampleStore(loop.robot.sources, in_order=not loop.is_lockstep)
        takeover = loop.robot.takeover
        self.people = None if takeover is None else SampleStore(takeover.sources, in_order=True)
        self.log = DecisionLog(node.get_logger(), time.monotonic)
        self.statistics = LoopStatistics(None)
        self.operator_stops = 0
        self.episodes = 0
        self.input_log = InputLog()
        self._node = node
        self._time = NodeClock(node)
        self.commander = Commander(commands, self.log, self.input_log, may_command)
        self._deactivate = deactivate
        self._watchdog = Watchdog(self.commander, lambda: self.loop, node.get_logger())
        self._last_sent = 0.0
        self._ticks = 0
        self._trigger: Trigger = LockstepTrigger(
            node, self.commander, self.tick, self._stand_still, self._beat,
            lambda: self.store.missing, lambda: self.is_overdue,
        ) if loop.is_lockstep else TimerTrigger(
            node, self._tick_now, self._stand_still, self._beat, self._watch_sources,
            lambda: self.loop, lambda: self.store.samples)

    @property
    def is_timed(self) -> bool:
        """Return whether ticks come by themselves just now."""
        return self.is_active and self._trigger.is_timed

    @property
    def is_overdue(self) -> bool:
        """Return whether the watchdog is stopping the robot in this thread's place."""
        return self._watchdog.has_fired

    def start(self) -> None:
        """Start an episode, with samples that arrive from now on, and with latched ones."""
        self.store = self.store.renewed()
        if self.people is not None:
            self.people = self.people.renewed()
        self.log.restart()
        self._trigger.reset()
        self._reset_controller()
        self.is_active = True
        self._begin_ticks()

    def begin_again(self) -> None:
        """
        Start an episode of a robot that this node may have moved until it stood still.

        Velocities may be in force since then: they are ended before there is a sample to decide
        on. A position that was sent then is not sent again.
        """
        self.start()
        self.commander.end_velocities(self.loop)

    def stop(self) -> bool:
        """
        Stop the ticks and the robot; a last command is sent in any case.

        :return: Whether it was running.
        """
        self._trigger.stop()
        stopped_by_watchdog = self._watchdog.stop()
        was_active, self.is_active = self.is_active, False
        if was_active:
            self._go_on_from(stopped_by_watchdog)
            self._stop_robot()
        self.log.restart()
        return was_active

    def reset(self) -> str:
        """
        Stop the robot, and start an episode: noise from its seed, samples from now on.

        Latched samples are kept, as nothing has replaced them.

        :return: Message about the result.
        :raises NotActiveError: If the node is not active.
        """
        if not self.is_active:
            raise NotActiveError('the node is not active; activate it first')
        self._watchdog.wait(self.loop.settings.limits.stop_within)
        self._take_back()
        if self._stop_robot():
            # Samples from the time of slowing down wait to be received, and must not be the first
            # that a tick sees.
            self._start_trigger()
            self.statistics.pause()
        self._reset_controller()
        self._trigger.reset()
        # Not what a person holds: otherwise the policy would command until the next message.
        self.store.clear()
        self.log.restart()
        seed = self.loop.settings.noise_seed
        return f'chunk dropped, noise starts again at seed {seed}'

    def hold(self) -> str:
        """
        Stop the robot at once, and keep it stopped until :meth:`resume`.

        :return: Message about the result.
        :raises Exception: If the stop could not be sent; the robot is stopped at the next tick
            all the same, if that one can be.
        """
        self.operator_stops += 1
        self.loop.controller.operator.stop(_STOPPED)
        # Nor is an earlier decision sent again once the robot was resumed.
        self._trigger.reset()
        until = (
            'stopped until ~/resume is called; reset, activation, swaps and cleaning up do not '
            'end it')
        if not self.is_active:
            return f'the node is not active, and commands nothing; {until}'
        if self.log.last is None or self.log.last.state is State.WAITING:
            return f'nothing was commanded yet, and nothing will be; {until}'
        has_stopped = self._stop_now()
        if self.log.last is None:
            return f'the node was deactivated by a fault, which stopped the robot; {until}'
        if not has_stopped:
            raise NotStoppedError(
                f'the stop could not be sent ({self.log.last.text}); the node keeps trying')
        if self.log.last.sent is None:
            # Held from the start: there is no position yet that a robot could stay at.
            return f'nothing was commanded yet, and nothing will be; {until}'
        if unreached := self.commander.publishers.unreached:
            raise NotStoppedError(f'no stop was sent to {unreached}, which has no server; {until}')
        return f'a stop was sent to every command topic; {until}'

    def _stop_now(self) -> bool:
        """
        Send the requested stop; return whether that succeeded.

        A robot that a single command would stop harder than its limits is slowed down from the
        next tick on, which is waited for if it is soon.
        """
        loop = self.loop
        if loop.controller.limiter.is_fast and self._is_on_wall_time and (
                loop.tick * 1e-9 <= LONGEST_BEAT):
            ticks, end = self._ticks, time.monotonic() + 2 * LONGEST_BEAT
            while self._ticks == ticks and time.monotonic() < end:
                time.sleep(max(0.0, min(self._trigger.time_left(), LONGEST_BEAT)))
                self.keep_up()
            return self._ticks != ticks and self.log.last is not None and (
                Reason.INTERNAL_ERROR not in self.log.last.reason)
        self._take_back()
        self.commander.stop_for_operator(loop, _STOPPED)
        return True

    def resume(self) -> str:
        """
        Let the robot go on after :meth:`hold`.

        :return: Message about the result.
        :raises NotStoppedError: If it was not stopped.
        """
        if not self.loop.controller.operator.is_stopped:
            raise NotStoppedError('the robot is not stopped; there is nothing to resume')
        self.loop.controller.operator.resume()
        return 'continues with a new plan'

    def transfer_to(self, loop: ControlLoop) -> None:
        """
        Go on with another loop from the next tick on.

        :param loop: A control loop for the same robot; if its controller is the running one, the
            decisions do not change.
        """
        old = self.loop
        if loop.controller is old.controller:
            self.loop = loop
            return
        # If it cannot take over, the running one continues.
        loop.controller.transfer_from(old.controller)
        self.loop = loop
        self.input_log.note_transfer(loop.settings.noise_seed)
        if self.is_active and loop.tick != old.tick:
            self._count_anew()
            if self._trigger.time_left() > 0:
                # The time without a sign of life may be shorter now. A tick that is overdue stays
                # so, however often the rate changes.
                self._beat()
            # The last command is for a tick of the old length: the robot is on its way for as
            # long, and is not to go on for longer.
            self._trigger.go_on(loop)
        for listener in self.listeners:
            listener.on_transfer(loop)

    def receive(self, name: str, sample: Sample) -> None:
        """Receive a sample of a source, which may trigger a tick."""
        if self.people is not None and name not in self.loop.robot.sources:
            if self.is_active:
                self.people.add(name, sample)
            return
        if not self.is_active:
            if sample.lasts:
                # It is sent once, and valid until it is replaced.
                self.store.add(name, sample)
            return
        self._trigger.receive(self.loop, self.store.add(name, sample), self.store)

    def tick(self, now: int, samples: Mapping[str, Sample]) -> None:
        """
        Decide and send, and only then do all work that is not urgent.

        :param now: Time in ns, on the clock of the samples.
        :param samples: Newest samples by source.
        """
        begin = self._watchdog.beat = time.monotonic()
        if not self.commander.may_command():
            return
        loop = self.loop
        if self.people is not None and self.people.samples:
            samples = self._with_person(now, samples, self.people)
        is_stopped, failed = loop.controller.operator.is_stopped, Failed.DECIDING
        last = loop.controller.limiter.last
        # At rest, or still being stopped by the watchdog.
        before = loop.controller.copy_limiter() if self._watchdog.has_fired else None
        try:
            decision = loop.controller.step(now, samples)
            failed, done = Failed.SENDING, Failed.NOTHING
            if self._watchdog.has_fired:
                failed = done = Failed.OVERDUE
                limiter, text = self._watchdog.hand_back()
                decision = loop.controller.overdue(limiter or before, text)
            self.commander.send(loop, decision, now)
            failed = done
        except Exception as error:  # a defect must stop the robot, never leave it moving
            if self._watchdog.has_fired:
                failed = Failed.OVERDUE
                loop.controller.go_on_from(self._watchdog.hand_back()[0] or before)
            elif failed is Failed.SENDING:
                failed = _assume_unsent(loop, last, error)
            decision = loop.controller.fail(
                error.error if isinstance(error, NotSentError) else error)
            self.commander.try_to_send(loop, decision, now)
        self._last_sent = time.monotonic()
        self._trigger.keep(loop, decision)
        try:
            time_of_tick = now * 1e-9 if self._trigger.is_simulated else begin
            self.statistics.tick(time_of_tick, self._trigger.deadline)
            self.statistics.add(decision.inference, decision.observation_age)
            self.log.add(decision)
            self._ticks += 1
            tick = Tick(
                self._ticks, now, decision, samples,
                self.input_log.step(loop.policy.sha256, is_stopped, failed),
                self._trigger.time_left)
            for listener in self.listeners:
                listener.on_tick(tick)
            loop.controller.planner.prepare()
            for listener in self.listeners:
                listener.on_idle(tick)
            GARBAGE.after_tick(self._trigger.time_left)
        finally:
            if decision.response is Response.DEACTIVATE:
                self._deactivate()

    def keep_up(self) -> None:
        """
        Tick if it is time, before something else that may come many times in a row.

        See :meth:`dfp_ros.node.loop.tick_timer.TickTimer.keep_up`.
        """
        self._trigger.keep_up()

    @property
    def _is_on_wall_time(self) -> bool:
        """Return whether ticks come by themselves, at deadlines by the wall's clock."""
        return self._trigger.is_timed and not self._trigger.is_simulated

    def _reset_controller(self) -> None:
        """Have the controller begin as new."""
        seed = self.loop.settings.noise_seed
        self._watchdog.hand_back()
        self.commander.publishers.begin_episode()
        self.episodes += 1
        self.loop.controller.reset(seed)
        self.input_log.reset(seed)

    def _take_back(self) -> None:
        """Go on from the watchdog's stops: two threads would send the robot to and fro."""
        self._go_on_from(self._watchdog.rest())

    def _go_on_from(self, limiter: CommandLimiter | None) -> None:
        """Go on from the watchdog's stops, if there are any; the last may be from just now."""
        if limiter is not None:
            self.loop.controller.go_on_from(limiter)
            self._last_sent = time.monotonic()

    def _stop_robot(self) -> bool:
        """Stop the robot; tell whether that took a while."""
        since = self._last_sent if self._is_on_wall_time else None
        return stop_robot(self.loop, self.commander, since, self._node.get_logger())

    def _begin_ticks(self) -> None:
        """Begin to tick at the rate that is set, and to count."""
        self._count_anew()
        self._start_trigger()

    def _count_anew(self) -> None:
        """Begin to count, at the rate that is set."""
        self.statistics = LoopStatistics(
            self.loop.tick * 1e-9 if self._trigger.is_timed else None)

    def _start_trigger(self) -> None:
        """Have ticks come, the first after one period."""
        self._trigger.stop()
        self._take_back()
        self._watchdog.start(self.is_timed and not bool(
            self._node.get_parameter('use_sim_time').value))
        self._trigger.start(self.loop)

    def _stand_still(self, text: str) -> None:
        """Hold a robot without ticks: its time stands still, or its samples stay away."""
        if self.is_active:
            self._take_back()
            self.commander.hold_at_standstill(self.loop, text)

    def _watch_sources(self) -> None:
        """Hold a robot whose sources fail between two slow ticks."""
        self._beat()
        last = self.log.last
        if not self.is_active or last is None or last.state is not State.RUNNING:
            return
        now, robot = self._time.now(), self.loop.robot
        sources, samples = list(robot.sources.values()), self.store.at(now)
        if last.commander is Commanding.PERSON and robot.takeover is not None:
            needed = robot.takeover.needs
            sources = [
                source for name, source in robot.every_source.items()
                if name in needed or name in robot.takeover.sources]
            samples = self._with_person(now, samples, self.people)
        reason, text = check_sources(now, sources, samples)
        if reason:
            self._take_back()
            self.commander.hold(self.loop, reason, text)

    def _with_person(
            self, now: int, samples: Mapping[str, Sample],
            people: SampleStore | None) -> Mapping[str, Sample]:
        """Add the newest samples of a person."""
        found = {} if people is None else people.samples
        if self.loop.is_lockstep:
            # The robot's time stands still between ticks, a person's does not.
            ahead = self._time.now() - now
            found = {
                name: sample.arriving(sample.received - ahead)
                for name, sample in found.items()}
        return {**samples, **found}

    def _beat(self) -> None:
        """Send a heartbeat to the watchdog."""
        self._watchdog.beat = max(self._watchdog.beat, time.monotonic())

    def _tick_now(self) -> None:
        """Tick, with the samples that have arrived."""
        if not self.is_active:
            return
        now = self._time.now()
        if self.people is not None:
            self.people.pass_time(now)
        if self.store.pass_time(now):
            self._node.get_logger().warning(
                'the clock was set back; only samples that arrive from now on count',
                throttle_duration_sec=1.0)
        self.tick(now, self.store.at(now))


def _assume_unsent(loop: ControlLoop, last: list[float] | None, error: Exception) -> Failed:
    """
    Have the limiter go on from the command that the robot has: it would jump to a later one.

    :param loop: The control loop whose decision was not sent.
    :param last: The command before.
    :param error: Why it was not sent.
    :return: Whether any topic got it.
    """
    size = loop.policy.spec.action_size
    places = error.places if isinstance(error, NotSentError) else range(size)
    loop.controller.limiter.return_to(last, places)
    return Failed.PARTLY_SENT if len(places) < size else Failed.UNSENT
