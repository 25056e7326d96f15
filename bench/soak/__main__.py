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
Soak test: an hour of a policy node with a fault every minute, checked for leaks and missed ticks.

    python -m bench.soak --fifo --json bench/results/soak.json --png docs/performance-soak.png

A real node at 100 Hz commands a scripted robot over DDS. Every minute one fault is injected, in
turn: sources fail, policies are swapped, truncated or too slow, the robot's process is killed,
many parameters are set, the node is deactivated or cleaned up; each is checked as in
test/whole_node/test_faults.py, and ends once the robot moves again. Memory, threads and
descriptors are evaluated right before each fault, after a warm-up with several rounds of all
faults. A tick is missed if a deadline passed without one; missed ticks are attributed to a fault,
or to a stall of the machine, in which sleeping loops with a higher priority were late as well
(bench/soak/witness.py). The exit status is 1 if memory clearly grows, threads or descriptors
leak, or the node misbehaves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
import faulthandler
import itertools
from pathlib import Path
import sys
import tempfile
import threading
import time
from typing import Any

import numpy as np
from std_msgs.msg import Float64MultiArray
from tqdm import tqdm

from bench.common.arguments import amount, count, output, whole
from bench.common.machine import finish
from bench.common.process import busy_seconds, counts, is_real_time, REAL_TIME
from bench.soak.faults import SoakFaults
from bench.soak.figure import draw
from bench.soak.verdict import judge, MissedTicks, verdict
from bench.soak.witness import Witness
from dfp_ros.node.ros.qos import DECISION_QOS
from testing.faults.cell import FaultCell
from testing.faults.robots import FaultRobot, ROBOTS
from testing.policies.slow_policy import LOOP

_TICK = 0.01  # s
_LONGEST = 300
# Number of faults that repeats some even if others take longer than an interval.
# Due faults, of which long ones delay some beyond the end, and faults that there are.
_FEWEST_DUE, _FEWEST = 25, 20


class Watch:
    """
    Sampler of a node's resources and missed ticks.

    :param cell: Cell with the node.
    :param every: Sampling interval in s.

    :ivar samples: ``time`` in s since the start, counts, and ``longest_period_ms`` since the
        previous sample.
    :ivar missed: Missed ticks.
    """

    def __init__(self, cell: FaultCell, every: float) -> None:
        """Subscribe, and take the first sample."""
        self.samples: list[dict[str, Any]] = []
        self.missed = MissedTicks()
        self._pid = cell.process.process.pid
        self._begun = time.monotonic()
        self._busy = busy_seconds(self._pid)
        self._longest = np.nan
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        cell.node.create_subscription(
            Float64MultiArray, 'dfp_policy/statistics', self._take, DECISION_QOS)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def now(self) -> float:
        """Return the time since the start in s."""
        return self.at(time.monotonic())

    def at(self, instant: float) -> float:
        """Return a time of CLOCK_MONOTONIC in s since the start."""
        return instant - self._begun

    @property
    def processor_percent(self) -> float:
        """Return the processor usage of the node in percent of one core."""
        return 100 * (busy_seconds(self._pid) - self._busy) / self.now

    def counts(self) -> dict[str, Any]:
        """Return memory, threads and descriptors."""
        return {'time': self.now, **counts(self._pid)}

    def _take(self, message: Float64MultiArray) -> None:
        labels = [dim.label for dim in message.layout.dim[:3]]
        assert labels == ['ticks', 'missed_ticks', 'period_ms'], labels
        ticks, missed, period = message.data[:3]
        self.missed.add(self.now, int(ticks), int(missed))
        self._longest = np.fmax(self._longest, period)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            longest, self._longest = self._longest, np.nan
            try:
                found = self.counts()
            except OSError:  # the node is gone, which the faults report
                return
            self.samples.append({
                **found, 'longest_period_ms': None if np.isnan(longest) else float(longest)})


class Soak:
    """
    Fault injection into a node, with a log.

    :param cell: Cell with the node and a moving robot.
    :param folder: Folder for policy files.
    :param watch: Sampler.

    :ivar faults: Faults with ``begin`` and ``end`` in s, and a text if one ``failed``.
    :ivar rests: Counts right before each fault.
    """

    def __init__(self, cell: FaultCell, folder: Path, watch: Watch) -> None:
        """Write the policies."""
        self.faults: list[dict[str, Any]] = []
        self.rests: list[dict[str, Any]] = []
        self._cell = cell
        self._watch = watch
        self._happening = SoakFaults(cell, folder)

    def run(self, minutes: float, interval: float, most: int, warm_up: int) -> None:
        """
        Inject one fault after the other.

        :param minutes: Duration after the warm-up.
        :param interval: Seconds between faults; a longer fault delays the following ones.
        :param most: Number of faults after the warm-up that end it early.
        :param warm_up: Rounds of the warm-up, without pauses.
        :raises TimeoutError: If the robot does not move again.
        """
        names = list(self._happening.all)
        with tqdm(total=round(60 * minutes), unit='s', disable=None) as bar:
            for fault in warm_up * names:
                bar.set_postfix_str(f'warm-up: {fault}')
                self._meet(fault, is_warming=True)
            begun = self._watch.now
            end = begun + 60 * minutes
            for number, fault in enumerate(itertools.cycle(names)):
                if number == most:
                    return
                due = begun + (number + 0.5) * interval
                # The last one must end in time.
                if max(due, self._watch.now) > end - interval / 2:
                    break
                self._let_pass(due, begun, bar)
                bar.set_postfix_str(fault)
                self._meet(fault, is_warming=False)
            self._let_pass(end, begun, bar)

    def _let_pass(self, until: float, begun: float, bar: Any) -> None:
        """Wait, and update the progress bar."""
        while (left := until - self._watch.now) > 0:
            bar.update(min(bar.total, round(self._watch.now - begun)) - bar.n)
            time.sleep(min(1.0, left))

    def _meet(self, fault: str, is_warming: bool) -> None:
        """
        Inject a fault.

        :raises TimeoutError: If the robot does not move again.
        """
        self.rests.append({'fault': fault, 'warming': is_warming, **self._watch.counts()})
        met = {'fault': fault, 'begin': self._watch.now, 'end': self._watch.now, 'failed': ''}
        self.faults.append(met)
        try:
            self._happening.all[fault]()
        except (AssertionError, TimeoutError) as error:
            met['failed'] = f'{type(error).__name__}: {error}'[:_LONGEST]
            print(f'{fault}: {error}', file=sys.stderr, flush=True)
            self._happening.recover()
        finally:
            met['end'] = self._watch.now
        self._cell.forget()


