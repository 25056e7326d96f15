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
What a console command does before anything else: until it hears signals, each of them ends it.

This imports nothing but a little of the standard library, for what is imported later takes half a
second, in which Python turns SIGINT into an exception that some libraries pass over.
"""

from __future__ import annotations

import os
import signal

#: The process that started this one, as far as it lived long enough to be seen.
PARENT = os.getppid()


def _find_group(pid: int) -> int:
    """Find the process group of a process; 0 where there is none."""
    try:
        return os.getpgid(pid) if pid > 0 else 0
    except OSError:
        return 0


#: Its process group.
PARENT_GROUP = _find_group(PARENT)


def begin() -> None:
    """
    Have SIGINT end the process at once, as SIGTERM does; nothing moves yet.

    One that is ignored, as that of a script's background process, stays so for now.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_interrupts() -> None:
    """Have SIGINT raise :class:`KeyboardInterrupt` again, for commands that wait for it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
