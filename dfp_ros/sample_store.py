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
"""The newest sample of every source, and when those of one instant are complete."""

from __future__ import annotations

from collections.abc import Iterable
import enum

from dfp_ros.observation import Sample


class Instant(enum.Enum):
    """What a sample completes."""

    INCOMPLETE = 'incomplete'
    NEW = 'new'
    REPEATED = 'repeated'


class SampleStore:
    """
    Keeps the newest sample of each source.

    :param sources: Names of all sources.

    :ivar samples: Newest samples by source, without those that were never seen.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        """Start empty."""
        self._sources = tuple(sources)
        self.samples: dict[str, Sample] = {}
        self._last = -1
        self._repeated: set[str] = set()

    @property
    def missing(self) -> list[str]:
        """Return the sources that were not seen yet."""
        return [name for name in self._sources if name not in self.samples]

    def clear(self) -> None:
        """Forget the samples, though not which instants were complete before."""
        self.samples.clear()
        self._repeated.clear()

    def add(self, name: str, sample: Sample) -> Instant:
        """
        Keep a sample.

        :param name: Its source.
        :param sample: The sample.
        :return: Whether all sources now have samples of one stamp, later than any such before;
            or have sent those of the last such instant all over again, as a robot does that
            waits for an answer.
        """
        self.samples[name] = sample
        stamp = sample.time
        if stamp < self._last or len(self.samples) < len(self._sources):
            return Instant.INCOMPLETE
        if any(other.time != stamp for other in self.samples.values()):
            return Instant.INCOMPLETE
        if stamp > self._last:
            self._last = stamp
            self._repeated.clear()
            return Instant.NEW
        self._repeated.add(name)
        if len(self._repeated) < len(self._sources):
            return Instant.INCOMPLETE
        self._repeated.clear()
        return Instant.REPEATED
