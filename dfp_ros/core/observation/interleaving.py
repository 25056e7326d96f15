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
"""Whether the messages of a source come from several publishers in turn."""

from __future__ import annotations

from collections import deque
from typing import Any

# What a middleware gives that does not number messages.
_UNNUMBERED = 2**64 - 1
# Kinds of messages that are told apart, at most.
_MOST = 32
# Looks whose turns count, and turns among them that are no accident: a publisher that is started
# anew makes one.
_LOOKS, _TURNS = 10, 3


class Interleaving:
    """
    Notices that messages of one kind are numbered by several publishers.

    Each publisher numbers its messages from 1 on, and none of them arrives after a later one, so a
    number that does not grow is another publisher's. Messages that have different joints are of
    different kinds: publishers may share the joints of a topic.

    :ivar number: The number of the message that is being received.
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
        Note a message, whose :attr:`number` has been set.

        :param kind: What it has; anything that can be compared.
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

    def look(self) -> bool:
        """Tell whether several publishers have taken turns of late; call it several times a s."""
        self._looks.append(self._turns)
        self._turns = 0
        return sum(self._looks) >= _TURNS
