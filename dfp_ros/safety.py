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
"""When the robot must stop, and why a command is what it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import enum

from dfp_ros.observation import Sample
from dfp_ros.source_description import Source


class Reason(enum.Flag):
    """Why a command is not simply what the policy answered."""

    NONE = 0
    #: A source was never seen; nothing is commanded.
    WAITING = enum.auto()
    #: A source is older than its maximum age; zero is commanded.
    STALE = enum.auto()
    #: A source is stamped in the future by more than its maximum age; zero is commanded.
    FUTURE = enum.auto()
    #: A message does not hold what the description says; zero is commanded.
    UNREADABLE = enum.auto()
    #: The observation has a number that is not finite; zero is commanded.
    NOT_FINITE_OBSERVATION = enum.auto()
    #: The policy failed to answer; zero is commanded.
    INFERENCE_FAILED = enum.auto()
    #: The policy answered with a number that is not finite; zero is commanded.
    NOT_FINITE_ACTION = enum.auto()
    #: Something failed that should not have; zero is commanded.
    INTERNAL_ERROR = enum.auto()
    #: The action was outside [-1, 1], or its command outside its bounds, and was clipped.
    CLIPPED = enum.auto()
    #: The command was too fast, too sudden or too near a wall, and was sent as far as allowed.
    LIMITED = enum.auto()
    #: Nobody knows where the robot is, and commands have to start from there.
    UNMEASURED = enum.auto()

    @property
    def words(self) -> str:
        """Return the reasons as words, ``none`` where there is none."""
        names = [str(member.name) for member in Reason if member.value and member in self]
        return ' '.join(name.lower() for name in names) or 'none'


def check_sources(
        now: int, sources: Iterable[Source],
        samples: Mapping[str, Sample | None]) -> tuple[Reason, str]:
    """
    See whether every source is there and fresh.

    Age is judged twice: by when the message arrived, which no publisher's clock can defeat, and by
    its header stamp, which no queue on the way can defeat. Both are only as good as ``now``: where
    that is set back, samples from before have to be forgotten first, as
    :meth:`dfp_ros.sample_store.SampleStore.pass_time` does.

    :param now: Time in ns.
    :param sources: All sources.
    :param samples: Newest sample of each source by name, None or absent where none was seen.
    :return: :attr:`Reason.NONE`, or every reason that applies, and a text that names the sources.
    """
    reason, texts = Reason.NONE, []
    for source in sources:
        name = f'source {source.name!r} (topic {source.topic})'
        sample = samples.get(source.name)
        if sample is None:
            reason |= Reason.WAITING
            texts.append(f'{name}: no message yet')
            continue
        limit = f'maximum age {source.max_age:g} s'
        silent = (now - sample.received) * 1e-9
        age = (now - sample.time) * 1e-9
        if silent > source.max_age:
            reason |= Reason.STALE
            texts.append(f'{name}: nothing arrived for {silent:.3f} s, {limit}')
        elif sample.stamp == 0:
            reason |= Reason.STALE
            texts.append(f'{name}: header.stamp is empty, so its age is unknown; have it stamped')
        elif age > source.max_age:
            reason |= Reason.STALE
            # Where the source fell silent, its stamps come of age a little before its arrivals.
            doubt = '; do the clocks agree?' if silent < age / 2 else ''
            texts.append(
                f'{name}: arrived {silent:.3f} s ago and stamped {age:.3f} s ago, {limit}{doubt}')
        elif min(age, silent) < -source.max_age:
            reason |= Reason.FUTURE
            texts.append(
                f'{name}: stamped {-min(age, silent):.3f} s in the future, {limit}; do the clocks '
                'agree?')
    return reason, '; '.join(texts)
