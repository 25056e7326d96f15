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
"""Watchdog: stops the robot from a separate thread when a decision is overdue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import threading
import time
from typing import Any

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.text.errors import explain
from dfp_ros.node.commanding.commander import Commander
from dfp_ros.node.loading.control_loop import ControlLoop, make_writers
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING
from dfp_ros.spec import PolicySpec

#: Longest period between two heartbeats of the control thread, in s, even for slow ticks.
LONGEST_BEAT = 0.05
# Longest time in s between two claims of the robot, for which no command may be due.
_LONGEST_PAUSE = 0.1
#: Shortest timeout in s; a machine without real-time priority stalls for this long occasionally.
SHORTEST_LIMIT = 0.1
#: Shortest timeout in s, if ticks are not due by the wall clock.
SHORTEST_LIMIT_UNTIMED = 0.5


def overdue_limit(loop: ControlLoop, is_timed: bool) -> float:
    """
    Return the timeout without a heartbeat after which the robot is stopped, in s.

    :param loop: The control loop.
    :param is_timed: Whether ticks are due by the wall clock.
    """
    tick, settings = loop.tick * 1e-9, loop.settings
    limit = max(
        SHORTEST_LIMIT, settings.safety.overdue * min(tick, LONGEST_BEAT),
        # Inference of a slow policy may take most of a tick.
        min(1.0, settings.latency_share) * tick)
    return limit if is_timed else max(limit, SHORTEST_LIMIT_UNTIMED)


class Watchdog:
    """
    Sends stops from a separate thread while the control thread has no heartbeat.

    An inference that does not end, a full pipe behind the log, or a callback that hangs would
    block the control thread, and the robot would keep its last velocity. The stops come from a
    copy of the limiter, within its limits, and are sent once in each tick until the control thread
    takes over again with :meth:`hand_back`, or with :meth:`rest` for a stop of its own. The thread
    claims the robot meanwhile, too, so that no other node takes it over from one that decides
    slowly, or whose control thread hangs.

    :param commander: Sends the stops.
    :param loop: Gives the control loop.
    :param logger: Hears of it.

    :ivar beat: Last heartbeat of the control thread, which sets it, by the monotonic clock in s.
    :ivar has_fired: Whether the robot is being stopped.
    """

    def __init__(
            self, commander: Commander, loop: Callable[[], ControlLoop],
            logger: Any) -> None:
        """Wait to be started."""
        self.beat = 0.0
        self.has_fired = False
        self._commander = commander
        self._loop = loop
        self._logger = logger
        self._lock = threading.Lock()
        self._limiter: CommandLimiter | None = None
        self._since = 0.0
        self._ended: threading.Event | None = None
        self._is_timed = True
        # Separate writers: those of the loop may be in the middle of a message.
        self._writers: tuple[CommandWriter, ...] = ()
        self._written_for: tuple[RobotDescription, PolicySpec, int] | None = None

    def start(self, is_timed: bool) -> None:
        """
        Start watching.

        :param is_timed: Whether ticks are due by the wall clock.
        """
        self._end()
        self._is_timed = is_timed
        self.beat = time.monotonic()
        self._ended = threading.Event()
        threading.Thread(
            target=self._watch, args=(self._ended,), name='watchdog', daemon=True).start()

    def stop(self) -> CommandLimiter | None:
        """
        Stop watching.

        :return: As :meth:`hand_back`.
        """
        self._end()
        return self.hand_back()[0]

    def wait(self, seconds: float) -> None:
        """Allow the control thread to do something else for some time."""
        self.beat = time.monotonic() + seconds

    def rest(self) -> CommandLimiter | None:
        """
        Send no more stops before the next timeout, as the control thread is about to send one.

        The next decision is overdue all the same, and calls :meth:`hand_back`.

        :return: Limiter of the stops that were sent, None if none was.
        """
        with self._lock:
            limiter, self._limiter = self._limiter, None
            return limiter

    def hand_back(self) -> tuple[CommandLimiter | None, str]:
        """
        Return control to the control thread.

        :return: Limiter of the stops that were sent, None if none was; and a description of the
            event.
        """
        with self._lock:
            limiter, self._limiter = self._limiter, None
            self.has_fired = False
            return limiter, (
                f'no decision came for {time.monotonic() - self._since:.2f} s, so the watchdog '
                'stopped the robot')

    def _end(self) -> None:
        """End the thread."""
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def _watch(self, ended: threading.Event) -> None:
        """Stop the robot whenever a heartbeat is overdue."""
        SCHEDULING.step_ahead()
        while not ended.is_set():
            try:
                self._watch_once(ended)
            except Exception as error:  # a defect must not end the watch
                threading.Thread(
                    target=self._logger.error, args=(
                        f'the watchdog failed, and continues: {explain(error)}',),
                    name='watchdog log', daemon=True).start()
                ended.wait(LONGEST_BEAT)

    def _watch_once(self, ended: threading.Event) -> None:
        """Wait until a heartbeat is due; stop the robot if there is none."""
        loop = self._loop()
        if self._written_for is None or self._written_for[0] is not loop.robot or (
                self._written_for[1] is not loop.policy.spec) or (
                    self._written_for[2] != loop.tick):
            self._writers = make_writers(loop.robot, loop.policy.spec, loop.tick)
            self._written_for = loop.robot, loop.policy.spec, loop.tick
        if not self._may_command():
            ended.wait(LONGEST_BEAT)
            return
        left = self.beat + overdue_limit(loop, self._is_timed) - time.monotonic()
        if left > 0:
            ended.wait(min(left, _LONGEST_PAUSE))
        else:
            self._stop_robot(ended, loop)
            ended.wait(LONGEST_BEAT)

    def _may_command(self) -> bool:
        """
        Return whether this node may command the robot; while it may not, nothing is overdue.

        Once it may again, it begins anew, from where the robot is by then.
        """
        if self._commander.may_command():
            return True
        self.beat = max(self.beat, time.monotonic())
        return False

    def _stop_robot(self, ended: threading.Event, loop: ControlLoop) -> None:
        """Send stops, a tick apart, until the control thread takes over."""
        loop = replace(loop, writers=self._writers)
        with self._lock:
            self._limiter = None if ended.is_set() else loop.controller.copy_limiter()
            if self._limiter is None:
                # Nothing was commanded yet.
                return
            self._since = self.beat
            self.has_fired = True
        told, is_soon = False, loop.tick * 1e-9 <= LONGEST_BEAT
        while True:
            with self._lock:
                limiter = self._limiter
                if limiter is None or ended.is_set():
                    return
                if not self._may_command():
                    self._limiter = None
                    return
                self._commander.stop_overdue(loop, limiter, is_soon)
            if not told:
                told = True
                # The log itself may hang.
                threading.Thread(target=self._tell, name='watchdog log', daemon=True).start()
            ended.wait(min(loop.tick * 1e-9, LONGEST_BEAT))

    def _tell(self) -> None:
        """Log the event."""
        self._logger.error(
            f'no decision came for {time.monotonic() - self._since:.2f} s, which is overdue: the '
            'watchdog stops the robot until the thread that decides continues')
