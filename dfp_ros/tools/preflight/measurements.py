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
"""What a preflight measures, as plain data: the ticks, the sources and the command topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

import numpy as np

from dfp_ros.node.ros.endpoints import Endpoint

#: What a tick is made of, in order.
PARTS = ('wake_up', 'deciding', 'inference', 'publishing')


@dataclass(frozen=True)
class Percentiles:
    """
    How large some numbers were, in ms; NaN where there were none.

    :param count: How many there were.
    :param p50: Half of them were smaller.
    :param p99: 99 of a hundred were smaller.
    :param p999: 999 of a thousand were smaller; of fewer numbers, almost the largest.
    :param largest: The largest.
    """

    count: int
    p50: float = math.nan
    p99: float = math.nan
    p999: float = math.nan
    largest: float = math.nan

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles:
        """Sum up numbers that are in s."""
        if not len(seconds):
            return cls(0)
        values = np.asarray(seconds) * 1e3
        return cls(len(values), *(
            float(value) for value in np.percentile(values, (50, 99, 99.9, 100))))


class WakeUps:
    """
    How much later than its deadline each tick begins, and which deadlines pass without one.

    :param first: The first deadline in ns.
    :param period: Time between two deadlines in ns.

    :ivar missed: Deadlines that passed without a tick.
    """

    def __init__(self, first: int, period: int) -> None:
        """Start before the first deadline."""
        self.missed = 0
        self._due = first
        self._period = period

    def add(self, time: int) -> int:
        """
        Note that a tick began.

        A timer keeps to its deadlines: it drops those that have passed, and makes up for none.

        :param time: When, in ns, on the clock of the deadlines.
        :return: How late it is in ns; 0 where it is early by rounding.
        """
        late = time - self._due
        skipped = max(0, late // self._period)
        self.missed += skipped
        self._due += (1 + skipped) * self._period
        return max(0, late)


@dataclass(frozen=True)
class SourceFigures:
    """
    What came of a source.

    :param name: What the description calls it.
    :param topic: Its topic's full name.
    :param type: Its message type.
    :param max_age: Age in s above which the robot is stopped.
    :param count: Messages that came.
    :param rate: Messages a second, NaN for fewer than two.
    :param jitter: Standard deviation of the time between two, in s.
    :param longest_gap: Longest time without a message in s, to the end included.
    :param offset: Median time from stamp to arrival in s, NaN where there are no stamps.
    :param smallest_offset: The smallest of these times in s.
    :param empty_stamps: Messages whose stamp was empty.
    :param publishers: Who publishes on the topic.
    :param missing_joints: Joints that are read and in none of its messages.
    :param joints: Names of joints in its messages.
    :param similar: Other topics of the same type on which somebody publishes.
    :param gap_joint: Joint that had the longest gap, where joints come in several messages.
    :param shares: Kinds of messages that share the joints, no two of which have the same one.
    :param is_latched: Whether it is published once, and valid until it is replaced.
    :param has_value: Whether there is such a value.
    """

    name: str
    topic: str
    type: str
    max_age: float
    count: int = 0
    rate: float = math.nan
    jitter: float = math.nan
    longest_gap: float = math.inf
    offset: float = math.nan
    smallest_offset: float = math.nan
    empty_stamps: int = 0
    publishers: tuple[Endpoint, ...] = ()
    missing_joints: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    gap_joint: str = ''
    shares: int = 1
    is_latched: bool = False
    has_value: bool = False


@dataclass(frozen=True)
class CommandFigures:
    """
    Who listens to a command topic.

    :param name: What the description calls it.
    :param topic: Its topic's full name.
    :param type: Its message type.
    :param subscribers: Who listens.
    :param others: Nodes that publish there too.
    :param unlimited: What has no limit, for example ``the velocity of arm_position``.
    """

    name: str
    topic: str
    type: str
    subscribers: tuple[Endpoint, ...] = ()
    others: tuple[str, ...] = ()
    unlimited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """
    Everything that was measured.

    :param period: Time between two ticks in s.
    :param share: Share of the period that the p99 of a tick may take.
    :param clock_skew: Seconds by which stamps may be ahead of their arrival; 0 for any.
    :param seconds: How long was measured.
    :param is_lockstep: Whether ticks follow the samples, so that sources wait for commands.
    :param has_clock: Whether there is a clock to go by; False where simulated time is wanted and
        nobody publishes it.
    :param clock_step: By how much simulated time goes on at once in s; NaN where time is not
        simulated, or that is not known.
    :param ticks: Ticks that there were.
    :param missed: Ticks that there were not.
    :param parts: What a tick took, by :data:`PARTS`.
    :param together: From the deadline until everything was published.
    :param observation_age: Age of the oldest source at the tick.
    :param running: Ticks in which the policy would have commanded.
    :param stops: Ticks in which the robot would have been stopped, by what was the matter; the
        text is that of the last such tick.
    :param outside: Numbers of the observation that were outside the training data's, and in how
        many ticks.
    :param left_out: Execution providers that were asked for and are not there.
    :param sources: The sources.
    :param commands: The command topics.
    :param refused: What the system refused of ``realtime.*``, and what it takes.
    :param is_realtime_required: Whether the node would not activate without it.
    """

    period: float
    share: float
    clock_skew: float
    seconds: float
    is_lockstep: bool = False
    has_clock: bool = True
    clock_step: float = math.nan
    ticks: int = 0
    missed: int = 0
    parts: dict[str, Percentiles] = field(default_factory=dict)
    together: Percentiles = Percentiles(0)
    observation_age: Percentiles = Percentiles(0)
    running: int = 0
    stops: dict[str, tuple[int, str]] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    sources: tuple[SourceFigures, ...] = ()
    commands: tuple[CommandFigures, ...] = ()
    refused: tuple[str, ...] = ()
    is_realtime_required: bool = False

    @property
    def rate(self) -> float:
        """Ticks a second that are wanted."""
        return 1 / self.period
