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
"""Signals that ask a demo to end, checked between its steps."""

from __future__ import annotations

import signal
from typing import Any

from dfp_ros.node.process.end_requests import heard_signals


class Interrupted(Exception):
    """A signal interrupted the demo."""


class Signals:
    """Handlers that record termination signals, to be checked between steps."""

    def __init__(self) -> None:
        """Replace the default handlers, which would leave launched processes behind."""
        self.received = 0
        for number in heard_signals():
            if number != signal.SIGTSTP:
                signal.signal(number, self._remember)

    def check(self) -> None:
        """
        Raise if a signal arrived.

        :raises Interrupted: If one did.
        """
        if self.received:
            raise Interrupted

    def _remember(self, number: int, frame: Any) -> None:
        """Record the first signal."""
        self.received = self.received or number
