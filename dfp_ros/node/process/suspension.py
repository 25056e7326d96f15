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
"""Requests to suspend a program that has a robot to stop first."""

from __future__ import annotations

import os
import signal
from typing import Any


class Suspension:
    """
    Hears Ctrl-Z (SIGTSTP) while it is entered, unless it is ignored.

    :ivar is_asked: Whether the process was asked to be suspended, and was not yet.
    """

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.is_asked = False
        self._is_heard = False

    def __enter__(self) -> Suspension:
        self._is_heard = signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
        if self._is_heard:
            signal.signal(signal.SIGTSTP, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_heard:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def suspend(self) -> None:
        """Suspend the process until SIGCONT."""
        self.is_asked = False
        os.kill(os.getpid(), signal.SIGSTOP)

    def _ask(self, *_: Any) -> None:
        self.is_asked = True
