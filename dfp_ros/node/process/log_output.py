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
Output that nobody reads must not stop a control loop.

A terminal that was stopped with Ctrl-S, or a pipe whose reader stands still, takes no more once
it is full, and whoever writes the next line of the log to it waits: for ever, and with a robot
that keeps its last velocity. So what such an output does not take at once is dropped. The log's
file has every line.
"""

from __future__ import annotations

import contextlib
import os
import stat


def unblock_output() -> None:
    """
    Have writing to standard output and standard error never wait.

    They are opened once more for this process alone: another that writes to the same terminal
    waits as before. Sockets, which cannot be opened again, stay as they are, and so do files.
    """
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(descriptor) or stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                again = os.open(
                    f'/proc/self/fd/{descriptor}', os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
                os.dup2(again, descriptor)
                os.close(again)
