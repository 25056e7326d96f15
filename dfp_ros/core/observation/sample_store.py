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

from dfp_ros.core.description.sources import BEFORE_TICK, Source
from dfp_ros.core.observation.joint_merger import JointMerger
from dfp_ros.core.observation.sample import Sample


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

    Where several messages share the joints of a source, its sample is put together from the newest
    message that has each. A sample that lasts (:attr:`Sample.lasts`) is forgotten by nothing but
    one that replaces it.

    :param sources: All sources by name.

    :ivar samples: Newest samples by source, without those that were never seen.
    :ivar instant: Time in ns of the last instant that was complete.
    """

    def __init__(self, sources: Mapping[str, Source] | tuple[()] = ()) -> None:
        """Start empty."""
        self._sources = tuple(sources)
        self.samples: dict[str, Sample] = {}
        self._before_tick: dict[str, deque[Sample]] = {
            name: deque(maxlen=_AHEAD) for name, source in dict(sources).items()
            if source.sampling == BEFORE_TICK}
        # Of sources whose joints come in several messages: the newest, and those before the tick.
        self._newest: dict[str, JointMerger] = {}
        self._before: dict[str, JointMerger] = {}
        self._now = 0
        self.instant = 0
        self._last = -1
        self._repeatable = -1
        self._repeated: set[str] = set()

    @property
    def missing(self) -> list[str]:
        """Return the sources of which something was not seen yet."""
        return [
            name for name in self._sources
            if name not in self.samples or self.samples[name].missing]

    def renewed(self) -> SampleStore:
        """Make a store that knows nothing but the samples that last."""
        other = SampleStore({})
        other._sources = self._sources
        other._before_tick = {
            name: deque((sample for sample in kept if sample.lasts), maxlen=_AHEAD)
            for name, kept in self._before_tick.items()}
        other.samples = {name: sample for name, sample in self.samples.items() if sample.lasts}
        for mergers, mine in (other._newest, self._newest), (other._before, self._before):
            mergers.update((name, mine[name]) for name in other.samples if name in mine)
        return other

    def clear(self) -> None:
        """Forget the samples, though not which instants were complete before."""
        lasting = self.renewed()
        self.samples = lasting.samples
        self._before_tick = lasting._before_tick
        self._newest, self._before = lasting._newest, lasting._before
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
            if name in self._before:
                self._choose_joints(name, kept, now, chosen)
                continue
            before = [sample for sample in kept if sample.time <= now]
            if not before:
                chosen.pop(name, None)
                continue
            chosen[name] = newest = max(before, key=lambda sample: sample.time)
            # What is older is of no use to later ticks either.
            while kept[0].time < newest.time:
                kept.popleft()
        return chosen

    def _choose_joints(
            self, name: str, kept: deque[Sample], now: int, chosen: dict[str, Sample]) -> None:
        """Choose of each joint the newest message that was measured at the tick or before it."""
        merger = self._before[name]
        later = [sample for sample in kept if sample.time > now]
        for sample in kept:
            if sample.time <= now:
                merger.add(sample, in_order=True)
        kept.clear()
        kept.extend(later)
        if merger.sample is None:
            chosen.pop(name, None)
        else:
            chosen[name] = merger.sample

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
        self._now = max(self._now, sample.received)
        if name in self._before_tick:
            self._before_tick[name].append(sample)
        if sample.joints is not None or name in self._newest:
            sample = self._merge(name, sample)
        self.samples[name] = sample
        if len(self.samples) < len(self._sources):
            return Instant.INCOMPLETE
        stamp: int | None = None
        for other in self.samples.values():
            joints = other.joints
            if joints is not None and (joints.missing or joints.is_mixed and not other.lasts):
                return Instant.INCOMPLETE
            # What lasts is of no instant.
            if not other.lasts:
                if stamp is None:
                    stamp = other.time
                elif other.time != stamp:
                    return Instant.INCOMPLETE
        return self._complete(name, sample, sample.time if stamp is None else stamp)

    def _merge(self, name: str, sample: Sample) -> Sample:
        """Put a source together from messages that share its joints."""
        if name not in self._newest:
            assert sample.joints is not None
            for mergers in (self._newest, self._before):
                mergers[name] = JointMerger(sample.joints.layout)
            if (before := self.samples.get(name)) is not None:
                self._newest[name].add(before)
        return self._newest[name].add(sample)

    def _complete(self, name: str, sample: Sample, stamp: int) -> Instant:
        """Tell what a sample does where all sources have one of the same time."""
        self.instant = stamp
        if self._last - _RESTART <= stamp <= self._last:
            if stamp != self._repeatable:
                self._repeatable = stamp
                self._repeated.clear()
                return Instant.INCOMPLETE
            if sample.lasts and stamp == self._last and len(self.samples) > 1:
                # A goal that is replaced asks for no answer.
                return Instant.INCOMPLETE
            self._repeated.add(name)
            if any(each not in self._repeated and not other.lasts
                   for each, other in self.samples.items()):
                return Instant.INCOMPLETE
        self._repeated.clear()
        if stamp == self._last:
            return Instant.REPEATED
        self._last = self._repeatable = stamp
        return Instant.NEW
