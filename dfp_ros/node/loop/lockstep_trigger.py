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
"""Lockstep: ticks triggered by the samples of a robot that waits for each command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import Instant, SampleStore
from dfp_ros.node.commanding.commander import Commander
from dfp_ros.node.commanding.watchdog import LONGEST_BEAT
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.standstill import TIMEOUT


class LockstepTrigger:
    """
    A :class:`dfp_ros.node.loop.trigger.Trigger` with one tick for each instant.

    If its answer got lost, it is sent again. Decisions before a stop are never sent after
    it: an instant that comes again then is decided anew.

    :param node: Creates the timer that sees whether samples come.
    :param commander: Sends an answer again.
    :param tick: Decides and sends, at a time in ns, on samples by source.
    :param stand_still: Called with the fault, for people, while no instant is complete.
    :param beat: Called again and again between ticks.
    :param missing: Gives the sources that were not seen yet.
    :param is_overdue: Returns whether the watchdog has stopped the robot since the last decision.
    """

    is_timed = False
    is_simulated = False
    deadline: float | None = None

    def __init__(
            self, node: Node, commander: Commander,
            tick: Callable[[int, Mapping[str, Sample]], None],
            stand_still: Callable[[str], None], beat: Callable[[], None],
            missing: Callable[[], list[str]],
            is_overdue: Callable[[], bool]) -> None:
        """Wait to be started."""
        self._node = node
        self._commander = commander
        self._tick = tick
        self._stand_still = stand_still
        self._beat = beat
        self._missing = missing
        self._is_overdue = is_overdue
        self._watch_timer: Any = None
        self._last_tick = 0.0
        # The last decision, and the loop whose writers can convert it to messages.
        self._answer: tuple[ControlLoop, Decision] | None = None

    def reset(self) -> None:
        """Begin an episode, or stop the robot: nothing was answered since."""
        self._last_tick = time.monotonic()
        self._answer = None

    def start(self, loop: ControlLoop) -> None:
        """
        Watch whether samples come; each complete instant is a tick from now on.

        :param loop: The control loop.
        """
        self.stop()
        self._watch_timer = self._node.create_timer(
            min(loop.tick * 1e-9, LONGEST_BEAT), self._watch,
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def go_on(self, loop: ControlLoop) -> None:
        """Watch on, at the rate of another loop; the robot waits for its answer all the same."""
        self.start(loop)

    def stop(self) -> None:
        """Watch no more."""
        if self._watch_timer is not None:
            self._node.destroy_timer(self._watch_timer)
            self._watch_timer = None

    def keep(self, loop: ControlLoop, decision: Decision) -> None:
        """Store the decision of a tick, in case it has to be resent."""
        self._answer = loop, decision

    def keep_up(self) -> None:
        """Do nothing: no tick is due before its samples are here."""

    def time_left(self) -> float:
        """Return infinity: the time of the next instant is unknown."""
        return math.inf

    def receive(self, loop: ControlLoop, instant: Instant, store: SampleStore) -> None:
        """
        Tick when a set of samples with one stamp is complete.

        If the set is resent, its command got lost: it is resent, without a new decision, unless
        the robot was stopped or resumed meanwhile, which makes that command obsolete.

        :param loop: The control loop that runs.
        :param instant: The set of samples that the new one belongs to.
        :param store: Has its time, and the newest samples.
        """
        if instant is Instant.INCOMPLETE:
            return
        stamp = store.instant
        self._last_tick = time.monotonic()
        answer = (
            self._answer if instant is Instant.REPEATED and not self._is_overdue() else None)
        if answer is not None and (
                answer[1].state is State.STOPPED) == loop.controller.operator.is_stopped:
            self._commander.try_to_send(*answer, stamp)
        else:
            self._answer = None
            # The robot's time stands still here while it waits for the command.
            self._tick(stamp, {
                name: sample.arriving(stamp) for name, sample in store.samples.items()})

    def _watch(self) -> None:
        """Have a robot held whose samples stay away."""
        self._beat()
        silent = time.monotonic() - self._last_tick
        if silent < TIMEOUT:
            return
        text = f'no complete set of samples with one stamp for {silent:.1f} s'
        if missing := self._missing():
            text += f'; no message from {", ".join(missing)}'
        self._stand_still(text)
        self._answer = None
