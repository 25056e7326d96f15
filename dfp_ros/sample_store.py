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
"""The samples that a tick takes of every source, and when those of one instant are complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
import enum

from dfp_ros.observation import Sample
from dfp_ros.source_description import BEFORE_TICK, Source


class Instant(enum.Enum):
    """What a sample completes."""

    INCOMPLETE = 'incomplete'
    NEW = 'new'
    REPEATED = 'repeated'


# Complete sets of samples that are older than the last by less than this, in ns, may still have
# been on their way; by more, the robot's time has begun anew.
_RESTART = 1_000_000_000
# Samples by which a source may be ahead of the ticks: a second of a fast one.
_AHEAD = 1000


class SampleStore:
    """
    Keeps the newest sample of each source, and where a description asks for it those before.

    :param sources: All sources by name.

    :ivar samples: Newest samples by source, without those that were never seen.
    """

    def __init__(self, sources: Mapping[str, Source] | tuple[()] = ()) -> None:
        """Start empty."""
        self._sources = tuple(sources)
        self.samples: dict[str, Sample] = {}
        self._before_tick: dict[str, deque[Sample]] = {
            name: deque(maxlen=_AHEAD) for name, source in dict(sources).items()
            if source.sampling == BEFORE_TICK}
        self._now = 0
        self._last = -1
        self._repeatable = -1
        self._repeated: set[str] = set()

    @property
    def missing(self) -> list[str]:
        """Return the sources that were not seen yet."""
        return [name for name in self._sources if name not in self.samples]

    def clear(self) -> None:
        """Forget the samples, though not which instants were complete before."""
        self.samples.clear()
        for kept in self._before_tick.values():
            kept.clear()
        # Whatever completes the last instant from here on was sent again by every source.
        self._repeatable = self._last
        self._repeated = set(self._sources)

    def pass_time(self, now: int) -> bool:
        """
        Note the time; where the clock was set back, forget the samples.

        How long ago they arrived cannot be told any more. Kept, those of a source that is dead
        would be fresh once more when the clock comes by the time of their arrival again.

        :param now: Time in ns, on the clock that says when samples were received.
        :return: Whether the clock was set back.
        """
        is_back = now < self._now
        if is_back:
            self.clear()
        self._now = now
        return is_back

    def at(self, now: int) -> Mapping[str, Sample]:
        """
        Choose the sample of each source that a tick takes.

        :param now: Time of the tick in ns, not earlier than that of the last one.
        :return: Samples by source, without those that have none: the newest, or where the source
            is sampled so, the newest that was measured at the tick or before it.
        """
        if not self._before_tick:
            return self.samples
        chosen = dict(self.samples)
        for name, kept in self._before_tick.items():
            before = [sample for sample in kept if sample.time <= now]
            if not before:
                chosen.pop(name, None)
                continue
            chosen[name] = newest = max(before, key=lambda sample: sample.time)
            # What is older is of no use to later ticks either.
            while kept[0].time < newest.time:
                kept.popleft()
        return chosen

    def add(self, name: str, sample: Sample) -> Instant:
        """
        Keep a sample.

        :param name: Its source.
        :param sample: The sample.
        :return: Whether all sources now have samples of one stamp that was not complete before;
            or have sent those of the last such instant all over again, as a robot does that
            waits for an answer. An instant that is earlier by up to 1 s may have been late on its
            way; it counts once all sources have sent it again.
        """
        self.samples[name] = sample
        if name in self._before_tick:
            self._before_tick[name].append(sample)
        self._now = max(self._now, sample.received)
        stamp = sample.time
        if len(self.samples) < len(self._sources) or any(
                other.time != stamp for other in self.samples.values()):
            return Instant.INCOMPLETE
        if self._last - _RESTART <= stamp <= self._last:
            if stamp != self._repeatable:
                self._repeatable = stamp
                self._repeated.clear()
                return Instant.INCOMPLETE
            self._repeated.add(name)
            if len(self._repeated) < len(self._sources):
                return Instant.INCOMPLETE
        self._repeated.clear()
        if stamp == self._last:
            return Instant.REPEATED
        self._last = self._repeatable = stamp
        return Instant.NEW
