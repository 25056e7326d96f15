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
Non-blocking log output, so that a terminal or pipe without a reader cannot stop the control loop.

A terminal that was stopped with Ctrl-S, or a pipe without an active reader, blocks the next write
once it is full, while the robot keeps its last velocity. So output that cannot be written at once
is dropped. The log's file has every line.
"""

from __future__ import annotations

import contextlib
import os
import stat


def unblock_output() -> None:
    """
    Make standard output and standard error non-blocking.

    They are reopened for this process alone: other processes that write to the same terminal block
    as before. Sockets, which cannot be reopened, and files stay as they are.
    """
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(descriptor) or stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                again = os.open(
                    f'/proc/self/fd/{descriptor}', os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
                os.dup2(again, descriptor)
                os.close(again)
