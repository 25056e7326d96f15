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
"""Verdict of a soak test: memory, threads, descriptors, and missed ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

#: Growth of memory during the evaluated time that counts as a failure if significant, in KB.
ALLOWED_KB = 4096
# A row of statistics covers the 0.1 s since the previous one, and takes a while to arrive.
_ROW = 0.3
_CONFIDENCE = 1.96


def slope(seconds: ArrayLike, values: ArrayLike) -> tuple[float, float, float]:
    """
    Fit a line robust to outliers: the median of the slopes of all pairs.

    Theil and Sen; the interval is Sen's (J. Am. Stat. Assoc. 63, 1968, section 3).

    :param seconds: Shape (samples,), in s, all different; there are at least three.
    :param values: Shape (samples,).
    :return: Slope per hour, and its 95 % interval.
    """
    times, numbers = np.asarray(seconds, np.float64) / 3600, np.asarray(values, np.float64)
    count = len(times)
    if count < 3:
        raise ValueError(f'found {count} samples, expected at least 3 for a slope')
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((numbers[second] - numbers[first]) / (times[second] - times[first]))
    reach = _CONFIDENCE * np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, round((len(slopes) - reach) / 2) - 1)
    high = min(len(slopes) - 1, round((len(slopes) + reach) / 2))
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


@dataclass
class MissedTicks:
    """
    Times of missed ticks, from the node's counts since its activation.

    :ivar ticks: Number of ticks.
    :ivar events: Time, and ticks missed since the previous time.
    """

    ticks: int = 0
    events: list[tuple[float, int]] = field(default_factory=list)
    _last: tuple[int, int] = (0, 0)

    def add(self, time: float, ticks: int, missed: int) -> None:
        """
        Add counts of the node; fewer ticks than before mean a new activation.

        :param time: Time in s.
        :param ticks: Ticks since the activation.
        :param missed: Missed ticks since the activation.
        """
        before = self._last if ticks >= self._last[0] else (0, 0)
        self.ticks += ticks - before[0]
        if missed > before[1]:
            self.events.append((time, missed - before[1]))
        self._last = ticks, missed


def attribute(
        events: Sequence[tuple[float, int]], windows: Sequence[tuple[float, float]],
        ) -> tuple[int, int]:
    """
    Count missed ticks within and outside windows.

    :param events: Times in s, and ticks missed until then.
    :param windows: Start and end in s.
    :return: Numbers within and outside.
    """
    within = sum(missed for time, missed in events if any(
        begin <= time <= end + _ROW for begin, end in windows))
    return within, sum(missed for _, missed in events) - within


def rise(rests: Sequence[dict[str, Any]], key: str) -> int:
    """
    Return the rise of a count between the first and the last time before each fault.

    :param rests: Counts with the name of the following ``fault``, in order.
    :param key: Key of the count.
    :return: Median over the faults that occurred at least twice.
    :raises ValueError: If none did.
    """
    by_fault: dict[str, list[int]] = {}
    for rest in rests:
        by_fault.setdefault(rest['fault'], []).append(rest[key])
    rises = [found[-1] - found[0] for found in by_fault.values() if len(found) > 1]
    if not rises:
        raise ValueError(
            'each fault occurred once at most, expected twice after the warm-up; soak for '
            'longer, or with a shorter interval')
    return round(float(np.median(rises)))


def judge(row: dict[str, Any]) -> dict[str, Any]:
    """
    Evaluate a soak test.

    :param row: ``rests``, ``faults`` with ``begin``, ``end`` and ``failed``, ``missed`` events,
        and ``stalls`` of the machine, None if they are not known; times in s. Faults with
        ``warming`` are not evaluated, because the first time may take memory, threads and
        descriptors permanently.
    :return: Metrics, and ``wrong``: failures in words.
    :raises ValueError: If it was too short for a verdict.
    """
    wrong = [f'{fault["fault"]}: {fault["failed"]}' for fault in row['faults'] if fault['failed']]
    judged = [rest for rest in row['rests'] if not rest['warming']]
    if len(judged) < 3:
        raise ValueError(
            f'{len(judged)} faults after the warm-up, expected at least 3'
            + ''.join(f'\n{each}' for each in wrong))
    per_hour, low, high = slope(
        [rest['time'] for rest in judged], [rest['resident_kb'] for rest in judged])
    hours = (judged[-1]['time'] - judged[0]['time']) / 3600
    growing = low > 0 and per_hour * hours > ALLOWED_KB
    faults = [(fault['begin'], fault['end']) for fault in row['faults']]
    within, outside = attribute(row['missed'], faults)
    rises = {key: rise(judged, key) for key in ('threads', 'descriptors')}
    if growing:
        wrong.append(f'memory grows by {per_hour:+.0f} KB an hour ({low:+.0f} to {high:+.0f})')
    wrong += [f'{key} rose by {count}' for key, count in rises.items() if count > 0]
    return {
        'judged_minutes': 60 * hours, 'resident_mb': judged[-1]['resident_kb'] / 1024,
        'slope_kb_per_hour': per_hour, 'slope_low': low, 'slope_high': high,
        'memory': 'grows' if growing else 'flat' if low <= 0 else 'grows a little',
        **{f'{key}_rise': count for key, count in rises.items()},
        'missed_within_faults': within, 'missed_outside_faults': outside,
        **_of_stalls(row['stalls'], row['missed'], faults), 'wrong': wrong}


def _of_stalls(
        stalls: Sequence[tuple[float, float]] | None, missed: Sequence[tuple[float, int]],
        faults: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Count ticks missed in stalls of the machine; within a fault they count for the fault."""
    if stalls is None:
        return {'missed_in_stalls': None, 'stalls': None, 'longest_stall_ms': None}
    within, _ = attribute(missed, faults)
    return {
        'missed_in_stalls': attribute(missed, [*faults, *stalls])[0] - within,
        'stalls': len(stalls),
        'longest_stall_ms': 1e3 * max((end - begin for begin, end in stalls), default=0.0)}


def missed_outside(found: dict[str, Any]) -> str:
    """Format the number of ticks missed outside faults, and during stalls of the machine."""
    count = f'{found["missed_outside_faults"]:,}'
    if found['stalls'] is None:
        return f'{count} (stalls of the machine were not recorded)'
    return (
        f'{count}, {found["missed_in_stalls"]:,} of them in stalls of the '
        f'machine ({found["stalls"]:,} stalls, up to {found["longest_stall_ms"]:.0f} ms)')


def verdict(row: dict[str, Any]) -> str:
    """Format the verdict."""
    found = row['verdict']
    missed = found['missed_within_faults'] + found['missed_outside_faults']
    return '\n'.join([
        f'memory       {found["resident_mb"]:.1f} MB, slope {found["slope_kb_per_hour"]:+.0f} KB '
        f'an hour (95 %: {found["slope_low"]:+.0f} to {found["slope_high"]:+.0f}) in '
        f'{found["judged_minutes"]:.1f} min after the warm-up: {found["memory"]}',
        f'threads      {row["rests"][-1]["threads"]}, {found["threads_rise"]:+d}',
        f'descriptors  {row["rests"][-1]["descriptors"]}, {found["descriptors_rise"]:+d}',
        f'ticks        {row["ticks"]:,}, {missed} missed: {found["missed_within_faults"]} within '
        f'faults, outside {missed_outside(found)}',
        f'faults       {len(row["faults"])}, '
        f'{sum(not fault["failed"] for fault in row["faults"])} of them passed',
        *(f'FAILED       {each}' for each in found['wrong'])])
