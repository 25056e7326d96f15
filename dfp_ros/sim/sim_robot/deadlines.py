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
"""Absolute deadlines: a loop that is late once is not late for ever, and says how often it was."""

from __future__ import annotations


class Deadlines:
    """
    Deadlines one period apart, kept on the average, with the lateness counted.

    A step that comes late is followed by steps without a pause until the deadlines are met again.
    A loop that was stopped for longer than ``patience`` (a suspended machine, a debugger) does not
    make up for it in a burst: its deadlines move.

    :param period: s.
    :param patience: How far behind the deadlines may fall before they move, s.
    """

    def __init__(self, period: float, patience: float = 0.25) -> None:
        """Have no deadline yet; :meth:`start` sets the first."""
        self.period = period
        self.patience = patience
        self.overruns = 0
        self.steps = 0
        self._started = 0.0
        self._due = 0.0

    def start(self, now: float) -> None:
        """Let the first step be due now, and count from nothing."""
        self.overruns = 0
        self.steps = 0
        self._started = now
        self._due = now

    def remaining(self, now: float) -> float:
        """Time until the next step is due, s; 0 where it is."""
        return max(0.0, self._due - now)

    def finish(self, now: float) -> None:
        """Count a step as done; it overran where the next one is due already."""
        self.steps += 1
        self._due += self.period
        if now > self._due:
            self.overruns += 1
        if now - self._due > self.patience:
            self._due = now

    def rate(self, now: float) -> float:
        """Give the steps a second since the start, as a share of what the period asks for."""
        elapsed = now - self._started
        return self.steps * self.period / elapsed if elapsed > 0 else 1.0
