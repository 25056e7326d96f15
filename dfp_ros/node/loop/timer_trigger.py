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
"""Timer trigger: ticks at absolute deadlines, with warm-up and work between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import Instant, SampleStore
from dfp_ros.node.commanding.watchdog import LONGEST_BEAT
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.cache_warmup import CacheWarmup
from dfp_ros.node.loop.tick_timer import TickTimer
from dfp_ros.spec_bounds import LONGEST_PERIOD


class TimerTrigger:
    """
    A :class:`dfp_ros.node.loop.trigger.Trigger` with a :class:`TickTimer`.

    :param node: Creates the timers.
    :param tick: Called at each deadline.
    :param stand_still: Called with the fault, for people, while simulated time stands still.
    :param beat: Called again and again between ticks of simulated time.
    :param check_sources: Called between ticks that are far apart.
    :param loop: Gives the control loop that runs.
    :param samples: Gives the newest samples.
    """

    is_timed = True

    def __init__(
            self, node: Node, tick: Callable[[], None], stand_still: Callable[[str], None],
            beat: Callable[[], None], check_sources: Callable[[], None],
            loop: Callable[[], ControlLoop],
            samples: Callable[[], Mapping[str, Sample]]) -> None:
        """Wait to be started."""
        self._node = node
        self._check_sources = check_sources
        self._timer = TickTimer(node, tick, stand_still)
        self._timer.watched = beat
        # Between slow ticks, sees whether the sources are still there.
        self._source_timer: Any = None
        self._warmup = CacheWarmup(node, loop, samples, self._timer.time_left)

    @property
    def is_simulated(self) -> bool:
        """Return whether deadlines are on simulated time, since the last start."""
        return self._timer.is_simulated

    @property
    def deadline(self) -> float | None:
        """Return that of the last tick, in s on the clock of the deadlines; None without one."""
        return self._timer.deadline

    def reset(self) -> None:
        """Begin an episode: nothing to do."""

    def start(self, loop: ControlLoop) -> None:
        """Call for ticks, the first after one period."""
        self._start(loop, loop.tick * 1e-9)

    def go_on(self, loop: ControlLoop) -> None:
        """Go on with another period from the next deadline on."""
        self._start(loop, min(self._timer.until_tick(), LONGEST_PERIOD))

    def _start(self, loop: ControlLoop, first: float) -> None:
        """
        Call for ticks.

        :param loop: The control loop.
        :param first: Time until the first, in s.
        """
        self.stop()
        settings = loop.settings.realtime
        self._timer.start(loop.tick, settings.early * 1000, round(first * 1e9))
        if max(first, loop.tick * 1e-9) > LONGEST_BEAT:
            self._source_timer = self._node.create_timer(
                LONGEST_BEAT, self._check_sources, clock=Clock(clock_type=ClockType.STEADY_TIME))
        if not self._timer.is_simulated:
            self._warmup.start(settings.rehearsal * 1e-6, first)

    def stop(self) -> None:
        """Call for no more."""
        self._warmup.stop()
        self._timer.stop()
        if self._source_timer is not None:
            self._node.destroy_timer(self._source_timer)
            self._source_timer = None

    def receive(self, loop: ControlLoop, instant: Instant, store: SampleStore) -> None:
        """Leave a sample to the next tick."""

    def keep(self, loop: ControlLoop, decision: Decision) -> None:
        """Keep nothing: no answer is sent twice."""

    def keep_up(self) -> None:
        """Tick if it is time; see :meth:`TickTimer.keep_up`."""
        self._timer.keep_up()

    def time_left(self) -> float:
        """Measure the seconds until the next deadline; infinity while there is none."""
        return self._timer.time_left()
