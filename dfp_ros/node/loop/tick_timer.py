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
"""Tick timer: ticks at absolute deadlines."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.node.loop.standstill import StandstillMonitor

_WATCH_PERIOD = 0.1  # s
# Of a time in s since 1970, and above.
_ROUNDING = 1e-5
# Most of a period between two readings that count as one instant, and most tries at that.
_INSTANT, _TRIES = 0.1, 10
# Time until a tick that is due at once, in ns.
_SOON = 1000


class TickTimer:
    """
    Triggers ticks at absolute deadlines; missed deadlines are skipped.

    :param node: The node, for its timers and its simulated time.
    :param tick: Called at each deadline.
    :param stand_still: Called with a description of the fault if simulated time stands still.

    :ivar is_simulated: Whether deadlines are on simulated time.
    :ivar watched: Called ten times a second if time is simulated.
    :ivar deadline: Of the last tick, in s on the clock of the deadlines; None before the first.
    """

    def __init__(
            self, node: Node, tick: Callable[[], None],
            stand_still: Callable[[str], None]) -> None:
        """Wait to be started."""
        self.is_simulated = False
        self.deadline: float | None = None
        self._node = node
        self._tick = tick
        self._stand_still = stand_still
        self.watched: Callable[[], None] = _nothing
        self._timer: Any = None
        # Checks whether simulated time advances.
        self._watch_timer: Any = None
        self._standstill = StandstillMonitor()
        self._period = self._early = 0.0

    def start(self, period: int, early: int = 0, first: int | None = None) -> None:
        """
        Call for ticks.

        :param period: Time between two in ns.
        :param early: How long before a deadline to wake up, and watch the clock for the rest, in
            ns; at most a tenth of a period, and not in simulated time.
        :param first: Time until the first in ns; None for one period.
        """
        self.stop()
        self._period = period * 1e-9
        # A steady clock cannot be set; simulated time has to be followed, but may stand still for
        # the samples that come with it.
        self.is_simulated = bool(self._node.get_parameter('use_sim_time').value)
        if self.is_simulated:
            self._standstill.start(self._node.get_clock().now().nanoseconds)
            self._watch_timer = self._node.create_timer(
                _WATCH_PERIOD, self._watch_clock, clock=Clock(clock_type=ClockType.STEADY_TIME))
        early = 0 if self.is_simulated else min(early, period // 10)
        self._early = early * 1e-9
        # The first call is so much sooner; all others follow a period apart.
        self._create(max(_SOON, (period if first is None else first) - early))

    def stop(self) -> None:
        """Stop the ticks."""
        for timer in (self._timer, self._watch_timer):
            if timer is not None:
                self._node.destroy_timer(timer)
        self._timer = self._watch_timer = None
        self.deadline = None

    def keep_up(self) -> None:
        """
        Tick if a tick is due, before callbacks that may occur many times in a row.

        The executor takes all that waits of one kind before it looks at its timers: hundreds of
        new parameters would keep a robot on its way without a decision. If time is simulated,
        it waits with them.
        """
        if self._timer is None or self.is_simulated:
            return
        now, left = self._read()
        late = -left
        if late >= 0:
            # The timer's next call is the first deadline at which it was not called.
            self._serve(now - late % self._period)

    def time_left(self) -> float:
        """Measure the seconds until the next deadline; infinity while there is none."""
        if self._timer is None:
            return math.inf
        return float(self._timer.time_until_next_call() * 1e-9) + self._early

    def until_tick(self) -> float:
        """
        Measure the seconds until the next tick; 0 if it is late, infinity while there is none.

        A deadline for which :meth:`keep_up` has ticked is over, though the timer was not called.
        """
        now, left = self._read()
        late = -left
        if late >= 0 and self.deadline is not None:
            late %= self._period
            if abs(now - late - self.deadline) <= 0.5 * self._period:
                return self._period - late
        return max(0.0, left)

    def _read(self) -> tuple[float, float]:
        """
        Read the time and the time left, both in s, at one instant.

        A process that is kept from running between the two would take the deadline for a later
        or an earlier one, and serve it twice.
        """
        for _ in range(_TRIES):
            before, left, now = self._now(), self.time_left(), self._now()
            if abs(now - before) <= _INSTANT * self._period:
                break
        return now, left

    def _now(self) -> float:
        """Return the time in s, on the clock of the deadlines."""
        if self.is_simulated:
            return float(self._node.get_clock().now().nanoseconds * 1e-9)
        return time.monotonic()

    def _create(self, first: int) -> None:
        """Create the timer, with its first call so many ns from now."""
        clock = self._node.get_clock() if self.is_simulated else (
            Clock(clock_type=ClockType.STEADY_TIME))
        period = round(self._period * 1e9)
        self._timer = self._node.create_timer(first * 1e-9, self._call, clock=clock)
        if first != period:
            self._timer.timer_period_ns = period

    def _call(self) -> None:
        """Tick at a deadline, unless that was done while the timer had to wait."""
        now, left = self._read()
        deadline = now + left - self._period
        if self.is_simulated and deadline - now > _ROUNDING:
            # The events executor calls a timer twice if time is set twice before its turn; the
            # second call is for the next deadline.
            self._node.destroy_timer(self._timer)
            self._create(round((deadline - now) * 1e9))
            return
        if self._early:
            while time.monotonic() < deadline:
                pass
        self._serve(deadline)

    def _serve(self, deadline: float) -> None:
        """Tick once for a deadline; if the clock was set back, all deadlines start anew."""
        if self.deadline is None or abs(deadline - self.deadline) > 0.5 * self._period:
            self.deadline = deadline
            if self.is_simulated:
                self._standstill.start(self._node.get_clock().now().nanoseconds)
            self._tick()

    def _watch_clock(self) -> None:
        """Check whether simulated time advances."""
        self.watched()
        text = self._standstill.find(self._node.get_clock().now().nanoseconds)
        if text:
            self._stand_still(text)


def _nothing() -> None:
    """Do nothing."""
