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
"""Memory that is free, on the machine and in the control group (container) of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MEMINFO, _OWN_GROUPS = Path('/proc/meminfo'), Path('/proc/self/cgroup')
_GROUPS = Path('/sys/fs/cgroup')
# Files of a control group of version 2 and 1: its limit, what is in use, and, in the third, how
# much of that are files that could be freed at once.
_UNIFIED = ('memory.max', 'memory.current', ('inactive_file', 'active_file'))
_LEGACY = (
    'memory.limit_in_bytes', 'memory.usage_in_bytes', (
        'total_inactive_file', 'total_active_file'))


def free_memory(swap: bool = False) -> int:
    """
    Return the bytes of memory that are free, or could be freed at once; 0 if unknown.

    :param swap: Whether free swap space counts; that of a control group is not known.
    """
    try:
        found = dict(line.split(':') for line in _MEMINFO.read_text().splitlines())
        free, more = (
            int(found.get(name, '0').split()[0]) * 1024 for name in ('MemAvailable', 'SwapFree'))
    except (OSError, ValueError, IndexError):
        return 0
    if not free:
        return 0
    return max(1, min(free + more * swap, *_free_in_groups(free + more)))


def _free_in_groups(most: int) -> Iterator[int]:
    """
    Read how much each control group of this process may still take, as those of a container.

    :param most: The first answer, as there may be no group.
    """
    yield most
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, kinds, name = line.split(':', 2) if line.count(':') > 1 else ('', '?', '')
        if not kinds:
            place, files = _GROUPS, _UNIFIED
        elif 'memory' in kinds.split(','):
            place, files = _GROUPS / 'memory', _LEGACY
        else:
            continue
        # Within a container, the outer part of the name may not be there.
        group = place / name.lstrip('/')
        for folder in (group, *group.parents):
            if (free := _free_in(folder, *files)) is not None:
                yield free
            if folder == place:
                break


def _free_in(folder: Path, limit: str, used: str, files: tuple[str, ...]) -> int | None:
    """Read how much a control group may still take; None without a limit."""
    try:
        most, now = (int((folder / name).read_text()) for name in (limit, used))
        counts = dict(line.split() for line in (folder / 'memory.stat').read_text().splitlines())
        return most - now + sum(int(counts.get(name, '0')) for name in files)
    except (OSError, ValueError):
        return None
