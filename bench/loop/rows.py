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
"""From the times of ticks to the rows of figures."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common.distribution import distribution
from bench.loop import record

Times = NDArray[np.float64]
# Bins of the period's histogram: 10 us each, from 1 ms too short to 1 ms too long, and beyond.
_BIN_US, _BINS = 10, 100
# By how much of a period a tick may seem to begin before its deadline.
_NOISE = 0.01


@dataclass(frozen=True)
class Stretch:
    """
    What a process did in a stretch of time.

    :param ticks: Rows of its record, see :mod:`loop_record`.
    :param cpu: Seconds of the processor that the process took, all of its threads.
    :param others: Cores that what has nothing to do with the measurement kept busy.
    :param stolen: Cores that the host of a virtual machine gave to somebody else.
    """

    ticks: Times
    cpu: float
    others: float = 0.0
    stolen: float = 0.0


def stretch(
        rows: Times, begin: float, end: float, cpu: float, others: float = 0.0,
        stolen: float = 0.0) -> Stretch:
    """Cut out of a record what began between two times, in ns."""
    within = (rows[:, record.BEGAN] >= begin) & (rows[:, record.BEGAN] < end)
    return Stretch(rows[within], cpu, others, stolen)


def summarise(
        stretches: Sequence[Stretch], period: float, arrivals: Times | None = None,
        timed: bool = True) -> dict[str, Any]:
    """
    Summarise what one process did, in one stretch or in several.

    ``period_error`` is that of the time between two commands, in which the jitter of inference is,
    and ``tick_period_error`` of that between the beginnings of two ticks. A tick is ``missed`` as
    the node itself counts it: each one belongs to the last deadline before it, and deadlines
    without a tick are missed. Other definitions follow from ``wakeup``, the time from a deadline
    to its tick.

    :param stretches: What it did; there is a tick in each.
    :param period: Time between two ticks, in ns.
    :param arrivals: Rows of the robot's record; None where nothing is sent.
    :param timed: Whether ticks have deadlines.
    """
    ticks = np.concatenate([each.ticks for each in stretches])
    row: dict[str, Any] = {
        'seconds': float(sum(np.ptp(each.ticks[:, record.BEGAN]) for each in stretches)) / 1e9,
        'ticks': len(ticks), 'missed': sum(_missed(each.ticks, period) for each in stretches),
        'cpu_us_per_tick': 1e6 * sum(each.cpu for each in stretches) / len(ticks),
        'others_cores': max(each.others for each in stretches),
        'stolen_cores': max(each.stolen for each in stretches)}
    for name, column in (('period_error', record.SENT), ('tick_period_error', record.BEGAN)):
        error = np.concatenate([np.diff(each.ticks[:, column]) for each in stretches]) - period
        row[name] = distribution(np.abs(error) / 1e9)
        if column == record.SENT:
            row['period_histogram'] = _histogram(error / 1e3)
    if timed:
        late = np.concatenate([wakeups(each.ticks, period) for each in stretches])
        row['wakeup'] = distribution(late / 1e9)
        row['late_half_a_period'] = int(np.sum(late > period / 2))
        row['late_a_period'] = int(np.sum(late > period))
    asked = ticks[np.isfinite(ticks[:, record.INFERENCE])]
    if len(asked):
        row['inference'] = distribution(asked[:, record.INFERENCE])
        row['inference_mean_us'] = 1e6 * float(asked[:, record.INFERENCE].mean())
        row['observation_to_command'] = distribution(
            (asked[:, record.SENT] - asked[:, record.STAMP]) / 1e9)
        if timed:
            # What is left when the observation's wait for its deadline does not count.
            taken = np.concatenate([
                (each.ticks[:, record.SENT] - each.ticks[:, record.BEGAN])[1:]
                for each in stretches])
            row['deadline_to_command'] = distribution((late + taken) / 1e9)
    if arrivals is not None:
        received = arrival_times(ticks, arrivals)
        there = np.isfinite(received)
        row['not_received'] = int(np.sum(~there))
        if there.any():
            row['command_to_reception'] = distribution(
                (received - ticks[:, record.SENT])[there].clip(0) / 1e9)
        there &= np.isfinite(ticks[:, record.STAMP])
        if there.any():
            row['observation_to_reception'] = distribution(
                (received - ticks[:, record.STAMP])[there] / 1e9)
    return row


def wakeups(ticks: Times, period: float) -> Times:
    """
    Find how long after its deadline each tick but the first began, shape (ticks - 1,), in ns.

    The deadline is what the timer named after the tick before. Where nothing named any, the tick
    that came earliest in its period is taken for punctual.
    """
    began, due = ticks[1:, record.BEGAN], _due_next(ticks, period)
    if due is not None:
        return began - due[:-1]
    offset = (began - began[0] + period / 2) % period
    return offset - offset.min()


def _due_next(ticks: Times, period: float) -> Times | None:
    """Find the deadline after each tick; None where nothing named them."""
    named = ticks[:, record.NEXT_DEADLINE]
    if not np.isfinite(named).all():
        return None
    # Deadlines are whole periods apart, and were named a little too early where the process was
    # kept from running between two looks at the clock.
    offset = (named - named[0] + period / 2) % period - period / 2
    first = named[0] + np.median(offset)
    return first + np.round((named - first) / period) * period


def arrival_times(ticks: Times, arrivals: Times) -> Times:
    """
    Find when the robot had each tick's command, in ns; NaN where it did not get it.

    The same command may be sent twice, as noise starts again after a swap: what arrives first
    after the tick began is its own.
    """
    when: dict[bytes, list[float]] = {}
    for row in arrivals:
        when.setdefault(row[record.ARRIVED_COMMAND:].tobytes(), []).append(row[record.ARRIVED])
    found = np.full(len(ticks), np.nan)
    for number, row in enumerate(ticks):
        times = when.get(row[record.COMMAND:].tobytes(), [])
        place = bisect.bisect_left(times, row[record.BEGAN])
        if place < len(times):
            found[number] = times[place]
    return found


def _missed(ticks: Times, period: float) -> int:
    """Count the deadlines without a tick."""
    began, due = ticks[:, record.BEGAN], _due_next(ticks, period)
    offset = (began - began[0] + period / 2) % period
    grid = began[0] + offset.min() if due is None else due[0]
    # The last deadline before each, or right after it: two clocks were looked at.
    first, last = np.floor((began[[0, -1]] - grid) / period + _NOISE)
    return int(last - first) + 1 - len(ticks)


def _histogram(microseconds: Times) -> dict[str, list[float]]:
    """Count periods by what they are too long; the first and the last bin are open."""
    edges = np.arange(-_BINS, _BINS + 1) * _BIN_US
    counts = np.histogram(microseconds.clip(edges[0], edges[-1]), edges)[0]
    return {'edges_us': edges.tolist(), 'counts': counts.tolist()}
