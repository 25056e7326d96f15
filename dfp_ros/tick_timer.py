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
"""What makes ticks come, and the deadlines that they come at."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.silence import StandstillWatch

_WATCH_PERIOD = 0.1  # s


class TickTimer:
    """
    Calls for ticks at absolute deadlines, which are dropped when they are missed.

    :param node: Creates the timers, and has the clock where time is simulated.
    :param tick: Called at each deadline.
    :param stand_still: Called with what is the matter where simulated time stands still.

    :ivar is_simulated: Whether deadlines are on simulated time.
    """

    def __init__(
            self, node: Node, tick: Callable[[], None],
            stand_still: Callable[[str], None]) -> None:
        """Wait to be started."""
        self.is_simulated = False
        self._node = node
        self._tick = tick
        self._stand_still = stand_still
        self._timer: Any = None
        # Where time is simulated, sees whether it goes on.
        self._watch_timer: Any = None
        self._standstill = StandstillWatch()
        self._period = 0.0
        self._last = 0.0
        self._has_kept_up = False

    def start(self, period: int) -> None:
        """
        Call for ticks, the first after one period.

        :param period: Time between two in ns.
        """
        self.stop()
        self._period = period * 1e-9
        self._last = time.monotonic()
        # A steady clock cannot be set; simulated time has to be followed, but may stand still for
        # the samples that come with it.
        self.is_simulated = bool(self._node.get_parameter('use_sim_time').value)
        clock = steady = Clock(clock_type=ClockType.STEADY_TIME)
        if self.is_simulated:
            clock = self._node.get_clock()
            self._standstill.start(clock.now().nanoseconds)
            self._watch_timer = self._node.create_timer(
                _WATCH_PERIOD, self._watch_clock, clock=steady)
        self._timer = self._node.create_timer(self._period, self._call, clock=clock)

    def stop(self) -> None:
        """Call for no more."""
        for timer in (self._timer, self._watch_timer):
            if timer is not None:
                self._node.destroy_timer(timer)
        self._timer = self._watch_timer = None
        self._has_kept_up = False

    def keep_up(self) -> None:
        """
        Tick if it is time, before something else that may come many times in a row.

        The executor takes all that waits of one kind before it looks at its timers: hundreds of
        new parameters would keep a robot on its way without a decision. Where time is simulated,
        it waits with them.
        """
        if self._timer is None or self.is_simulated:
            return
        if time.monotonic() - self._last >= self._period:
            self._has_kept_up = True
            self._tick_now()

    def time_left(self) -> float:
        """Measure the seconds until the next deadline; infinity while there is none."""
        if self._timer is None:
            return math.inf
        return float(self._timer.time_until_next_call() * 1e-9)

    def deadline(self, now: float) -> float | None:
        """
        Find the deadline of the tick that is done just now; None while there is none.

        :param now: Time when it began in s, on the clock of the deadlines.
        """
        if self._timer is None:
            return None
        upcoming = self.time_left() + (now if self.is_simulated else time.monotonic())
        if not self._has_kept_up:
            return upcoming - self._period
        # The timer was not called yet, so that what it names is this one or one before.
        passed = max(0, math.floor((now - upcoming) / self._period))
        return upcoming + passed * self._period

    def _call(self) -> None:
        """Tick at a deadline, unless that was done while the timer had to wait."""
        had_kept_up, self._has_kept_up = self._has_kept_up, False
        if not (had_kept_up and time.monotonic() - self._last < 0.5 * self._period):
            self._tick_now()

    def _tick_now(self) -> None:
        """Tick, and remember when."""
        self._last = time.monotonic()
        self._tick()

    def _watch_clock(self) -> None:
        """See whether simulated time goes on."""
        text = self._standstill.find(self._node.get_clock().now().nanoseconds)
        if text:
            self._stand_still(text)
