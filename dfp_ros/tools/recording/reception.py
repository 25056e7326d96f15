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
"""Reception times of recorded messages, by a clock that may be a simulated one."""

from __future__ import annotations

from dfp_ros.tools.recording.bag_writer import BagWriter

# A smaller backward step of the clock, in ns, is an adjustment.
_ADJUSTMENT = 1_000_000_000
# Messages, and their bytes, that wait for a time at most.
_MOST_EARLY, _MOST_BYTES = 10_000, 1 << 26


class Reception:
    """
    Passes messages on to a bag, with times that never go back.

    A simulated clock is 0 until its first message is heard. What is received before, such as what
    was latched, gets the first time that is: at 0, it would be an hour before a simulation that
    has run for one, and decades before one with the time of the day.

    :param bag: The bag.
    """

    def __init__(self, bag: BagWriter) -> None:
        """Start before the first message."""
        self._bag = bag
        # They come to the queue all at once.
        self._most = min(_MOST_EARLY, bag.queue_size // 2)
        self._last = 0
        self._early: list[tuple[int, bytes]] = []
        self._bytes = 0

    def take(self, topic: int, now: int, message: bytes) -> float:
        """
        Pass on a message.

        :param topic: Index of its topic.
        :param now: The time in ns; 0 if there is none yet.
        :param message: The serialised message.
        :return: Seconds by which the clock was set back, so that the message is left out; else 0.
        """
        if now < self._last - _ADJUSTMENT:
            return (self._last - now) * 1e-9
        self._last = max(now, self._last)
        if self._last or len(self._early) >= self._most or self._bytes > _MOST_BYTES:
            self.end()
            self._bag.add(topic, self._last, message)
        else:
            self._early.append((topic, message))
            self._bytes += len(message)
        return 0.0

    def end(self) -> None:
        """Pass on what waits for a time."""
        early, self._early, self._bytes = self._early, [], 0
        for topic, message in early:
            self._bag.add(topic, self._last, message)
