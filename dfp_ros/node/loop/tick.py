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
"""A tick that is over, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.control.input_log import Entry
from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loop.control_loop import ControlLoop


@dataclass(frozen=True)
class Tick:
    """
    One pass of the control loop; its command was sent.

    :param number: Counts the ticks, from 1.
    :param now: Its time in ns, on the clock of the samples.
    :param decision: What was decided.
    :param samples: The newest samples by source, which it was decided from.
    :param entry: What entered the controller from outside since the tick before, for replays.
    :param time_left: Gives the seconds until the next tick.
    """

    number: int
    now: int
    decision: Decision
    samples: Mapping[str, Sample]
    entry: Entry
    time_left: Callable[[], float]


class TickListener(Protocol):
    """Is told of ticks, on the thread that ticks."""

    def on_tick(self, tick: Tick) -> None:
        """Take note of a tick, right after its command."""

    def on_idle(self, tick: Tick) -> None:
        """Do what takes time, when there is most of it until the next tick."""

    def on_transfer(self, loop: ControlLoop) -> None:
        """Go on beside another loop, which has taken over."""


class Listener:
    """A :class:`TickListener` that does nothing; subclasses replace what they need."""

    def on_tick(self, tick: Tick) -> None:
        """Do nothing."""

    def on_idle(self, tick: Tick) -> None:
        """Do nothing."""

    def on_transfer(self, loop: ControlLoop) -> None:
        """Do nothing."""
