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
"""
Process of its own for a foreign graph, which may take all memory or make ONNX Runtime crash.

What it may take is limited, and the kernel ends it before any other process.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import ctypes
import os
from pathlib import Path
import resource
import signal
import sys

from dfp_ros.core.text.say import say

_PR_SET_PDEATHSIG = 1
# Least and most memory in bytes that a graph may take; between them, half of what is available.
_LEAST, _MOST = 1 << 30, 16 << 30


def run_in_child(work: Callable[[], int]) -> int:
    """
    Run a function in a copy of this process, which must have no other threads.

    :param work: Its result is the exit status of the copy.
    :return: The result; 2 if the copy was ended, which is said.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    child = os.fork()
    if not child:
        status = 2
        try:
            _restrict(parent)
            status = work()
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFEXITED(ended):
        return os.WEXITSTATUS(ended)
    name = signal.Signals(os.WTERMSIG(ended)).name
    say(
        f'adopt: the process that runs the foreign graph was ended by {name}: memory was short, '
        'or the graph makes ONNX Runtime crash; nothing was written',
        to_errors=True)
    return 2


def _restrict(parent: int) -> None:
    """Limit what this process takes, and have it end with its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(2)
    with contextlib.suppress(OSError):
        # Preferred by the kernel's out-of-memory killer.
        Path('/proc/self/oom_score_adj').write_text('1000')
    with contextlib.suppress(OSError, ValueError, StopIteration):
        taken = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
        most = taken + max(_LEAST, min(_MOST, _available() // 2))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _available() -> int:
    """Return the memory that is available on this machine, in bytes."""
    lines = Path('/proc/meminfo').read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith('MemAvailable:'))
