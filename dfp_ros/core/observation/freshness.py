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
"""Freshness monitor: staleness and clock skew of the sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math

from dfp_ros.core.description.sources import HEADER, RECEIVE, Source
from dfp_ros.core.observation.sample import Joints, Part, Sample
from dfp_ros.core.observation.sample_reader import FRAME
from dfp_ros.core.safety.reasons import conclude, Finding, finding, Reason, Response
from dfp_ros.core.text.printable import listed, quoted

# Remedy for a latched source that was never received.
_LATCHED = (
    '; it is requested with durability transient_local, so check that its publisher offers that '
    'and is still running')
# The smallest delay is taken over the last one to two windows of so many messages.
_RUN = 100
# Late ticks in a row after which the clock counts as one that moves in steps; and the lateness, as
# a fraction of the time between two ticks.
_LATE_TICKS, _LATE = 3, 1.01
# Kinds of messages, by their joints, whose delays are tracked.
_KINDS = 20


class FreshnessMonitor:
    """
    Monitors all sources of a robot.

    Age is checked twice, unless the source says otherwise: by arrival time, which does not depend
    on the publisher's clock, and by header stamp, which includes the delay in queues. Both depend
    on ``now``: if it is set back, earlier samples have to be discarded first, as
    :meth:`dfp_ros.core.observation.sample_store.SampleStore.pass_time` does.

    If the joints of a source come in several messages, each of these has its own age. A latched
    sample is never from the future, and is stale only if its source has a maximum age.

    :param sources: All sources.
    :param clock_skew: Seconds by which stamps may be ahead of their arrival; 0 for any.
    :param tick: Time between two ticks in ns; 0 if unknown.
    """

    def __init__(
            self, sources: Iterable[Source], clock_skew: float = 0.0, tick: int = 0) -> None:
        """Start without a message."""
        self._clock_skew = clock_skew * 1e9
        self._resolution = _Resolution(round(_LATE * tick)) if tick else None
        self._sources = tuple(
            (source, f'source {source.name!r} (topic {source.topic})', _Delay())
            for source in sources)

    def reset(self) -> None:
        """Clear the measurements of the clocks."""
        if self._resolution is not None:
            self._resolution.reset()
        for _, _, delay in self._sources:
            delay.reset()

    def check(self, now: int, samples: Mapping[str, Sample | None]) -> list[Finding]:
        """
        Check the newest samples.

        :param now: Time in ns.
        :param samples: Newest sample of each source by name, None or absent if there is none.
        :return: Faults of the sources; empty if there are none.
        """
        findings = []
        skew = self._clock_skew
        if self._resolution is not None:
            skew += self._resolution.add(now)
        for source, name, delay in self._sources:
            sample = samples.get(source.name)
            if sample is None:
                findings.append(finding(Reason.WAITING, f'{name}: no message yet' + (
                    _LATCHED if source.is_latched else '')))
                continue
            if source.frame_id and FRAME in sample.values and (
                    found := sample.values[FRAME]) != source.frame_id:
                findings.append(finding(Reason.UNREADABLE, (
                    f'{name}: its messages are in the frame {quoted(found)}, the robot '
                    f'description says {quoted(source.frame_id)}')))
            joints, fault = sample.joints, None
            if joints is not None and joints.missing:
                findings.append(finding(Reason.WAITING, f'{name}: {_describe_missing(joints)}'))
                continue
            if sample.lasts and (source.child or source.max_age == math.inf):
                continue
            if joints is None:
                # Before simulated time begins, it is 0, and arrivals say nothing about clocks.
                if sample.stamp and sample.received and source.time != RECEIVE:
                    delay.add(sample.received, sample.stamp)
                fault = _judge(now, source, sample, delay)
            else:
                fault = _judge_parts(now, source, joints, delay)
            if fault is not None and not (sample.lasts and fault[0] is Reason.FUTURE):
                reason, text = fault
                findings.append(finding(reason, f'{name}: {text}', source.when_stale))
            elif self._clock_skew and delay.smallest < -skew:
                findings.append(finding(
                    Reason.CLOCK_SKEW, f'{name}: {delay.describe()}; the clocks differ'))
        return findings


def check_sources(
        now: int, sources: Iterable[Source],
        samples: Mapping[str, Sample | None]) -> tuple[Reason, str]:
    """
    Check once that every source is present and fresh, without measuring clocks.

    :return: :attr:`Reason.NONE` if there is no fault, else all reasons, and a text that names the
        sources.
    """
    reason, text, response = conclude(FreshnessMonitor(sources).check(now, samples))
    return (reason, text) if response >= Response.HOLD else (Reason.NONE, '')


class _Resolution:
    """
    Estimate of the resolution of arrival times in ns, from the lateness of ticks.

    If simulated time moves in steps longer than a tick, all ticks are late, and a message that
    arrives between two steps has the arrival time of the first: its stamp may be ahead by a step
    although the clocks agree.

    :param late: Time between two ticks above which the second is late.
    """

    def __init__(self, late: int) -> None:
        self._late = late
        self.reset()

    def reset(self) -> None:
        """Start before the first tick."""
        self._last: int | None = None
        self._count, self._step = 0, 0

    def add(self, now: int) -> int:
        """Add a tick, and return the resolution of arrival times; 0 if they are exact."""
        last, self._last = self._last, now
        step = 0 if last is None else now - last
        if step <= self._late:
            self._count = 0
            return 0
        self._step = min(self._step, step) if self._count else step
        self._count += 1
        return self._step if self._count >= _LATE_TICKS else 0


class _Delay:
    """Smallest transport delay of a source in ns, as the difference of two clocks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start without a message."""
        self.smallest = 0
        # By the joints that were taken from a message, if several make a sample.
        self._last: dict[tuple[str, ...], tuple[int, int]] = {}
        self._count = 0
        self._run = 0
        self._before: int | None = None

    def add(self, received: int, stamp: int, joints: tuple[str, ...] = ()) -> None:
        """Add a message, unless it is the last one again."""
        if (received, stamp) == self._last.get(joints):
            return
        if len(self._last) > _KINDS:
            self._last.clear()
        self._last[joints] = received, stamp
        if self._count == _RUN:
            self._before, self._count = self._run, 0
        self._run = received - stamp if not self._count else min(self._run, received - stamp)
        self._count += 1
        self.smallest = self._run if self._before is None else min(self._run, self._before)

    def describe(self) -> str:
        """Describe the measured delay."""
        number = self._count + (0 if self._before is None else _RUN)
        side = 'behind' if self.smallest >= 0 else 'ahead of'
        least = 'at least' if self.smallest >= 0 else 'up to'
        return (
            f'its stamps are {least} {abs(self.smallest) * 1e-9:.3f} s {side} their arrival '
            f'(messages: {number})')


def _judge_parts(
        now: int, source: Source, joints: Joints, delay: _Delay) -> tuple[Reason, str] | None:
    """Check the age of each message that joints were taken from; name the stale joints."""
    worst: tuple[Reason, str] | None = None
    for part in joints.parts:
        if part.stamp and part.received and source.time != RECEIVE:
            delay.add(part.received, part.stamp, part.joints)
        fault = _judge(now, source, part, delay)
        if fault is None:
            continue
        reason, text = fault
        text = f'joint(s) {listed(part.joints)}: {text}'
        worst = (reason, text) if worst is None else (
            worst[0], f'{worst[1]}; {text}')
    if worst is None:
        return None
    reason, text = worst
    if joints.is_other:
        text += f'; the newest message names {listed(joints.heard) or "nothing"}'
    return reason, text + _describe_publishers(joints, 'published by')


def _describe_missing(joints: Joints) -> str:
    """Describe joints that were never received, and those that were received instead."""
    return (
        f'{listed(joints.missing)} never received; {joints.hint}'
        + _describe_publishers(joints, 'from'))


def _describe_publishers(joints: Joints, how: str) -> str:
    """List the publishers, if they are known."""
    if not joints.publishers:
        return ''
    gone = f'; {listed(joints.gone)} is gone' if joints.gone else ''
    return f'; {how} {len(joints.publishers)} publisher(s): {listed(joints.publishers)}{gone}'


def _judge(
        now: int, source: Source, sample: Sample | Part, delay: _Delay,
) -> tuple[Reason, str] | None:
    """Check the age of one sample, by the times that the source selects."""
    limit = f'maximum age {source.max_age:g} s'
    silent = (now - sample.received) * 1e-9
    if silent > source.max_age and source.time != HEADER:
        return Reason.STALE, f'nothing arrived for {silent:.3f} s, {limit}'
    if sample.stamp == 0 and source.time != RECEIVE:
        return Reason.STALE, 'header.stamp is empty, so its age is unknown; have it stamped'
    age = silent if source.time == RECEIVE else (now - sample.time) * 1e-9
    if age > source.max_age:
        # If the source fell silent, its stamps exceed the maximum age shortly before its arrivals.
        doubt = f'; {delay.describe()}; do the clocks agree?' if silent < age / 2 else ''
        return Reason.STALE, (
            f'arrived {silent:.3f} s ago and stamped {age:.3f} s ago, {limit}{doubt}')
    if age < -source.max_age:
        return Reason.FUTURE, (
            f'stamped {-age:.3f} s in the future, {limit}; {delay.describe()}; do the clocks '
            'agree?')
    if silent < -source.max_age and source.time != HEADER:
        return Reason.FUTURE, (
            f'arrived {-silent:.3f} s in the future, {limit}; was the clock set back?')
    return None
