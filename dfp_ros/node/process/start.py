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
First step of a console command: signals end it at once, until it can handle them.

This module imports only a little of the standard library, because the later imports take half a
second, in which Python raises SIGINT as an exception that some libraries suppress.
"""

from __future__ import annotations

import os
import signal

#: Parent of this process at its start.
PARENT = os.getppid()


def _find_group(pid: int) -> int:
    """Return the process group of a process; 0 if it does not exist."""
    try:
        return os.getpgid(pid) if pid > 0 else 0
    except OSError:
        return 0


#: Its process group.
PARENT_GROUP = _find_group(PARENT)


def begin() -> None:
    """
    Let SIGINT end the process at once, as SIGTERM does; nothing moves yet.

    If SIGINT is ignored, as in a background process of a script, it stays ignored for now.

    :raises SystemExit: If the working folder was deleted.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_standard_files()
    _require_working_folder()


def raise_interrupts() -> None:
    """Let SIGINT raise :class:`KeyboardInterrupt` again, for commands that wait for it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_standard_files() -> None:
    """
    Open standard input, output and error that were closed, as by ``>&-``.

    Otherwise the next file or socket gets their number, and the log is written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Open files have the lower numbers, so this is the one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _require_working_folder() -> None:
    """Require a working folder: relative paths, and some libraries, need one."""
    try:
        os.getcwd()
    except OSError as error:
        raise SystemExit(
            'cannot start: the working folder does not exist any more, or cannot be read '
            f'({error.strerror}); change to another one (cd) and start again') from error
