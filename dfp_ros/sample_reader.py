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
"""Messages to samples: the same for a message that arrives and for one out of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dfp_ros.message_path import path_getter
from dfp_ros.observation import Sample
from dfp_ros.reading import Reading

#: Where a message says which frame it is in.
FRAME = 'header.frame_id'


class SampleReader:
    """
    Takes what is read of one source out of its messages.

    :param readings: Everything that is read of this source.
    :param stamped: Whether its messages have a header, and that counts.
    :param framed: Whether the frame that the header names is read, too.
    """

    def __init__(
            self, readings: Iterable[Reading], stamped: bool, framed: bool = False) -> None:
        """Look everything up once, so that a message costs a few attribute accesses."""
        self._getters = {
            leaf: path_getter(leaf) for reading in readings for leaf in reading.leaves}
        if framed:
            self._getters[FRAME] = path_getter(FRAME)
        self._stamped = stamped

    def read(self, message: Any, received: int) -> Sample:
        """
        Convert a message.

        :param message: Message of the source's type; whatever has its fields as attributes.
        :param received: When it arrived, in ns.
        """
        stamp = None
        if self._stamped and message.header is not None:
            header_stamp = message.header.stamp
            stamp = header_stamp.sec * 1_000_000_000 + header_stamp.nanosec
        return Sample(
            stamp, received, {leaf: get(message) for leaf, get in self._getters.items()})
