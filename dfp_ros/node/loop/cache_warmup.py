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
"""A step for nothing shortly before one that counts, so that all it needs is in the caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loop.control_loop import ControlLoop

# A rehearsal must be over this many times before the tick, so that it makes none late.
_MARGIN = 1.5


class CacheWarmup:
    """
    Has an understudy decide, on the samples that there are, before each tick that asks the policy.

    It is a controller of its own on the same policy: noise, plan and statistics of the one that
    counts know nothing of it, and commands are the same with it.

    :param node: Creates the timer, on the thread that ticks.
    :param loop: Gives the control loop that ticks work with.
    :param samples: Gives the newest samples.
    :param time_left: Gives the seconds until the next tick.
    """

    def __init__(
            self, node: Node, loop: Callable[[], ControlLoop],
            samples: Callable[[], Mapping[str, Sample]], time_left: Callable[[], float]) -> None:
        """Wait to be started."""
        self._node = node
        self._loop = loop
        self._samples = samples
        self._time_left = time_left
        self._timer: Any = None
        self._took = 0.0

    def start(self, lead: float) -> None:
        """
        Rehearse from now on; call it right after the timer of the ticks was made.

        :param lead: How long before a tick, in s, at most half of one; 0 for never.
        """
        self.stop()
        tick = self._loop().tick
        ahead = min(round(lead * 1e9), tick // 2)
        if ahead <= 0:
            return
        # The first call is so much sooner than the first tick; all others follow as ticks do.
        self._timer = self._node.create_timer(
            (tick - ahead) * 1e-9, self._rehearse, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.timer_period_ns = tick

    def stop(self) -> None:
        """Rehearse no more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _rehearse(self) -> None:
        """Rehearse, if the next tick asks the policy and there is time for one more step."""
        loop, left = self._loop(), self._time_left()
        if loop.warmup is None:
            return
        now = self._node.get_clock().now().nanoseconds
        planner = loop.controller.planner
        if left < _MARGIN * self._took or not planner.asks_at(now + round(left * 1e9)):
            # One that was slow once must not be the last.
            self._took *= 0.9
            return
        begin = time.perf_counter()
        with contextlib.suppress(Exception):  # the tick meets it too, and stops the robot
            loop.warmup.planner.drop()
            loop.warmup.step(now, self._samples())
        # One that found nothing to ask about says little of those that do.
        self._took = max(0.9 * self._took, time.perf_counter() - begin)