def soak(
        robot: FaultRobot, minutes: float, interval: float, most: int, warm_up: int,
        every: float, fifo: bool, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """
    Run a node, and inject faults repeatedly.

    :param robot: The robot; its policies must tick at the rate of the soak.
    :param minutes: Duration after the warm-up.
    :param interval: Seconds between two faults.
    :param most: Number of faults after the warm-up that end it early.
    :param warm_up: Rounds of the warm-up.
    :param every: Sampling interval in s.
    :param fifo: Whether the node requests real-time priority.
    :param keep: Receives the result before anything is shut down, so that no fault of the
        shutdown can lose it.
    :return: The result.
    :raises ValueError: If it was too short for a verdict.
    """
    with tempfile.TemporaryDirectory() as name:
        policy = SoakFaults.first_policy(robot, Path(name))
        with FaultCell(robot, policy, diagnostics__interval=1.0, **LOOP,
                       **(REAL_TIME if fifo else {})) as cell:
            cell.wait_for_motion()
            is_granted = is_real_time(cell.process.process.pid)
            if fifo and not is_granted:
                print(f'real-time priority was refused:\n{cell.process.output}', file=sys.stderr)
            with Witness() as witness, Watch(cell, every) as watch:
                made = Soak(cell, Path(name), watch)
                try:
                    made.run(minutes, interval, most, warm_up)
                except TimeoutError as error:
                    made.faults[-1]['failed'] += f'; then it did not move again: {error}'
                # Ticks missed during the shutdown are not the node's.
                missed, ticks = list(watch.missed.events), watch.missed.ticks
                stalls = witness.stop()
                row: dict[str, Any] = {
                    'kind': 'soak', 'robot': robot.name, 'rate': 1 / robot.tick,
                    'minutes': minutes, 'interval': interval, 'warm_up': warm_up,
                    'fifo': is_granted,
                    'ticks': ticks, 'processor_percent': watch.processor_percent,
                    'faults': made.faults, 'rests': made.rests, 'missed': missed,
                    'stalls': [[watch.at(begin), watch.at(end)] for begin, end in stalls]
                    if witness.is_granted else None, 'samples': watch.samples}
            row['verdict'] = judge(row)
            keep(row)
    return row


def main() -> int:
    """Print the verdict, and write the results if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--minutes', type=amount, default=60.0)
    made.add_argument('--interval', type=amount, default=60.0, help='seconds between two faults')
    made.add_argument(
        '--faults', type=count, default=1_000_000,
        help='faults after the warm-up that end it before --minutes')
    made.add_argument(
        '--warm-up', type=whole, default=3, help='rounds of all faults before, without pauses')
    made.add_argument('--every', type=amount, default=5.0, help='seconds between two samples')
    made.add_argument(
        '--robot', choices=[robot.name for robot in ROBOTS], default='positions',
        help='kind of the commands')
    made.add_argument(
        '--fifo', action='store_true',
        help="real-time priority for the node, against the machine's other load, if granted")
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    made.add_argument('--png', type=output, help='write the figure to this file')
    asked = made.parse_args()
    if 60 * asked.minutes / asked.interval < _FEWEST_DUE:
        made.error(
            f'--minutes: found {asked.minutes:g} with a fault every {asked.interval:g} s, '
            f'expected at least {_FEWEST_DUE * asked.interval / 60:g}, which repeats some faults')
    if asked.faults < _FEWEST:
        made.error(
            f'--faults: found {asked.faults}, expected at least {_FEWEST}, which repeats some')
    found = next(robot for robot in ROBOTS if robot.name == asked.robot)
    robot = replace(found, spec=replace(found.spec, period=_TICK))

    def keep(row: dict[str, Any]) -> None:
        print(verdict(row))
        finish([row], asked.json)
        if asked.png:
            draw(row, asked.png)

    faulthandler.enable()
    row = soak(
        robot, asked.minutes, asked.interval, asked.faults, asked.warm_up, asked.every, asked.fifo,
        keep)
    return 1 if row['verdict']['wrong'] else 0


if __name__ == '__main__':
    sys.exit(main())
