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
"""Whether the sources are there and fresh, and whether their clocks agree with ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math

from dfp_ros.core.description.sources import HEADER, RECEIVE, Source
from dfp_ros.core.observation.sample import Joints, Part, Sample
from dfp_ros.core.observation.sample_reader import FRAME
from dfp_ros.core.safety.reasons import conclude, Finding, finding, Reason, Response
from dfp_ros.core.text.printable import listed, quoted

# What a latched source is missing where it was never seen.
_LATCHED = (
    '; it is asked for with durability transient_local, so see whether its publisher offers that, '
    'and is still there')
# The smallest delay is that of the last one to two such runs of messages.
_RUN = 100
# Ticks in a row that all come late before the clock is taken for one that moves in steps; and by
# how much, as a share of the time between two.
_LATE_TICKS, _LATE = 3, 1.01
# Kinds of messages that one sample may be put together from, as far as their delay goes.
_KINDS = 20


class FreshnessMonitor:
    """
    Watches all sources of a robot.

    Age is judged twice, unless the source says otherwise: by when the message arrived, which no
    publisher's clock can defeat, and by its header stamp, which no queue can defeat. Both are only
    as good as ``now``: where that is set back, samples from before have to be forgotten first, as
    :meth:`dfp_ros.core.observation.sample_store.SampleStore.pass_time` does.

    Where joints of a source come in several messages, each of these has its own age. What lasts is
    never from the future, and is too old only where its source has a maximum age.

    :param sources: All sources.
    :param clock_skew: Seconds by which stamps may be ahead of their arrival; 0 for any.
    :param tick: Time between two ticks in ns; 0 where that is not known.
    """

    def __init__(
            self, sources: Iterable[Source], clock_skew: float = 0.0, tick: int = 0) -> None:
        """Start without having seen anything."""
        self._clock_skew = clock_skew * 1e9
        self._resolution = _Resolution(round(_LATE * tick)) if tick else None
        self._sources = tuple(
            (source, f'source {source.name!r} (topic {source.topic})', _Delay())
            for source in sources)

    def reset(self) -> None:
        """Forget what was measured of the clocks."""
        if self._resolution is not None:
            self._resolution.reset()
        for _, _, delay in self._sources:
            delay.reset()

    def check(self, now: int, samples: Mapping[str, Sample | None]) -> list[Finding]:
        """
        Look at the newest samples.

        :param now: Time in ns.
        :param samples: Newest sample of each source by name, None or absent where none was seen.
        :return: What is the matter with each source; empty where nothing is.
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
            if sample.lasts and (source.child or source.max_age == math.inf):
                continue
            joints, wrong = sample.joints, None
            if joints is None:
                # Before simulated time begins, it is 0, and no arrival tells anything of clocks.
                if sample.stamp and sample.received and source.time != RECEIVE:
                    delay.add(sample.received, sample.stamp)
                wrong = _judge(now, source, sample, delay)
            elif joints.missing:
                findings.append(finding(Reason.WAITING, f'{name}: {_describe_missing(joints)}'))
                continue
            else:
                wrong = _judge_parts(now, source, joints, delay)
            if wrong is not None and not (sample.lasts and wrong[0] is Reason.FUTURE):
                reason, text = wrong
                findings.append(finding(reason, f'{name}: {text}', source.when_stale))
            elif self._clock_skew and delay.smallest < -skew:
                findings.append(finding(
                    Reason.CLOCK_SKEW, f'{name}: {delay.describe()}; the clocks differ'))
        return findings


def check_sources(
        now: int, sources: Iterable[Source],
        samples: Mapping[str, Sample | None]) -> tuple[Reason, str]:
    """
    See once whether every source is there and fresh, without a memory of their clocks.

    :return: :attr:`Reason.NONE` where the robot may go on, or every reason that applies, and a
        text that names the sources.
    """
    reason, text, response = conclude(FreshnessMonitor(sources).check(now, samples))
    return (reason, text) if response >= Response.HOLD else (Reason.NONE, '')


class _Resolution:
    """
    How exactly arrivals are known, as far as the ticks tell, in ns.

    Simulated time that moves in steps longer than a tick makes all ticks late, and what arrives
    between two steps seems to have arrived at the first: a stamp may be ahead of it by a step
    without that the clocks differ.

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
        """Note a tick, and tell how exactly arrivals are known; 0 where they are exact."""
        last, self._last = self._last, now
        step = 0 if last is None else now - last
        if step <= self._late:
            self._count = 0
            return 0
        self._step = min(self._step, step) if self._count else step
        self._count += 1
        return self._step if self._count >= _LATE_TICKS else 0


class _Delay:
    """The smallest time that messages of a source took, as far as two clocks can tell, in ns."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start without a message."""
        self.smallest = 0
        # By the joints that were taken from it, where several messages make a sample.
        self._last: dict[tuple[str, ...], tuple[int, int]] = {}
        self._count = 0
        self._run = 0
        self._before: int | None = None

    def add(self, received: int, stamp: int, joints: tuple[str, ...] = ()) -> None:
        """Note a message, if it is another one."""
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
        """Say what was measured."""
        number = self._count + (0 if self._before is None else _RUN)
        way = 'behind' if self.smallest >= 0 else 'ahead of'
        least = 'at least' if self.smallest >= 0 else 'up to'
        return (
            f'its stamps are {least} {abs(self.smallest) * 1e-9:.3f} s {way} their arrival '
            f'(messages: {number})')


def _judge_parts(
        now: int, source: Source, joints: Joints, delay: _Delay) -> tuple[Reason, str] | None:
    """Judge the age of each message that joints were taken from; name the joints that are old."""
    worst: tuple[Reason, str] | None = None
    for part in joints.parts:
        if part.stamp and part.received and source.time != RECEIVE:
            delay.add(part.received, part.stamp, part.joints)
        wrong = _judge(now, source, part, delay)
        if wrong is None:
            continue
        reason, text = wrong
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
    """Say what never came, and what came instead."""
    return (
        f'{listed(joints.missing)} never came; {joints.hint}'
        + _describe_publishers(joints, 'from'))


def _describe_publishers(joints: Joints, how: str) -> str:
    """Say who publishes, where that is known."""
    if not joints.publishers:
        return ''
    gone = f'; {listed(joints.gone)} is gone' if joints.gone else ''
    return f'; {how} {len(joints.publishers)} publisher(s): {listed(joints.publishers)}{gone}'


def _judge(
        now: int, source: Source, sample: Sample | Part, delay: _Delay,
) -> tuple[Reason, str] | None:
    """Judge the age of one sample, by the clocks that the source names."""
    limit = f'maximum age {source.max_age:g} s'
    silent = (now - sample.received) * 1e-9
    if silent > source.max_age and source.time != HEADER:
        return Reason.STALE, f'nothing arrived for {silent:.3f} s, {limit}'
    if sample.stamp == 0 and source.time != RECEIVE:
        return Reason.STALE, 'header.stamp is empty, so its age is unknown; have it stamped'
    age = silent if source.time == RECEIVE else (now - sample.time) * 1e-9
    if age > source.max_age:
        # Where the source fell silent, its stamps come of age a little before its arrivals.
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
