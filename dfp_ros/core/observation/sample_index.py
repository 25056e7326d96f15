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
"""Index of the samples of a recording, by the times that a recorded decision has of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfp_ros.core.description.joint_layout import JointLayout
from dfp_ros.core.observation.joint_merger import assemble
from dfp_ros.core.observation.sample import Sample

#: Largest difference of the arrival times at node and recorder, in ns.
JITTER = 20_000_000


@dataclass(frozen=True)
class SampleTimes:
    """
    Times of a sample in a recorded decision.

    :param time: The sample's time in ns: its stamp, or else its arrival at the node.
    :param received: Its arrival at the node in ns.
    :param joints: The same two times for the message of each slot; empty if there are no joints,
        or the recording lacks them.
    """

    time: int
    received: int
    joints: tuple[tuple[int, int], ...] = ()


class SampleIndex:
    """
    Finds the samples of one source.

    A message without a stamp has the time of its arrival, which differs slightly between node and
    recorder, so that it may be any of those that arrived at about that time. A latched one may
    have been received at any earlier time, by either; the newest one before the decision is used.

    :param layout: The joints that are read; None for none.

    :ivar is_doubtful: Whether the last sample that was found may be another one than the node's:
        several messages have its time, as two publishers send them, or no stamp, and arrived at
        about the same time.
    """

    def __init__(self, layout: JointLayout | None) -> None:
        """Start empty."""
        self._layout = layout
        self.is_doubtful = False
        self._fits: Callable[[Sample], bool] = lambda sample: True
        # By their slots; None for whole messages.
        self._kinds: dict[tuple[int, ...] | None, _Kind] = {}

    def add(self, sample: Sample) -> None:
        """Add a sample as read from the recording, in the order of arrival."""
        kind = None if sample.joints is None else sample.joints.slots
        if kind not in self._kinds:
            self._kinds[kind] = _Kind(sample.stamp is not None)
        self._kinds[kind].add(sample)

    def forget(self, before: int) -> None:
        """Discard samples that arrived before a time in ns, except the newest."""
        for kind in self._kinds.values():
            kind.forget(before)

    def find(
            self, times: SampleTimes, now: int,
            fits: Callable[[Sample], bool] = lambda sample: True) -> Sample | None:
        """
        Find the sample of a decision.

        :param times: Its times in the decision.
        :param now: The decision's own time, in ns.
        :param fits: Tells messages apart that may have these times.
        :return: The sample, with its arrival time at the node; None if it is missing.
        """
        self.is_doubtful, self._fits = False, fits
        if self._layout is None or not times.joints:
            found = self._find(None, times.time, times.received, now)
            if found is None and self._layout is not None:
                return self._put_together(
                    [(times.time, times.received)] * len(self._layout.slots), now)
            return None if found is None else replace(found, received=times.received)
        return self._put_together(times.joints, now)

    def _put_together(self, times: Sequence[tuple[int, int]], now: int) -> Sample | None:
        """Find the message of each slot, and merge them as the node did."""
        assert self._layout is not None
        known: dict[tuple[int, int], Sample] = {}
        slots: list[Sample] = []
        for i, (time, received) in enumerate(times):
            found = self._find(i, time, received, now)
            if found is None:
                return None
            # Slots of one message share one object.
            slots.append(known.setdefault(
                (id(found), received), replace(found, received=received)))
        return assemble(self._layout, slots, max(slots, key=lambda sample: sample.received))

    def _find(self, slot: int | None, time: int, received: int, now: int) -> Sample | None:
        """Find a message by its time, among those with a slot; None for whole messages."""
        found = [
            sample for kind, members in self._kinds.items()
            if kind is None or (slot is not None and kind[slot] >= 0)
            if (sample := self._choose(members.find(time, now), received)) is not None]
        return min(
            found, default=None,
            key=lambda sample: (abs(sample.time - time), abs(sample.received - received)))

    def _choose(self, found: Sequence[Sample], received: int) -> Sample | None:
        """Choose one of several messages with one time."""
        if len(found) < 2:
            return found[0] if found else None
        found = sorted(found, key=lambda sample: abs(sample.received - received))
        first = abs(found[0].received - received)
        near = [sample for sample in found if abs(sample.received - received) <= first + JITTER]
        if len(near) == 1:
            return near[0]
        fitting = [sample for sample in near if self._fits(sample)] or near
        self.is_doubtful |= any(
            not _is_same(sample, fitting[0]) for sample in fitting[1:])
        return fitting[0]


def _is_same(one: Sample, other: Sample) -> bool:
    """Tell whether two messages have the same contents."""
    def content(value: Any) -> Any:
        # A picture has a hash, and may be in a file.
        return getattr(value, 'number', value)

    return one.problem == other.problem and one.values.keys() == other.values.keys() and all(
        np.array_equal(content(value), content(other.values[name]))
        for name, value in one.values.items())


class _Kind:
    """
    Messages with the same slots.

    :param is_stamped: Whether their times are header stamps.
    """

    def __init__(self, is_stamped: bool) -> None:
        """Start empty."""
        self._is_stamped = is_stamped
        self._lasts = False
        self._times: list[int] = []
        self._by_time: dict[int, list[Sample]] = {}

    def add(self, sample: Sample) -> None:
        """Add a message."""
        self._lasts = sample.lasts
        self._times.append(sample.time)
        self._by_time.setdefault(sample.time, []).append(sample)

    def forget(self, before: int) -> None:
        """Discard the oldest ones, except the newest."""
        count = 0
        for time in self._times[:-1]:
            if self._by_time[time][0].received >= before:
                break
            self._by_time[time].pop(0)
            if not self._by_time[time]:
                del self._by_time[time]
            count += 1
        del self._times[:count]

    def find(self, time: int, now: int) -> Sequence[Sample]:
        """Find the messages of a time; several with one stamp, or that arrived near it."""
        if time in self._by_time or self._is_stamped:
            return self._by_time.get(time, ())
        first, last = bisect_left(self._times, time - JITTER), bisect_right(
            self._times, time + JITTER)
        if first == last and self._lasts and self._times:
            if last:
                first = last - 1
            elif self._times[0] <= now:
                # The node received it before the recording began, and no other replaced it.
                last = 1
        return [
            sample for each in dict.fromkeys(self._times[first:last])
            for sample in self._by_time[each]]
