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
"""Python's garbage collector, run after ticks in place of whenever objects have added up."""

from __future__ import annotations

from collections.abc import Callable
import gc
import threading
import time

# Objects after which Python collects by itself all the same, for where no tick comes: time may
# stand still.
_LAST_RESORT = 100_000
# A collection has to fit the time that is left twice over.
_MARGIN = 2.0
# How often over a generation may be due before it is collected though there is no time for it.
_OVERDUE = 10


class TickCollector:
    """
    Collects what reference counts do not free, when there is most time until a tick.

    Between :meth:`acquire` and :meth:`release` Python does not do so by itself. What there is at
    :meth:`acquire` stays, and is not looked through again, so that collections are short. All
    nodes of a process share it.
    """

    def __init__(self) -> None:
        """Leave all as it is."""
        self._lock = threading.Lock()
        self._holders = 0
        self._before = gc.get_threshold()
        self._took = [0.0] * 3

    def acquire(self) -> None:
        """Keep what there is, and stop collecting whenever objects have added up."""
        with self._lock:
            if not self._holders:
                self._before = gc.get_threshold()
                if self._before[0]:
                    gc.set_threshold(_LAST_RESORT, *self._before[1:])
            self._holders += 1
            gc.collect()
            gc.freeze()
            for generation in range(3):
                self._collect(generation)

    def release(self) -> None:
        """End one :meth:`acquire`; with the last, Python collects by itself again."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                gc.unfreeze()
                gc.set_threshold(*self._before)

    def after_tick(self, time_left: Callable[[], float]) -> None:
        """
        Collect what is due, the oldest generation first, if there is time for it.

        :param time_left: Measures the seconds until the next tick, where that matters.
        """
        # As Python does: objects that were made and not freed, collections of the first
        # generation, and of the second.
        counts = gc.get_count()
        if counts[0] <= self._before[0] or not self._before[0] or not gc.isenabled():
            return
        left = time_left()
        for generation in (2, 1, 0):
            due = counts[generation] / max(1, self._before[generation])
            if due > 1 and (
                    _MARGIN * self._took[generation] < left or due > _OVERDUE):
                self._collect(generation)
                return

    def _collect(self, generation: int) -> None:
        """Collect, and note how long that took."""
        begin = time.perf_counter()
        gc.collect(generation)
        self._took[generation] = time.perf_counter() - begin


#: That of this process.
GARBAGE = TickCollector()
