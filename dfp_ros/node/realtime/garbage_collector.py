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
"""Garbage collection after ticks, in place of Python's automatic collections."""

from __future__ import annotations

from collections.abc import Callable
import gc
import threading
import time

# Threshold at which Python still collects by itself, for periods without ticks, as simulated time
# may stand still.
_LAST_RESORT = 100_000
# Safety factor between the expected duration of a collection and the time left.
_MARGIN = 2.0
# Multiple of its threshold at which a generation is collected without enough time.
_OVERDUE = 10


class TickCollector:
    """
    Collects reference cycles when there is most time until the next tick.

    Between :meth:`acquire` and :meth:`release`, Python's automatic collections are disabled.
    Objects that exist at :meth:`acquire` are frozen and not traversed again, so that collections
    are short. All nodes of a process share it.
    """

    def __init__(self) -> None:
        """Start without a change."""
        self._lock = threading.Lock()
        self._holders = 0
        self._before = gc.get_threshold()
        self._took = [0.0] * 3

    def acquire(self) -> None:
        """Freeze existing objects, and disable automatic collections."""
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
        """Undo one :meth:`acquire`; the last enables automatic collections again."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                gc.unfreeze()
                gc.set_threshold(*self._before)

    def after_tick(self, time_left: Callable[[], float]) -> None:
        """
        Collect the generations that are due, the oldest first, if there is time.

        :param time_left: Returns the seconds until the next tick; called only if needed.
        """
        # As in Python: net allocations, collections of the first generation, and of the second.
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
        """Collect, and measure the duration."""
        begin = time.perf_counter()
        gc.collect(generation)
        self._took[generation] = time.perf_counter() - begin


#: The collector of this process.
GARBAGE = TickCollector()
