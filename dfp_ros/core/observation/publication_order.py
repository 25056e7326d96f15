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
Order of publication of the messages of a latched topic.

A latched topic keeps the last message of each of its publishers, for subscribers that come later.
These arrive in any order, so the last to arrive may have been replaced long ago.
"""

from __future__ import annotations

from typing import Any

# Largest number of kinds of messages that are distinguished.
_MOST = 32


class PublicationOrder:
    """
    Detects messages that were published before one that arrived earlier.

    Messages with different joints do not replace each other.

    :ivar published: Time of publication of the message that is being received, by the publisher's
        clock in ns; 0 if unknown.
    :ivar now: Time at which it is received, by the own clock in ns; 0 if unknown.
    """

    def __init__(self) -> None:
        """Start before the first message."""
        self.published = self.now = 0
        self._newest: dict[Any, int] = {}

    def find_earlier(self, kind: Any) -> float:
        """
        Judge a message, whose :attr:`published` and :attr:`now` have been set.

        :param kind: Its kind, such as its joints; anything that can be compared.
        :return: Seconds by which it was published before the newest of its kind; 0 if it replaces
            that one.
        """
        if not self.published:
            return 0.0
        newest = self._newest.get(kind, 0)
        if 0 < self.now < newest:
            # The clock was set back since: otherwise, no message would count until it catches up.
            newest = 0
        if self.published < newest:
            return (newest - self.published) * 1e-9
        if newest == 0 and len(self._newest) >= _MOST:
            self._newest.clear()
        self._newest[kind] = self.published
        return 0.0
