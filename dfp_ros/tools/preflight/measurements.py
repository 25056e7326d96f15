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
"""Measurements of a preflight as plain data: ticks, sources and command topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

import numpy as np

from dfp_ros.node.ros.endpoints import Endpoint

#: Parts of a tick, in order.
PARTS = ('wake_up', 'deciding', 'inference', 'publishing')


@dataclass(frozen=True)
class Percentiles:
    """
    Percentiles of a sample in ms; NaN if it is empty.

    :param count: Sample size.
    :param p50: Median.
    :param p99: 99th percentile.
    :param p999: 99.9th percentile; of small samples, almost the maximum.
    :param largest: Maximum.
    """

    count: int
    p50: float = math.nan
    p99: float = math.nan
    p999: float = math.nan
    largest: float = math.nan

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles:
        """Summarise times that are in s."""
        if not len(seconds):
            return cls(0)
        values = np.asarray(seconds) * 1e3
        return cls(len(values), *(
            float(value) for value in np.percentile(values, (50, 99, 99.9, 100))))


class WakeUps:
    """
    Wake-up latency of each tick, and deadlines that pass without one.

    :param first: First deadline in ns.
    :param period: Time between deadlines in ns.

    :ivar missed: Deadlines that passed without a tick.
    """

    def __init__(self, first: int, period: int) -> None:
        """Start before the first deadline."""
        self.missed = 0
        self._due = first
        self._period = period

    def add(self, time: int) -> int:
        """
        Record the start of a tick.

        A timer keeps its deadlines: it skips those that have passed, without making up for them.

        :param time: Start in ns, on the clock of the deadlines.
        :return: Latency in ns; 0 if it is early by rounding.
        """
        late = time - self._due
        skipped = max(0, late // self._period)
        self.missed += skipped
        self._due += (1 + skipped) * self._period
        return max(0, late)


@dataclass(frozen=True)
class SourceFigures:
    """
    Measurements of a source.

    :param name: Name in the description.
    :param topic: Full name of the topic.
    :param type: Message type.
    :param max_age: Age in s above which the robot is stopped.
    :param count: Messages received.
    :param rate: Messages per second; NaN for fewer than two.
    :param jitter: Standard deviation of the time between messages, in s.
    :param longest_gap: Longest time without a message in s, including the end.
    :param offset: Median time from stamp to arrival in s; NaN if there are no stamps.
    :param smallest_offset: Smallest time from stamp to arrival, in s.
    :param empty_stamps: Messages with an empty stamp.
    :param publishers: Publishers of the topic.
    :param missing_joints: Joints that are read but missing from all messages.
    :param joints: Names of the joints in the messages.
    :param similar: Other topics of the same type that have a publisher.
    :param gap_joint: Joint with the longest gap, if joints come in several messages.
    :param shares: Groups of joints that come in one message, without overlap.
    :param is_latched: Whether it is published once, and valid until it is replaced.
    :param has_value: Whether a latched value exists.
    :param picture: Of a camera: size and encoding of its pictures; empty for any other source.
    :param messages: Of a camera: messages received, before and during the measurement.
    :param decoded: Of a camera: those that were decoded; newer ones replaced the others.
    :param decoding: Of a camera: longest time that decoding took, in s.
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
    picture: str = ''
    messages: int = 0
    decoded: int = 0
    decoding: float = math.nan


@dataclass(frozen=True)
class CommandFigures:
    """
    Measurements of a command topic.

    :param name: Name in the description.
    :param topic: Full name of the topic.
    :param type: Message type.
    :param subscribers: Subscribers of the topic.
    :param others: Nodes that also publish on it.
    :param unlimited: Quantities without a limit, for example ``the velocity of arm_position``.
    :param similar: Other topics of the same type that have a subscriber.
    """

    name: str
    topic: str
    type: str
    subscribers: tuple[Endpoint, ...] = ()
    others: tuple[str, ...] = ()
    unlimited: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()


@dataclass(frozen=True)
class PersonFigures:
    """
    Topic of a person who may take over.

    :param name: Name in the description.
    :param topic: Full name of the topic.
    :param type: Message type.
    :param publishers: Publishers of the topic; there need not be any.
    """

    name: str
    topic: str
    type: str
    publishers: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Figures:
    """
    All measurements.

    :param period: Control period in s.
    :param share: Share of the period that the p99 of a tick may take.
    :param clock_skew: Seconds by which stamps may be ahead of their arrival; 0 for any.
    :param seconds: Duration of the measurement.
    :param is_lockstep: Whether samples trigger the ticks, so that sources wait for commands.
    :param has_clock: Whether a clock exists; False if simulated time is configured and not
        published.
    :param clock_step: Step of simulated time in s; NaN if time is not simulated, or the step is
        unknown.
    :param ticks: Number of ticks.
    :param missed: Number of missed ticks.
    :param parts: Durations of the parts of a tick, by :data:`PARTS`.
    :param together: Time from the deadline until everything was published.
    :param observation_age: Age of the oldest source at the tick.
    :param running: Ticks in which the policy would have commanded.
    :param stops: Ticks in which the robot would have been stopped, by reason, with the text of the
        last one.
    :param outside: Elements of the observation outside the range of the training data, with their
        number of ticks.
    :param left_out: Execution providers that were requested but are not available.
    :param sources: The sources.
    :param commands: The command topics.
    :param refused: Settings of ``realtime.*`` that the system refused, with the remedy.
    :param is_realtime_required: Whether the node would not activate without them.
    :param hung: Duration in s of a tick that did not end, which ended the measurement; 0 for none.
    :param people: Topics of a person who may take over.
    :param signer: Who has signed the policy file; empty if no signature was required.
    :param unused: Settings that are set and have no effect beside the others, or change what the
        policy sees, with the remedy.
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
    hung: float = 0.0
    people: tuple[PersonFigures, ...] = ()
    signer: str = ''
    unused: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Control rate in Hz."""
        return 1 / self.period
