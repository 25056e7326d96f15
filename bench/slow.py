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
"""
Slow policies: holds, jumps and spacing of the commands while inference runs beside the loop.

    python -m bench.slow

A policy node in a process commands a scripted robot. Its policies answer with chunks of 50
actions, and their inference really multiplies matrices for so long. Runs: a *fast* policy, which
the tick waits for; one that takes 150 ms at 50 Hz, and one of 800 ms at 20 Hz and at 10 Hz, each
*steady*, or with a *tail*: every answer takes 0.7 to 1.3 times as long, and one in a hundred, the
sixth first, three times. All parameters are the defaults, but for ``planning.asynchronous``,
``join_jump`` and ``join_over``.

*holds* are ticks after the first command of the policy: those in which its plan was missing, and
those in which something else held the robot, such as messages of the scripted robot that are late
on a busy machine. *join* is the largest change of a command from one tick to the next at which a
new chunk is played, *step* at any other, both in action units, in which the whole range is 2.
*spacing* is the time between two commands at the robot. The exit status is 1 if a plan was
missing, or a join was above its bound.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
import random
import sys
import tempfile
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common.arguments import amount, output
from bench.common.machine import finish
from bench.common.process import REAL_TIME
from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.safety.reasons import Reason
from testing.faults.cell import FaultCell, joined
from testing.faults.robots import CUBE
from testing.policies.slow_policy import LOOP, rounds_in, write_slow_policy
from testing.policies.smooth_policy import write_smooth_policy

HORIZON = 50
JOIN_JUMP, JOIN_OVER = 0.05, 10
# An answer in so many takes so many times as long, the first of them after so many others.
TAIL_EVERY, TAIL_FACTOR, TAIL_FIRST = 100, 3.0, 5
_ROUNDING = 1e-6
_LATE = Reason.LATE_INFERENCE | Reason.PLANNING | Reason.INFERENCE_FAILED


@dataclass(frozen=True)
class Condition:
    """
    One run.

    :param rate: Control rate in Hz.
    :param latency: Inference time in s; 0 for a policy as fast as it can be.
    :param has_tail: Whether inference times vary.
    """

    rate: float
    latency: float = 0.0
    has_tail: bool = False

    @property
    def name(self) -> str:
        """Name in the table."""
        if not self.latency:
            return 'fast'
        return f'{self.latency * 1e3:g} ms, {"tail" if self.has_tail else "steady"}'


CONDITIONS = (
    Condition(50.0), Condition(50.0, 0.15), Condition(50.0, 0.15, has_tail=True),
    Condition(20.0), Condition(20.0, 0.8), Condition(10.0), Condition(10.0, 0.8, has_tail=True))


class Pace:
    """
    Number that the robot publishes, and that determines the next inference time.

    :param cell: The cell, whose decisions say when the policy was asked.
    :param rounds: Products of a usual inference.
    """

    def __init__(self, cell: FaultCell, rounds: float) -> None:
        """Start before the first request."""
        self._cell = cell
        self._rounds = rounds
        self._random = random.Random(0)
        self._seen = self._asked = 0

    def change(self, message: Any) -> Any:
        """Put the number into a message."""
        decisions = self._cell.decisions
        while self._seen < len(decisions):
            plan = decisions[self._seen].row.plan
            self._asked += plan is not None and plan.asked is not None
            self._seen += 1
        is_long = self._asked % TAIL_EVERY == TAIL_FIRST
        factor = TAIL_FACTOR if is_long else self._random.uniform(0.7, 1.3)
        CUBE.slow(message, (factor - 1) * self._rounds)
        return message


def run(condition: Condition, seconds: float, folder: Path, fifo: bool) -> dict[str, Any]:
    """Run one condition, and summarise it."""
    spec = replace(CUBE.spec, period=1 / condition.rate, horizon=HORIZON)
    rounds = 0.0
    if condition.latency:
        trial = write_slow_policy(folder / 'trial.onnx', spec, CUBE.place)
        rounds = rounds_in(trial, CUBE.place, condition.latency)
    policy = write_smooth_policy(folder / 'policy.onnx', spec, CUBE.place, rounds)
    settings = {name.replace('.', '__'): value for name, value in (
        REAL_TIME if fifo else {}).items()}
    with FaultCell(
            CUBE, policy, planning__asynchronous=str(condition.latency > 0).lower(),
            planning__join_jump=JOIN_JUMP, planning__join_over=JOIN_OVER,
            planning__noise='each_chunk', safety__envelope='ignore', diagnostics__interval=1.0,
            **LOOP, **settings) as cell:
        cell.wait_for(lambda: any(
            seen.row.state is State.RUNNING for seen in cell.decisions), 'a plan', 120.0)
        if condition.has_tail:
            cell.disturb({CUBE.slow_topic: Pace(cell, rounds).change})
        begin, end = len(cell.decisions), time.monotonic() + seconds
        commands = len(cell.commands)
        cell.wait_for(lambda: time.monotonic() >= end, 'the end', seconds + 60)
        rows = [seen.row for seen in cell.decisions[begin:]]
        arrived = np.array([
            each.arrived for each in cell.commands[commands:]
            if each.topic == next(iter(CUBE.commands))])
        return {
            'policy': condition.name, 'rate': condition.rate, 'fifo': fifo,
            **summarise(rows, arrived, condition)}


def summarise(
        rows: list[RecordedDecision], arrived: NDArray[np.float64],
        condition: Condition) -> dict[str, Any]:
    """
    Summarise a run.

    :param rows: Its decisions.
    :param arrived: Arrival times of its commands in s.
    :param condition: The run.
    """
    joins, steps = [0.0], [0.0]
    for before, after in zip(rows, rows[1:], strict=False):
        if before.command is None or after.command is None:
            continue
        step = float(np.abs((joined(after.command) - joined(before.command)) / CUBE.high).max())
        (steps if after.inference is None else joins).append(step)
    times = 1e3 * np.array([row.inference for row in rows if row.inference is not None])
    spacing = np.diff(arrived) * 1e3
    stamps = np.diff([row.stamp for row in rows])
    p50, p99 = np.percentile(spacing, (50, 99)).tolist()
    return {
        'ticks': len(rows), 'answers': len(times),
        'inference_p50_ms': float(np.median(times)), 'inference_max_ms': float(times.max()),
        'long': int((times > 2e3 * condition.latency).sum()) if condition.latency else 0,
        'holds': sum(bool(row.reason & _LATE) for row in rows if row.state is not State.RUNNING),
        'other_holds': sum(
            not row.reason & _LATE for row in rows if row.state is not State.RUNNING),
        'missed': int(np.round(stamps * 1e-9 * condition.rate - 1).clip(0).sum()),
        'join': max(joins), 'step': max(steps),
        'spacing_p50_ms': p50, 'spacing_p99_ms': p99, 'spacing_max_ms': float(spacing.max())}


HEAD = (
    '| rate | policy | ticks | answers | inference: median, longest | three times as long '
    '| holds: no plan, others | missed ticks | join, step | spacing: p50, p99, max |\n'
    '| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')


def line(row: dict[str, Any]) -> str:
    """Format a row of the table in Markdown."""
    return (
        f'| {row["rate"]:g} Hz | {row["policy"]} | {row["ticks"]} | {row["answers"]} | '
        f'{row["inference_p50_ms"]:.1f}, {row["inference_max_ms"]:.1f} ms | {row["long"]} | '
        f'{row["holds"]}, {row["other_holds"]} | {row["missed"]} | '
        f'{row["join"]:.3f}, {row["step"]:.3f} | '
        f'{row["spacing_p50_ms"]:.2f}, {row["spacing_p99_ms"]:.2f}, '
        f'{row["spacing_max_ms"]:.2f} ms |')


def main(arguments: list[str] | None = None) -> int:
    """
    Print a table, and write the results to JSON if requested.

    :return: Exit status; see the module's docstring.
    """
    made = argparse.ArgumentParser(
        prog='python -m bench.slow', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--seconds', type=amount, default=60.0, help='duration of each run')
    made.add_argument(
        '--fifo', action='store_true',
        help='real-time priority for the node and its inference, if granted; the scripted robot '
             'has none, and needs a processor of its own')
    made.add_argument('--quick', action='store_true', help='quick run of some seconds')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args(arguments)
    conditions = CONDITIONS[:2] if asked.quick else CONDITIONS
    seconds = 4.0 if asked.quick else asked.seconds
    rows = []
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for condition in conditions:
            rows.append(run(condition, seconds, Path(folder), asked.fifo))
            print(line(rows[-1]), flush=True)
    finish(rows, asked.json, bound=JOIN_JUMP)
    return int(any(row['holds'] or row['join'] > JOIN_JUMP + _ROUNDING for row in rows))


if __name__ == '__main__':
    sys.exit(main())
