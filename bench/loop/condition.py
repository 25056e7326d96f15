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
"""Conditions of the loop benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
import os

#: Load processes of each kind of load.
LOADS = {
    'none': (), 'one core busy': ('busy',), 'both cores busy': ('busy', 'busy'),
    'memory': ('memory',), 'swaps': (), 'images': ('images',), 'a learner': ('learner',),
    'a learner apart': ('learner_apart',)}
#: Loads that have the last processor for themselves: everything else keeps off it.
APART = ('a learner apart',)

#: Lead in us of the early wake-up, and of the warm-up step, before a tick at 200 Hz.
EARLY, REHEARSAL = 400, 2000


@dataclass(frozen=True)
class Condition:
    """
    Condition of one measurement.

    :param rate: Hz.
    :param load: One of :data:`LOADS`.
    :param fifo: Whether the measured processes and the robot have SCHED_FIFO.
    :param trigger: ``timer``, or ``samples`` for a node that ticks when observations arrive.
    :param early: Lead of the node's wake-up before a deadline in us; 0 for none.
    :param rehearsal: Lead of the node's warm-up step before a tick in us; 0 for none.
    :param seconds: Duration of the node's measurement.
    :param floor_seconds: Duration of the bare timer's measurement, half before and half after.
    :param listens: Whether a timer with observations is measured too, for a quarter of that.
    """

    rate: float
    load: str = 'none'
    fifo: bool = False
    trigger: str = 'timer'
    early: int = 0
    rehearsal: int = 0
    seconds: float = field(default=60.0, kw_only=True)
    floor_seconds: float = field(default=20.0, kw_only=True)
    listens: bool = field(default=False, kw_only=True)

    @property
    def period(self) -> float:
        """Return the control period in ns."""
        return 1e9 / self.rate

    def facts(self) -> dict[str, str | float | bool]:
        """Return the condition as keys of a row."""
        return {'rate': self.rate, 'load': self.load, 'fifo': self.fifo, 'trigger': self.trigger,
                'early': self.early, 'rehearsal': self.rehearsal}

    def __str__(self) -> str:
        """Return the name of the condition."""
        return (f'{self.rate:g} Hz, {self.load}' + ', SCHED_FIFO' * self.fifo
                + f', trigger {self.trigger}' * (self.trigger != 'timer')
                + ', early' * bool(self.early) + ', warm-up' * bool(self.rehearsal))


def full(seconds: float) -> list[Condition]:
    """List all conditions; with 60 s each they take about 17 minutes."""
    floor = {'seconds': seconds, 'floor_seconds': seconds / 4}
    # For loads other than those of real-time loops, half of the time is enough.
    short = {'seconds': seconds / 2, 'floor_seconds': seconds / 6}
    return [
        *(Condition(rate, **floor) for rate in (50, 100)),
        Condition(200, seconds=seconds, floor_seconds=seconds, listens=True),
        Condition(500, **floor),
        Condition(1000, listens=True, **floor),
        *(Condition(200, load, **short) for load in LOADS
          if load != 'none' and (load not in APART or len(os.sched_getaffinity(0)) > 1)),
        Condition(200, 'none', True, **floor),
        Condition(200, 'none', True, early=EARLY, **short),
        Condition(200, 'none', True, early=EARLY, rehearsal=REHEARSAL, **short),
        Condition(200, 'both cores busy', True, **floor),
        Condition(1000, 'none', True, **short),
        *(Condition(200, 'none', fifo, 'samples', seconds=seconds / 2, floor_seconds=0)
          for fifo in (False, True))]


def quick(seconds: float) -> list[Condition]:
    """List a few representative conditions."""
    floor = {'seconds': seconds, 'floor_seconds': seconds}
    return [
        Condition(200, **floor), Condition(1000, **floor),
        Condition(200, 'both cores busy', **floor),
        Condition(200, 'both cores busy', True, **floor),
        Condition(200, trigger='samples', seconds=seconds, floor_seconds=0)]
