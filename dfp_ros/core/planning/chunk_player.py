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
"""Chunk player: the action of a chunk that is due at a tick."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.policy.interface import Chunk


@dataclass(frozen=True)
class Due:
    """
    Position of a tick in a chunk.

    :param index: Index of the action that is due.
    :param fraction: Elapsed fraction of its period, 0 to 1; 0 if each tick has another action.
    """

    index: int
    fraction: float


class ChunkPlayer:
    """
    Executes a chunk, one action in each period.

    Time is counted in ticks of the control loop, so that jitter cannot repeat or skip an action.
    With one tick in each period, actions follow each other tick by tick. At other rates, the time
    since the chunk's first action decides, rounded to whole ticks; missed ticks count, so that a
    late loop does not stretch the chunk.

    :param chunk: The chunk.
    :param start: Time of its first action in ns.
    :param period: Period of an action in ns.
    :param tick: Time between two ticks in ns; the same for one tick in each period.
    """

    def __init__(self, chunk: Chunk, start: int, period: int, tick: int) -> None:
        """Start at the first action."""
        self.chunk = chunk
        self._start = start
        self._period = period
        self._tick = tick
        # Rates are given in Hz; 1/3 s is not exact in ns. A difference of 0.1 % is no other rate.
        self._each_tick = abs(tick - period) * 1000 <= period
        self._played = 0

    def next(self, now: int) -> Due | None:
        """
        Return the action that is due at this tick; call once in each tick.

        :param now: Time in ns.
        :return: None if the chunk is used up.
        """
        due = self.peek(now)
        self._played += 1
        return due

    def peek(self, now: int) -> Due | None:
        """
        Return the action that will be due at the next tick.

        :param now: Time of that tick in ns.
        :return: None if the chunk is used up by then.
        """
        if self._each_tick:
            index, rest = self._played, 0
        else:
            passed = round((now - self._start) / self._tick) * self._tick
            index = (passed + self._tick // 1000) // self._period
            rest = max(0, passed - index * self._period)
        if not 0 <= index < len(self.chunk.actions):
            return None
        return Due(index, rest / self._period)

    def skip(self, ticks: int = 1) -> None:
        """
        Skip the action that is due at this tick.

        :param ticks: Number of ticks that are skipped.
        """
        self._played += ticks
