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
"""Sample store: the sample of each source for a tick, and exact-time synchronisation."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
import enum

from dfp_ros.core.description.sources import BEFORE_TICK, Source
from dfp_ros.core.observation.joint_merger import JointMerger
from dfp_ros.core.observation.sample import is_overtaken, Sample


class Instant(enum.Enum):
    """Effect of a sample on a set of samples with one stamp."""

    INCOMPLETE = 'incomplete'
    NEW = 'new'
    REPEATED = 'repeated'


# A complete set of samples that is older than the last by less than this, in ns, may have been
# delayed; if it is older by more, the robot's time was restarted.
_RESTART = 1_000_000_000
# Samples that are queued for a source that is ahead of the ticks: a second of a fast one.
_AHEAD = 1000


class SampleStore:
    """
    Stores the newest sample of each source, and queued ones for sampling before the tick.

    If several messages share the joints of a source, its sample is merged from the newest message
    of each joint. A latched sample (:attr:`Sample.lasts`) is kept until another one replaces it.

    :param sources: All sources by name.
    :param in_order: Keep a sample if one with an older stamp arrives after it, within the maximum
        age of the source; otherwise the last to arrive is the newest, as robots need it that wait
        for answers, and may resend an earlier set of samples.

    :ivar samples: Newest samples by source, without sources that were never received.
    :ivar instant: Stamp in ns of the last complete set.
    """

    def __init__(
            self, sources: Mapping[str, Source] | tuple[()] = (), in_order: bool = False) -> None:
        """Start empty."""
        self._sources = tuple(sources)
        # In ns.
        self._max_ages = {
            name: source.max_age * 1e9 if in_order else 0.0
            for name, source in dict(sources).items()}
        self.samples: dict[str, Sample] = {}
        self._before_tick: dict[str, deque[Sample]] = {
            name: deque(maxlen=_AHEAD) for name, source in dict(sources).items()
            if source.sampling == BEFORE_TICK}
        # For sources whose joints come in several messages: the newest, and those before the tick.
        self._newest: dict[str, JointMerger] = {}
        self._before: dict[str, JointMerger] = {}
        self._now = 0
        self.instant = 0
        self._last = -1
        self._repeatable = -1
        self._repeated: set[str] = set()

    @property
    def missing(self) -> list[str]:
        """Return sources with values that have not been received yet."""
        return [
            name for name in self._sources
            if name not in self.samples or self.samples[name].missing]

    def renewed(self) -> SampleStore:
        """Make a new store with the latched samples only."""
        other = SampleStore({})
        other._sources, other._max_ages = self._sources, self._max_ages
        other._before_tick = {
            name: deque((sample for sample in kept if sample.lasts), maxlen=_AHEAD)
            for name, kept in self._before_tick.items()}
        other.samples = {name: sample for name, sample in self.samples.items() if sample.lasts}
        for mergers, mine in (other._newest, self._newest), (other._before, self._before):
            mergers.update((name, mine[name]) for name in other.samples if name in mine)
        return other

    def clear(self) -> None:
        """Discard the samples, but not the record of complete sets."""
        lasting = self.renewed()
        self.samples = lasting.samples
        self._before_tick = lasting._before_tick
        self._newest, self._before = lasting._newest, lasting._before
        # A set that completes the last instant from here on was resent by every source.
        self._repeatable = self._last
        self._repeated = set(self._sources)

    def pass_time(self, now: int) -> bool:
        """
        Advance the time; if the clock was set back, discard the samples.

        Their age is unknown then: those of a dead source would become fresh again when the clock
        reaches their time of arrival.

        :param now: Time in ns, on the clock of the arrival times.
        :return: Whether the clock was set back.
        """
        is_back = now < self._now
        if is_back:
            self.clear()
        self._now = now
        return is_back

    def at(self, now: int) -> Mapping[str, Sample]:
        """
        Select the sample of each source for a tick.

        :param now: Time of the tick in ns, not earlier than that of the last one.
        :return: Samples by source, without sources that have none: the newest, or, if the source
            is sampled before the tick, the newest that was measured at the tick or before it.
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
            # The last of several with one time: a chain of transforms has that of its oldest link.
            chosen[name] = newest = max(reversed(before), key=lambda sample: sample.time)
            # Older samples are not needed by later ticks either.
            while kept[0].time < newest.time:
                kept.popleft()
        return chosen

    def _choose_joints(
            self, name: str, kept: deque[Sample], now: int, chosen: dict[str, Sample]) -> None:
        """Select for each joint the newest message that was measured at the tick or before it."""
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
        Store a sample.

        :param name: Its source.
        :param sample: The sample.
        :return: Whether it completes a new set of samples with one stamp, or a repetition of the
            last such set, which a robot sends that waits for an answer. A set that is earlier by
            up to 1 s may have been delayed; it counts once all sources have resent it.
        """
        self._now = max(self._now, sample.received)
        if name in self._before_tick:
            self._before_tick[name].append(sample)
        if sample.joints is not None or name in self._newest:
            sample = self._merge(name, sample)
        elif not sample.lasts and (newest := self.samples.get(name)) is not None and is_overtaken(
                sample.stamp, sample.received, newest.stamp, self._max_ages.get(name, 0.0)):
            return Instant.INCOMPLETE
        self.samples[name] = sample
        if len(self.samples) < len(self._sources):
            return Instant.INCOMPLETE
        stamp: int | None = None
        for other in self.samples.values():
            joints = other.joints
            if joints is not None and (joints.missing or joints.is_mixed and not other.lasts):
                return Instant.INCOMPLETE
            # Latched samples do not belong to a set.
            if not other.lasts:
                if stamp is None:
                    stamp = other.time
                elif other.time != stamp:
                    return Instant.INCOMPLETE
        return self._complete(name, sample, sample.time if stamp is None else stamp)

    def _merge(self, name: str, sample: Sample) -> Sample:
        """Merge messages that share the joints of a source."""
        if name not in self._newest:
            assert sample.joints is not None
            for mergers in (self._newest, self._before):
                mergers[name] = JointMerger(
                    sample.joints.layout, self._max_ages.get(name, 0.0))
            if (before := self.samples.get(name)) is not None:
                self._newest[name].add(before)
        return self._newest[name].add(sample)

    def _complete(self, name: str, sample: Sample, stamp: int) -> Instant:
        """Classify a sample, if all sources have one of the same stamp."""
        self.instant = stamp
        if self._last - _RESTART <= stamp <= self._last:
            if stamp != self._repeatable:
                self._repeatable = stamp
                self._repeated.clear()
                return Instant.INCOMPLETE
            if sample.lasts and stamp == self._last and len(self.samples) > 1:
                # A replaced goal needs no answer.
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
