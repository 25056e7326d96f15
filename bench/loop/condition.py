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
"""What the loop is measured under, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What else the machine has to do: the load processes of each.
LOADS = {
    'none': (), 'one core busy': ('busy',), 'both cores busy': ('busy', 'busy'),
    'memory': ('memory',), 'swaps': (), 'images': ('images',)}

#: How long before a tick at 200 Hz the node wakes up, and rehearses it, in us.
EARLY, REHEARSAL = 400, 2000


@dataclass(frozen=True)
class Condition:
    """
    One measurement.

    :param rate: Hz.
    :param load: One of :data:`LOADS`.
    :param fifo: Whether all that is measured, and the robot, has SCHED_FIFO.
    :param trigger: ``timer``, or ``samples`` for a node that ticks as observations arrive.
    :param early: Microseconds before a deadline at which the node wakes up; 0 for none.
    :param rehearsal: Microseconds before a tick at which the node rehearses it; 0 for never.
    :param seconds: How long the node is measured.
    :param floor_seconds: How long the bare timer is, half before and half after.
    :param listens: Whether a timer that takes observations is measured too, for a quarter of that.
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
        """Return the time between two ticks, in ns."""
        return 1e9 / self.rate

    def facts(self) -> dict[str, str | float | bool]:
        """List what a row says of it."""
        return {'rate': self.rate, 'load': self.load, 'fifo': self.fifo, 'trigger': self.trigger,
                'early': self.early, 'rehearsal': self.rehearsal}

    def __str__(self) -> str:
        """Name it."""
        return (f'{self.rate:g} Hz, {self.load}' + ', SCHED_FIFO' * self.fifo
                + f', trigger {self.trigger}' * (self.trigger != 'timer')
                + ', early' * bool(self.early) + ', rehearsed' * bool(self.rehearsal))


def full(seconds: float) -> list[Condition]:
    """List all conditions; with 60 s each they take some 17 minutes."""
    floor = {'seconds': seconds, 'floor_seconds': seconds / 4}
    # With other loads than real-time loops have, half of it gives the shape.
    short = {'seconds': seconds / 2, 'floor_seconds': seconds / 6}
    return [
        *(Condition(rate, **floor) for rate in (50, 100)),
        Condition(200, seconds=seconds, floor_seconds=seconds, listens=True),
        Condition(500, **floor),
        Condition(1000, listens=True, **floor),
        *(Condition(200, load, **short) for load in LOADS if load != 'none'),
        Condition(200, 'none', True, **floor),
        Condition(200, 'none', True, early=EARLY, **short),
        Condition(200, 'none', True, early=EARLY, rehearsal=REHEARSAL, **short),
        Condition(200, 'both cores busy', True, **floor),
        Condition(1000, 'none', True, **short),
        *(Condition(200, 'none', fifo, 'samples', seconds=seconds / 2, floor_seconds=0)
          for fifo in (False, True))]


def quick(seconds: float) -> list[Condition]:
    """List those that show the shape of it."""
    floor = {'seconds': seconds, 'floor_seconds': seconds}
    return [
        Condition(200, **floor), Condition(1000, **floor),
        Condition(200, 'both cores busy', **floor),
        Condition(200, 'both cores busy', True, **floor),
        Condition(200, trigger='samples', seconds=seconds, floor_seconds=0)]
