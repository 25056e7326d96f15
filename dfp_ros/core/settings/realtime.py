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
"""Node parameters: real-time priority, processors, memory locking and wake-up."""

from __future__ import annotations

from dataclasses import dataclass
import re

from dfp_ros.core.settings.setting import setting, SettingsError

_RANGE = re.compile(r'\s*(\d+)\s*(?:-\s*(\d+)\s*)?', re.ASCII)
# More processors than Linux can be built for.
_MOST = 8192


@dataclass(frozen=True)
class RealtimeSettings:
    """
    Real-time settings of the operating system.

    :raises SettingsError: If the processors are not a list of numbers.
    """

    priority: int = setting(
        0, 'Priority under SCHED_FIFO, 1 to 99, of the threads that a tick needs, from activation '
        'to deactivation; background threads, such as the loading of a policy, get one less. 0 '
        'leaves the priority as it is. Needs a limit rtprio or CAP_SYS_NICE.',
        bounds=(0, 99))
    cpus: str | int = setting(
        '', 'CPU affinity of the threads of a tick, from activation to deactivation: numbers and '
        'ranges separated by commas, as in 2,3 or 2-3. Empty leaves the affinity as it is.',
        is_any_type=True)
    lock_memory: bool = setting(
        False, 'Keep all memory of the process from being swapped out, from activation to '
        'deactivation (mlockall). Needs an unlimited memlock or CAP_IPC_LOCK.')
    required: bool = setting(
        False, 'Refuse activation if the system refuses one of these settings; otherwise the node '
        'warns and continues without it.')
    timer_slack: int = setting(
        1, 'Timer slack in microseconds, by which Linux may wake a thread late to save energy, '
        'from the start of the node on; the default of Linux is 50. 0 leaves it as it is.',
        bounds=(0, 1000), is_fixed=True)
    early: int = setting(
        0, 'Microseconds before its deadline at which a tick wakes up and spins until it is due, '
        'to begin on time, from the next activation on; samples that arrive meanwhile are left to '
        'the next tick. 400 suits most; at most a tenth of a tick. 0 for never. Occupies the '
        'processor for that time.', bounds=(0, 1000))
    rehearsal: int = setting(
        0, 'Microseconds before a tick with inference at which the same step is run once as a '
        'warm-up, from the next activation on, so that weights and code are in the CPU caches. '
        'Twice the duration of a step; at most half a tick. 0 for never. Occupies the processor '
        'as long as a step.', bounds=(0, 100_000))

    def __post_init__(self) -> None:
        """Check the processors."""
        _ = self.processors

    @property
    def processors(self) -> frozenset[int]:
        """Numbers of the processors; empty if the affinity is left as it is."""
        found: set[int] = set()
        text = str(self.cpus)
        for part in text.split(',') if text.strip() else ():
            match = _RANGE.fullmatch(part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last < _MOST:
                raise SettingsError(
                    f'parameter realtime.cpus: found {self.cpus!r}, expected numbers and ranges '
                    'with commas in between, as in 2,3 or 2-3')
            found.update(range(first, last + 1))
        return frozenset(found)
