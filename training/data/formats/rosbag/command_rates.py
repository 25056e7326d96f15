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
"""Rates of the recorded commands, which bound the control rate of a conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from training.data.formats.rosbag.steps import Event

# Smallest number of commands, and smallest rate in Hz, that say something about a rate. A topic
# with fewer is sent on change.
_FEW, _SLOWEST = 5, 1.0


class CommandRates:
    """Measures the times between the commands of each topic."""

    def __init__(self) -> None:
        """Start without a command."""
        self._times: dict[str, list[int]] = {}

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events through, and record the times of commands."""
        for event in events:
            if event.kind == 'command':
                self._times.setdefault(event.name, []).append(event.time)
            yield event

    def notes(self, period: float) -> Iterator[str]:
        """
        Note the slowest commands, if they come less often than once a period.

        :param period: Control period in s.
        """
        rates = {}
        for name, times in self._times.items():
            if len(times) > _FEW and (spacing := float(np.median(np.diff(times)))) > 0:
                rates[name] = 1e9 / spacing
        slow = {name: rate for name, rate in rates.items() if _SLOWEST <= rate < 0.9 / period}
        if slow:
            name, rate = min(slow.items(), key=lambda entry: entry[1])
            yield (
                f'commands.{name} comes at {rate:.3g} Hz, and the control rate is '
                f'{1 / period:.4g} Hz, so steps have no command, and episodes are split there; '
                f'convert with --rate {_round(rate):g}')


def _round(rate: float) -> float:
    """Round a measured rate: to whole Hz unless it is small."""
    return max(1.0, round(rate) if rate > 3 else round(rate, 1))
