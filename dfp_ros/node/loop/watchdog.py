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
"""A watchdog that stops the robot when a decision is overdue, whatever keeps the node from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import threading
import time
from typing import Any

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.text.errors import explain
from dfp_ros.node.loop.commanding import Commander
from dfp_ros.node.loop.control_loop import ControlLoop, make_writers
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING
from dfp_ros.spec import PolicySpec

#: Longest time between two signs of life of the thread that ticks, in s, however slow the policy.
LONGEST_BEAT = 0.05
#: A machine without real-time priority stalls for so long now and then, in s.
SHORTEST_LIMIT = 0.1
#: Where no tick is due by the wall's clock, in s.
SHORTEST_LIMIT_UNTIMED = 0.5


def overdue_limit(loop: ControlLoop, is_timed: bool) -> float:
    """
    Return after how long without a sign of life the robot is stopped, in s.

    :param loop: The control loop.
    :param is_timed: Whether ticks are due by the wall's clock.
    """
    tick, settings = loop.tick * 1e-9, loop.settings
    limit = max(
        SHORTEST_LIMIT, settings.safety.overdue * min(tick, LONGEST_BEAT),
        # A slow policy may take its time to answer.
        min(1.0, settings.latency_share) * tick)
    return limit if is_timed else max(limit, SHORTEST_LIMIT_UNTIMED)


class Watchdog:
    """
    Sends stops in a thread of its own while the thread that ticks gives no sign of life.

    An inference that does not end, a full pipe behind the log, a callback that hangs: all keep
    that thread from deciding, and a robot that got a velocity keeps it. What is sent comes from a
    copy of the limiter, within its limits, and is sent once a tick until the thread takes over
    again with :meth:`hand_back`.

    :param commander: Sends the stops.
    :param loop: Gives the control loop.
    :param logger: Hears of it.

    :ivar beat: When the thread that ticks gave its last sign of life, by the monotonic clock in s;
        it sets this.
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
        # Writers of its own: those of the loop may be in the middle of a message.
        self._writers: tuple[CommandWriter, ...] = ()
        self._written_for: tuple[RobotDescription, PolicySpec] | None = None

    def start(self, is_timed: bool) -> None:
        """
        Begin to watch.

        :param is_timed: Whether ticks are due by the wall's clock.
        """
        self.stop()
        self._is_timed = is_timed
        self.beat = time.monotonic()
        self._ended = threading.Event()
        threading.Thread(
            target=self._watch, args=(self._ended,), name='watchdog', daemon=True).start()

    def stop(self) -> CommandLimiter | None:
        """
        Watch no more.

        :return: As :meth:`hand_back`.
        """
        if self._ended is not None:
            self._ended.set()
            self._ended = None
        return self.hand_back()[0]

    def wait(self, seconds: float) -> None:
        """Let the thread that ticks do something else for so long."""
        self.beat = time.monotonic() + seconds

    def hand_back(self) -> tuple[CommandLimiter | None, str]:
        """
        Let the thread that ticks decide again.

        :return: What has limited the stops that were sent, None where none was; and what happened,
            for people.
        """
        with self._lock:
            limiter, self._limiter = self._limiter, None
            self.has_fired = False
            return limiter, (
                f'no decision came for {time.monotonic() - self._since:.2f} s, so the watchdog '
                'stopped the robot')

    def _watch(self, ended: threading.Event) -> None:
        """Stop the robot whenever there is no sign of life."""
        SCHEDULING.step_ahead()
        while not ended.is_set():
            try:
                self._watch_once(ended)
            except Exception as error:  # a defect must not end the watch
                threading.Thread(
                    target=self._logger.error, args=(
                        f'the watchdog failed, and goes on: {explain(error)}',),
                    name='watchdog log', daemon=True).start()
                ended.wait(LONGEST_BEAT)

    def _watch_once(self, ended: threading.Event) -> None:
        """Wait until a sign of life is due; stop the robot where there is none."""
        loop = self._loop()
        if self._written_for is None or self._written_for[0] is not loop.robot or (
                self._written_for[1] is not loop.policy.spec):
            self._writers = make_writers(loop.robot, loop.policy.spec)
            self._written_for = loop.robot, loop.policy.spec
        left = self.beat + overdue_limit(loop, self._is_timed) - time.monotonic()
        if left > 0:
            ended.wait(left)
        else:
            self._stop_robot(ended, loop)
            ended.wait(LONGEST_BEAT)

    def _stop_robot(self, ended: threading.Event, loop: ControlLoop) -> None:
        """Send stops, a tick apart, until the thread that ticks takes over."""
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
                self._commander.stop_overdue(loop, limiter, is_soon)
            if not told:
                told = True
                # The log may be what hangs.
                threading.Thread(target=self._tell, name='watchdog log', daemon=True).start()
            ended.wait(min(loop.tick * 1e-9, LONGEST_BEAT))

    def _tell(self) -> None:
        """Say what happened."""
        self._logger.error(
            f'no decision came for {time.monotonic() - self._since:.2f} s, which is overdue: the '
            'watchdog stops the robot until the thread that decides goes on')
