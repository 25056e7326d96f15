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
"""Resource usage of a measured process, from the kernel."""

from __future__ import annotations

import os
from pathlib import Path

#: Node parameters that request real-time priority.
REAL_TIME = {'realtime.priority': 50}


def is_real_time(pid: int) -> bool:
    """Tell whether a process's first thread, which ticks in a node, has ``SCHED_FIFO``."""
    return os.sched_getscheduler(pid) == os.SCHED_FIFO


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process, in KB."""
    return int(_status(pid)['VmRSS'].split()[0])


def counts(pid: int) -> dict[str, int]:
    """Return a process's ``threads``, open ``descriptors`` and ``resident_kb``."""
    status = _status(pid)
    return {
        'resident_kb': int(status['VmRSS'].split()[0]), 'threads': int(status['Threads']),
        'descriptors': len(os.listdir(f'/proc/{pid}/fd'))}


def busy_seconds(pid: int) -> float:
    """Return the processor time of a process, in s."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _status(pid: int) -> dict[str, str]:
    """Return the kernel's status of a process, by key."""
    return dict(
        line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text().splitlines())
