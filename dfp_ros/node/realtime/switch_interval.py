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
"""Switch interval of Python: how long a thread may hold the GIL while another waits."""

from __future__ import annotations

import sys
import threading

# In s; Python's own 5 ms are a whole tick at 200 Hz.
_SHORT = 0.0001

_lock = threading.Lock()
_users = 0
_usual = 0.0


class ShortSwitchInterval:
    """
    Shortens the switch interval until it is closed.

    The interval applies to the whole process: it is restored once all are closed.
    """

    def __init__(self) -> None:
        """Shorten it, unless that is done already."""
        global _users, _usual
        self._is_open = True
        with _lock:
            if not _users:
                _usual = sys.getswitchinterval()
                sys.setswitchinterval(_SHORT)
            _users += 1

    def close(self) -> None:
        """Release it; further calls have no effect."""
        global _users
        with _lock:
            was_open, self._is_open = self._is_open, False
            _users -= was_open
            if was_open and not _users:
                sys.setswitchinterval(_usual)
