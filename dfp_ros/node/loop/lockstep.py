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
"""Ticks that follow the samples of a robot that waits for the answer to each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import Instant
from dfp_ros.node.loop.commanding import Commander
from dfp_ros.node.loop.control_loop import ControlLoop
from dfp_ros.node.loop.standstill import TIMEOUT


class Lockstep:
    """
    One tick for each instant; its answer is sent again where it got lost.

    What was decided before a stop is never sent after it: an instant that comes again then is
    decided anew.

    :param commander: Sends an answer again, and holds the robot.
    :param tick: Decides and sends, at a time in ns, on samples by source.
    """

    def __init__(
            self, commander: Commander,
            tick: Callable[[int, Mapping[str, Sample]], None]) -> None:
        """Wait to be started."""
        self._commander = commander
        self._tick = tick
        self._last_tick = 0.0
        # What the last tick decided, with the loop whose writers can put it into messages.
        self._answer: tuple[ControlLoop, Decision] | None = None

    def start(self) -> None:
        """Begin an episode, in which nothing was answered yet."""
        self._last_tick = time.monotonic()
        self._answer = None

    def keep(self, loop: ControlLoop, decision: Decision) -> None:
        """Keep what a tick decided, should it have to be sent again."""
        self._answer = loop, decision

    def receive(
            self, loop: ControlLoop, instant: Instant, stamp: int, samples: Mapping[str, Sample],
    ) -> None:
        """
        Tick when the samples of an instant are complete.

        Where they come again, their answer got lost: it is sent again, and nothing is decided.
        Only where the robot was stopped since, or let go on, that answer is not true any more.

        :param loop: The control loop that runs.
        :param instant: What the sample that arrived completes.
        :param stamp: Its time in ns.
        :param samples: Newest samples by source.
        """
        if instant is Instant.INCOMPLETE:
            return
        self._last_tick = time.monotonic()
        answer = self._answer if instant is Instant.REPEATED else None
        if answer is not None and (
                answer[1].state is State.STOPPED) == loop.controller.operator.is_stopped:
            self._commander.try_to_send(*answer, stamp)
        else:
            # Time is the robot's here: it stands still while it waits for the command.
            self._tick(stamp, {
                name: sample.arriving(stamp) for name, sample in samples.items()})

    def watch(self, loop: ControlLoop, missing: list[str]) -> None:
        """
        Hold a robot whose samples stay away.

        :param loop: The control loop that runs.
        :param missing: The sources that were not seen yet.
        """
        silent = time.monotonic() - self._last_tick
        if silent < TIMEOUT:
            return
        text = f'no complete set of samples with one stamp for {silent:.1f} s'
        if missing:
            text += f'; no message from {", ".join(missing)}'
        self._commander.hold_at_standstill(loop, text)
        self._answer = None
