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
"""Completed tick of the control loop, and the interface of its listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.control.input_log import Entry
from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loading.control_loop import ControlLoop


@dataclass(frozen=True)
class Tick:
    """
    One completed tick of the control loop, after its command was sent.

    :param number: Its number, from 1.
    :param now: Its time in ns, on the clock of the samples.
    :param decision: Its decision.
    :param samples: The samples of the decision, by source.
    :param entry: Other inputs of the controller since the tick before, for replays.
    :param time_left: Returns the seconds until the next tick.
    """

    number: int
    now: int
    decision: Decision
    samples: Mapping[str, Sample]
    entry: Entry
    time_left: Callable[[], float]


class TickListener(Protocol):
    """Listener of ticks, called on the thread of the ticks."""

    def on_tick(self, tick: Tick) -> None:
        """Handle a tick, right after its command."""

    def on_idle(self, tick: Tick) -> None:
        """Do work that takes time, when there is most time until the next tick."""

    def on_transfer(self, loop: ControlLoop) -> None:
        """Continue with another loop, which has taken over."""


class Listener:
    """A :class:`TickListener` that does nothing; subclasses override the methods they need."""

    def on_tick(self, tick: Tick) -> None:
        """Do nothing."""

    def on_idle(self, tick: Tick) -> None:
        """Do nothing."""

    def on_transfer(self, loop: ControlLoop) -> None:
        """Do nothing."""
