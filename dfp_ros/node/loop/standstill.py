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
"""Standstill of simulated time, during which no tick comes."""

from __future__ import annotations

import time

#: Seconds on the wall without a tick after which a robot is held.
TIMEOUT = 2.0


class StandstillMonitor:
    """
    Checks whether simulated time advances, which a timer in simulated time cannot.

    Time that only goes back and forth, because two simulators publish it, or that only goes back,
    makes no tick due, so it stands still: it has to pass all times since the last tick.
    """

    def __init__(self) -> None:
        """Wait to be started."""
        self.start(0)

    def start(self, now: int) -> None:
        """
        Begin to watch, at the start and at each tick.

        :param now: Simulated time in ns.
        """
        self._latest = now
        self._since = time.monotonic()

    def find(self, now: int) -> str:
        """
        Describe a standstill of time, after a timeout.

        :param now: Simulated time in ns.
        :return: Description for the log; empty while time advances.
        """
        if now > self._latest:
            self.start(now)
        still = time.monotonic() - self._since
        if still < TIMEOUT:
            return ''
        hint = (
            ': nothing came on /clock; start what publishes it, or set use_sim_time to false'
            if now == 0 else '')
        return f'simulated time has stood still for {still:.1f} s{hint}'
