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
"""What a benchmark does to the process that it measures, and what the kernel says of it."""

from __future__ import annotations

import os
from pathlib import Path
import sys

_PRIORITY = 50


def make_real_time(pid: int) -> bool:
    """
    Give all threads of a process real-time priority (``SCHED_FIFO``).

    Those that start later inherit it. The worker has it too, as it must not be kept from giving
    the interpreter back.

    :return: Whether that was granted; where it was not, what would grant it is printed.
    """
    try:
        for thread in Path(f'/proc/{pid}/task').iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except PermissionError:
        print(f'real-time priority {_PRIORITY} was refused, and is left out: it takes rtprio '
              f'{_PRIORITY} in /etc/security/limits.conf (`ulimit -r`), or CAP_SYS_NICE',
              file=sys.stderr)
        return False
    return True


def resident_kb(pid: int) -> int:
    """Read how much memory a process takes, in KB."""
    return int(_status(pid)['VmRSS'].split()[0])


def counts(pid: int) -> dict[str, int]:
    """Count a process's ``threads`` and open ``descriptors``, and read ``resident_kb``."""
    status = _status(pid)
    return {
        'resident_kb': int(status['VmRSS'].split()[0]), 'threads': int(status['Threads']),
        'descriptors': len(os.listdir(f'/proc/{pid}/fd'))}


def busy_seconds(pid: int) -> float:
    """Read how long a process has used a processor, in s."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _status(pid: int) -> dict[str, str]:
    """Read what the kernel says of a process, by name."""
    return dict(
        line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text().splitlines())
