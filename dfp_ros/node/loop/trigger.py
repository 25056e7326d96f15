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
"""Trigger of ticks: a timer, or the samples of a robot that waits for each command."""

from __future__ import annotations

from typing import Protocol

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.observation.sample_store import Instant, SampleStore
from dfp_ros.node.loading.control_loop import ControlLoop


class Trigger(Protocol):
    """Calls for ticks, on the thread that spins the node."""

    @property
    def is_timed(self) -> bool:
        """Return whether ticks come by themselves, at deadlines."""

    @property
    def is_simulated(self) -> bool:
        """Return whether deadlines are on simulated time, since the last start."""

    @property
    def deadline(self) -> float | None:
        """Return that of the last tick, in s on the clock of the deadlines; None without one."""

    def reset(self) -> None:
        """Begin an episode, or stop the robot: earlier answers no longer count."""

    def start(self, loop: ControlLoop) -> None:
        """
        Call for ticks; a timer does after one period.

        :param loop: The control loop; it gives the period.
        """

    def go_on(self, loop: ControlLoop) -> None:
        """
        Go on with another period; a timer's next tick comes when it would have come without that.

        :param loop: The control loop; it gives the period.
        """

    def stop(self) -> None:
        """Call for no more."""

    def receive(self, loop: ControlLoop, instant: Instant, store: SampleStore) -> None:
        """
        Hear of a sample that has arrived.

        :param loop: The control loop that runs.
        :param instant: The set of samples that it belongs to.
        :param store: Has it.
        """

    def keep(self, loop: ControlLoop, decision: Decision) -> None:
        """Receive the decision of a tick, and the loop whose writers can serialise it."""

    def keep_up(self) -> None:
        """Tick if it is time, before something else that may come many times in a row."""

    def time_left(self) -> float:
        """Measure the seconds until the next deadline; infinity while there is none."""
