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
"""Summary rows of the loop benchmark, from the times of ticks."""

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
# Fraction of a period by which a tick may seem to begin before its deadline.
_NOISE = 0.01


@dataclass(frozen=True)
class Stretch:
    """
    Measurement of a process in a time interval.

    :param ticks: Rows of its record, see :mod:`bench.loop.record`.
    :param cpu: Processor time of the process in s, with all its threads.
    :param others: Number of cores used by unrelated processes.
    :param stolen: Number of cores that the hypervisor gave to other guests.
    """

    ticks: Times
    cpu: float
    others: float = 0.0
    stolen: float = 0.0


def stretch(
        rows: Times, begin: float, end: float, cpu: float, others: float = 0.0,
        stolen: float = 0.0) -> Stretch:
    """Return the ticks of a record that began between two times, in ns."""
    within = (rows[:, record.BEGAN] >= begin) & (rows[:, record.BEGAN] < end)
    return Stretch(rows[within], cpu, others, stolen)


def summarise(
        stretches: Sequence[Stretch], period: float, arrivals: Times | None = None,
        timed: bool = True) -> dict[str, Any]:
    """
    Summarise the measurement of a process over one or more intervals.

    ``period_error`` is the error of the time between two commands, which includes the jitter of
    inference, and ``tick_period_error`` that of the time between the starts of two ticks. Missed
    ticks are counted as in the node: each tick belongs to the last deadline before it; deadlines
    without a tick are ``missed``. Other definitions follow from ``wakeup``, the time from deadline
    to its tick.

    :param stretches: The intervals, each with at least one tick.
    :param period: Control period in ns.
    :param arrivals: Rows of the robot's record; None if nothing is sent.
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
            # Remainder without the observation's wait for the deadline.
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
    Return the latency of each tick but the first in ns, shape (ticks - 1,).

    The deadline is that of the timer after the previous tick. If it was not recorded, the tick
    that came earliest in its period is assumed to be punctual.
    """
    began, due = ticks[1:, record.BEGAN], _due_next(ticks, period)
    if due is not None:
        return began - due[:-1]
    offset = (began - began[0] + period / 2) % period
    return offset - offset.min()


def _due_next(ticks: Times, period: float) -> Times | None:
    """Return the deadline after each tick; None if none was recorded."""
    named = ticks[:, record.NEXT_DEADLINE]
    if not np.isfinite(named).all():
        return None
    # Deadlines are whole periods apart, and were recorded slightly too early if the process was
    # preempted between two reads of the clock.
    offset = (named - named[0] + period / 2) % period - period / 2
    first = named[0] + np.median(offset)
    return first + np.round((named - first) / period) * period


def arrival_times(ticks: Times, arrivals: Times) -> Times:
    """
    Return when the robot received each tick's command, in ns; NaN if it did not.

    The same command may be sent twice, because the noise restarts after a swap: the first arrival
    after the start of the tick belongs to it.
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
    """Return the number of deadlines without a tick."""
    began, due = ticks[:, record.BEGAN], _due_next(ticks, period)
    offset = (began - began[0] + period / 2) % period
    grid = began[0] + offset.min() if due is None else due[0]
    # The last deadline before each tick, or right after it, because there are two clocks.
    first, last = np.floor((began[[0, -1]] - grid) / period + _NOISE)
    return int(last - first) + 1 - len(ticks)


def _histogram(microseconds: Times) -> dict[str, list[float]]:
    """Return the histogram of period errors; the first and the last bin are open."""
    edges = np.arange(-_BINS, _BINS + 1) * _BIN_US
    counts = np.histogram(microseconds.clip(edges[0], edges[-1]), edges)[0]
    return {'edges_us': edges.tolist(), 'counts': counts.tolist()}
