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
"""Cache warm-up: a dry-run step shortly before the real one, to warm the CPU caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import math
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loading.control_loop import ControlLoop

# Safety factor between the expected duration of a warm-up and the time left until the tick.
_MARGIN = 1.5


class CacheWarmup:
    """
    Runs a warm-up controller on the current samples before each tick with inference.

    It is a separate controller with the same policy, so noise, plan, statistics and commands of
    the running one do not depend on it.

    :param node: Creates the timer, on the thread that ticks.
    :param loop: Returns the running control loop.
    :param samples: Returns the newest samples.
    :param time_left: Returns the seconds until the next tick.
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

    def start(self, lead: float, first: float | None = None) -> None:
        """
        Start warming up; call it right after the timer of the ticks was made.

        :param lead: Time before a tick in s, at most half a tick; 0 for never.
        :param first: Time until the first tick in s; None for one period.
        """
        self.stop()
        tick = self._loop().tick
        ahead = min(round(lead * 1e9), tick // 2)
        if ahead <= 0:
            return
        # The first call is earlier than the first tick by the lead, or than the second, if that is
        # too soon; the others are periodic.
        wait = (tick * 1e-9 if first is None else first) - ahead * 1e-9
        self._timer = self._node.create_timer(
            wait if wait > 0 else wait + tick * 1e-9, self._warm_up,
            clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.timer_period_ns = tick

    def stop(self) -> None:
        """Stop warming up."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _warm_up(self) -> None:
        """Run a step, if the next tick has an inference and there is time for it."""
        loop, left = self._loop(), self._time_left()
        # A call that waited while the ticks were stopped has no tick to prepare.
        if loop.warmup is None or not math.isfinite(left):
            return
        now = self._node.get_clock().now().nanoseconds
        planner = loop.controller.planner
        if left < _MARGIN * self._took or not planner.asks_at(now + round(left * 1e9)):
            # A single slow step must not disable all further ones.
            self._took *= 0.9
            return
        begin = time.perf_counter()
        with contextlib.suppress(Exception):  # the tick has the same error, and stops the robot
            loop.warmup.planner.drop()
            loop.warmup.step(now, self._samples())
        # A step without inference must not reduce the estimate much.
        self._took = max(0.9 * self._took, time.perf_counter() - begin)
