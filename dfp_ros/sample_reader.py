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
from operator import attrgetter
from typing import Any

from dfp_ros.observation import Sample
from dfp_ros.observation_description import ObservationEntry


class SampleReader:
    """
    Takes what observations need out of the messages of one source.

    :param entries: Fields of the observation that this source gives.
    :param stamped: Whether its messages have a header.
    """

    def __init__(self, entries: Iterable[ObservationEntry], stamped: bool) -> None:
        """Look everything up once, so that a message costs a few attribute accesses."""
        self._leaves = tuple(dict.fromkeys(leaf for entry in entries for leaf in entry.leaves))
        # A getter of one name returns the value itself, one of several names a tuple.
        self._get = attrgetter(*self._leaves) if len(self._leaves) > 1 else None
        self._stamped = stamped

    def read(self, message: Any, received: int) -> Sample:
        """
        Convert a message.

        :param message: Message of the source's type; whatever has its fields as attributes.
        :param received: When it arrived, in ns.
        """
        stamp = None
        if self._stamped:
            header_stamp = message.header.stamp
            stamp = header_stamp.sec * 1_000_000_000 + header_stamp.nanosec
        values = (
            self._get(message) if self._get is not None
            else tuple(attrgetter(leaf)(message) for leaf in self._leaves))
        return Sample(stamp, received, dict(zip(self._leaves, values, strict=True)))
