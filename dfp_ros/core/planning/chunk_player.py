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
"""Action chunks: the noise they start from, and which of their actions is due when."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.policy.interface import Chunk


@dataclass(frozen=True)
class Due:
    """
    Where in a chunk a tick is.

    :param index: The action that is due.
    :param fraction: How much of its time is over, 0 to 1; 0 where each tick plays another action.
    """

    index: int
    fraction: float


class ChunkPlayer:
    """
    Plays a chunk: an action a period.

    Time is counted in ticks of the control loop, so that its jitter cannot play an action twice
    or leave one out. With one tick a period, actions follow each other tick by tick. With another
    rate, the time since the chunk's first action decides, rounded to whole ticks; ticks that were
    missed count, so that a late loop does not stretch the chunk.

    :param chunk: The chunk.
    :param start: When its first action is due, in ns.
    :param period: Time that one action is meant for, in ns.
    :param tick: Time between two ticks, in ns; the same for one tick a period.
    """

    def __init__(self, chunk: Chunk, start: int, period: int, tick: int) -> None:
        """Start at the first action."""
        self.chunk = chunk
        self._start = start
        self._period = period
        self._tick = tick
        # Rates are given in Hz; 1/3 s cannot be written in ns. A thousandth is no other rate.
        self._each_tick = abs(tick - period) * 1000 <= period
        self._played = 0

    def next(self, now: int) -> Due | None:
        """
        Say which action is due at this tick; call once a tick.

        :param now: Time in ns.
        :return: None where the chunk is used up.
        """
        due = self.peek(now)
        self._played += 1
        return due

    def peek(self, now: int) -> Due | None:
        """
        Say which action will be due at the next tick.

        :param now: Time of that tick in ns.
        :return: None where the chunk is used up by then.
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

    def skip(self) -> None:
        """Leave out the action that is due at this tick."""
        self._played += 1
