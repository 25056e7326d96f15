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
"""What the operating system is asked for, so that ticks come when they are due."""

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
    What the operating system is asked for.

    :raises SettingsError: Where the processors are no list of numbers.
    """

    priority: int = setting(
        0, 'Priority under SCHED_FIFO, 1 to 99, of the threads that a tick needs, from activation '
        'to deactivation; what only works beside them, as the loading of a policy, gets one less. '
        '0 leaves all as the process was started. Takes a limit rtprio or CAP_SYS_NICE.',
        bounds=(0, 99))
    cpus: str | int = setting(
        '', 'Processors that the threads of a tick run on, from activation to deactivation: '
        'numbers and ranges with commas in between, as in 2,3 or 2-3. Empty leaves them as the '
        'process was started.', is_any_type=True)
    lock_memory: bool = setting(
        False, 'Keep all memory of the process from being swapped out, from activation to '
        'deactivation (mlockall). Takes an unlimited memlock or CAP_IPC_LOCK.')
    required: bool = setting(
        False, 'Refuse to activate where the system refuses something of this; else the node '
        'warns and goes on without it.')
    timer_slack: int = setting(
        1, 'Microseconds by which Linux may wake a thread too late to spare energy, from the '
        'start of the node on; what Linux does by itself is 50. 0 leaves it as it is.',
        bounds=(0, 1000), is_fixed=True)
    early: int = setting(
        0, 'Microseconds before its deadline at which a tick wakes up, from the next activation '
        'on, to watch the clock for the rest and begin on time; samples that arrive meanwhile '
        'wait for the next tick. 400 suits most; at most a tenth of a tick. 0 for never. Costs '
        'the processor that long.', bounds=(0, 1000))
    rehearsal: int = setting(
        0, 'Microseconds before a tick that asks the policy at which the same step is done once '
        'for nothing, from the next activation on, so that weights and code are in the caches '
        'when it counts. Twice what a step takes; at most half a tick. 0 for never. Costs the '
        'processor as much as a step.', bounds=(0, 100_000))

    def __post_init__(self) -> None:
        """Check the processors."""
        _ = self.processors

    @property
    def processors(self) -> frozenset[int]:
        """Return the numbers of the processors, none where they are left as they are."""
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
