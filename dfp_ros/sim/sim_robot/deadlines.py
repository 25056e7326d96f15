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
"""Absolute deadlines of a loop, which catches up after a late step and counts overruns."""

from __future__ import annotations


class Deadlines:
    """
    Absolute deadlines one period apart, with overruns counted.

    After a late step, the following steps run without a pause until the deadlines are met again.
    If the loop was stopped for longer than ``patience`` (a suspended machine, a debugger), it does
    not catch up in a burst; the deadlines are moved instead.

    :param period: Period in s.
    :param patience: Largest lateness in s before the deadlines are moved.
    """

    def __init__(self, period: float, patience: float = 0.25) -> None:
        """Start without a deadline; :meth:`start` sets the first."""
        self.period = period
        self.patience = patience
        self.overruns = 0
        self.steps = 0
        self._started = 0.0
        self._due = 0.0

    def start(self, now: float) -> None:
        """Make the first step due now, and reset the counts."""
        self.overruns = 0
        self.steps = 0
        self._started = now
        self._due = now

    def remaining(self, now: float) -> float:
        """Return the time until the next step is due, s; 0 if it is due."""
        return max(0.0, self._due - now)

    def finish(self, now: float) -> None:
        """Count a finished step; it overran if the next one is already due."""
        self.steps += 1
        self._due += self.period
        if now > self._due:
            self.overruns += 1
        if now - self._due > self.patience:
            self._due = now

    def rate(self, now: float) -> float:
        """Return the rate of steps since the start as a fraction of the nominal rate."""
        elapsed = now - self._started
        return self.steps * self.period / elapsed if elapsed > 0 else 1.0
