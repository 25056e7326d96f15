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
"""Goals of the control loop, and their evaluation; nothing is asserted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.loop.condition import EARLY, REHEARSAL

Row = dict[str, Any]
PERIOD_ERROR, CPU, OVERHEAD_US = 1.25, 1.5, 500.0
MISSED_1000, MISSED_BUSY = 1 / 1000, 1 / 2000


def judge(rows: Sequence[Row]) -> list[Row]:
    """
    Compare the node with its goals, relative to the bare timer of the same run.

    :param rows: Measurements; goals without a measurement are left out.
    :return: Name, ``found`` value, ``limit`` and whether it is ``met``, for each goal.
    """
    goals = []

    def add(goal: str, found: float, limit: float, **beside: float) -> None:
        goals.append(
            {'goal': goal, 'found': found, 'limit': limit, 'met': found <= limit, **beside})

    for words, how in (
            ('no load', {}), ('SCHED_FIFO', {'fifo': True}),
            ('SCHED_FIFO, early', {'fifo': True, 'early': EARLY}),
            ('SCHED_FIFO, early, warm-up',
             {'fifo': True, 'early': EARLY, 'rehearsal': REHEARSAL})):
        node, timer = (_find(rows, kind, 200, **how) for kind in ('node', 'timer'))
        if not node or not timer:
            continue
        add(f'200 Hz, {words}: ticks missed in {node["seconds"]:.0f} s', node['missed'], 0,
            timer=timer['missed'])
        for key, of in (('period_error', 'commands'), ('tick_period_error', 'ticks')):
            ours, theirs = node[key]['p99.9_us'], timer[key]['p99.9_us']
            add(f"200 Hz, {words}: p99.9 of the error of the {of}' period over the timer's",
                ours / theirs, PERIOD_ERROR, node_us=ours, timer_us=theirs)
        if 'inference' in node:
            add(f'200 Hz, {words}: p99 from the deadline to the command above inference, us',
                _above_inference(node, 'deadline_to_command'), OVERHEAD_US,
                inference_us=node['inference']['p99_us'], timer_us=timer['wakeup']['p99_us'])
    node, timer = _find(rows, 'node', 200), _find(rows, 'timer', 200)
    if node and timer:
        ours, theirs = node['cpu_us_per_tick'], timer['cpu_us_per_tick']
        inference = node.get('inference_mean_us', 0.0)
        add("200 Hz, no load: processor time of a tick without inference over the timer's",
            (ours - inference) / theirs, CPU, node_us=ours, inference_us=inference,
            timer_us=theirs)
    for words, fifo in (('', False), (', SCHED_FIFO', True)):
        node = _find(rows, 'node', 200, fifo=fifo, trigger='samples')
        if node and 'inference' in node:
            add(f'200 Hz{words}, ticks on samples: p99 from observation to command above '
                'inference, us', _above_inference(node, 'observation_to_command'), OVERHEAD_US,
                inference_us=node['inference']['p99_us'])
    for rate, load, fifo, limit, name in (
            (1000, 'none', False, MISSED_1000, '1 kHz, no load: share of ticks missed'),
            (1000, 'none', True, MISSED_1000, '1 kHz, SCHED_FIFO: share of ticks missed'),
            (200, 'both cores busy', True, MISSED_BUSY,
             '200 Hz, both cores busy, SCHED_FIFO: share of ticks missed')):
        node = _find(rows, 'node', rate, load, fifo)
        timer = _find(rows, 'timer', rate, load, fifo)
        if node:
            add(name, _share_missed(node), limit,
                **({'timer': _share_missed(timer)} if timer else {}))
    return goals


def describe(goal: Row) -> str:
    """Format a goal and its result."""
    beside = ', '.join(
        f'{key} {value:.5g}' for key, value in goal.items()
        if key not in ('goal', 'found', 'limit', 'met'))
    return (f'{"met" if goal["met"] else "MISSED":6} {goal["goal"]}: {goal["found"]:.4g}, '
            f'at most {goal["limit"]:.4g}' + (f' ({beside})' if beside else ''))


def _find(
        rows: Sequence[Row], kind: str, rate: float, load: str = 'none', fifo: bool = False,
        trigger: str = 'timer', early: int = 0, rehearsal: int = 0) -> Row | None:
    """Return the row of a condition."""
    wanted = {'kind': kind, 'rate': rate, 'load': load, 'fifo': fifo, 'trigger': trigger,
              'early': early, 'rehearsal': rehearsal}
    return next((row for row in rows if wanted.items() <= row.items()), None)


def _share_missed(row: Row) -> float:
    """Return the fraction of missed ticks."""
    return float(row['missed'] / (row['ticks'] + row['missed']))


def _above_inference(row: Row, what: str) -> float:
    """Return a p99 less that of inference, in us."""
    return float(row[what]['p99_us'] - row['inference']['p99_us'])
