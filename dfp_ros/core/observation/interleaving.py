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
"""Detection of several publishers of one source by the sequence numbers of their messages."""

from __future__ import annotations

from collections import deque
from typing import Any

# Sequence number of a middleware that does not number messages.
_UNNUMBERED = 2**64 - 1
# Largest number of kinds of messages that are distinguished.
_MOST = 32
# Polls whose alternations count, and alternations among them that are significant: a restarted
# publisher causes one.
_LOOKS, _TURNS = 10, 3


class Interleaving:
    """
    Detects that messages of one kind come from several publishers.

    Each publisher numbers its messages from 1 on, and they arrive in order, so a number that does
    not increase is another publisher's. Messages with different joints are of different kinds:
    publishers may share the joints of a topic.

    :ivar number: Sequence number of the message that is being received.
    :ivar is_numbered: Whether the middleware numbers messages, as far as is known.
    """

    def __init__(self) -> None:
        """Start before the first message."""
        self.number: int | None = None
        self.is_numbered = False
        self._last: dict[Any, int] = {}
        self._turns = 0
        self._looks: deque[int] = deque(maxlen=_LOOKS)

    def add(self, kind: Any) -> None:
        """
        Add a message, whose :attr:`number` has been set.

        :param kind: Its kind, such as its joints; anything that can be compared.
        """
        number = self.number
        if number is None or number == _UNNUMBERED:
            return
        self.is_numbered = True
        last = self._last.get(kind)
        if last is None and len(self._last) >= _MOST:
            self._last.clear()
        elif last is not None and number <= last:
            self._turns += 1
        self._last[kind] = number

    def poll(self) -> bool:
        """Poll, several times a second: whether several publishers have alternated recently."""
        self._looks.append(self._turns)
        self._turns = 0
        return sum(self._looks) >= _TURNS
