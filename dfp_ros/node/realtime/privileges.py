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
"""Capabilities and resource limits of this process, for explanations of refused requests."""

from __future__ import annotations

import ctypes
from pathlib import Path
import resource

#: Numbers of capabilities, from linux/capability.h.
CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23


class RefusedError(ValueError):
    """The system refused a request; the message names the missing privilege."""


def has_capability(number: int) -> bool:
    """
    Return whether this process has a capability.

    :param number: One of those above.
    """
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('CapEff:'):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def format_limit(which: int) -> str:
    """
    Format the soft limit that is in force.

    :param which: One of ``resource.RLIMIT_*``.
    """
    limit = resource.getrlimit(which)[0]
    return 'unlimited' if limit == resource.RLIM_INFINITY else str(limit)


def load_libc() -> ctypes.CDLL:
    """Return the C library that is already loaded."""
    return ctypes.CDLL(None, use_errno=True)
