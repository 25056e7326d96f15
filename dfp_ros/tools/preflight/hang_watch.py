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
"""Hang watch: finds, from a thread of its own, a tick that does not end."""

from __future__ import annotations

from collections.abc import Callable
import threading

_STEP = 0.1  # s


class HangWatch:
    """
    Watches over ticks, whose inference may never end and holds their thread.

    It counts the time in its own steps, so that a process that stood still has not been slow.

    :param longest: Longest duration of a tick in s.
    :param found: Called once from another thread, with the duration so far in s.
    """

    def __init__(self, longest: float, found: Callable[[float], object]) -> None:
        """Start watching."""
        self._longest = longest
        self._found = found
        # Number of the tick that goes on, 0 for none.
        self._current = self._last = 0
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name='hang watch', daemon=True).start()

    def begin(self) -> None:
        """Begin a tick."""
        self._last += 1
        self._current = self._last

    def end(self) -> None:
        """End a tick."""
        self._current = 0

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()

    def _watch(self) -> None:
        """Wait for a tick that does not end."""
        seen, took = 0, 0.0
        while not self._ended.wait(_STEP):
            current = self._current
            took = took + _STEP if current and current == seen else 0.0
            seen = current
            if took >= self._longest:
                self._found(took)
                return
