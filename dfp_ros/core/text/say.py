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
"""Lines for a person, from a program that goes on if nobody can read them any more."""

from __future__ import annotations

import errno
import os
import sys


def say(text: object, *, to_errors: bool = False) -> None:
    """
    Print a line at once, on the standard output or on the standard error.

    A closed terminal, a pipe whose reader has ended, or a full disk below a log, is no reason to
    end a training, a sweep, or a robot that a person moves.

    :param text: The line.
    :param to_errors: Whether it is an error or a warning.
    """
    stream = sys.stderr if to_errors else sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        if error.errno == errno.EPIPE:
            # Python would write what is left at its end, and complain.
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, stream.fileno())
            os.close(silent)
