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
"""Loop benchmark: evaluation of tick times, and a short run."""

from __future__ import annotations

import json
import math
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from testing import ROOT

pytest.importorskip('rclpy')

from testing.policies.small_policy import write_policy

PERIOD = 5e6  # ns
FLOORS = ('period_error', 'wakeup', 'command_to_reception')
NODE = (*FLOORS, 'inference', 'observation_to_command', 'observation_to_reception')


def ticks_at(*began: float, waits: float = 0.0) -> np.ndarray:
    """
    Make a record of ticks whose timer is due at whole periods.

    :param began: When each began, in periods.
    :param waits: How old the observation is when its tick begins, in ns.
    """
    rows = []
    for number, at in enumerate(began):
        # 3 ms of inference, and 0.1 ms more to publication.
        rows.append([
            at * PERIOD, at * PERIOD + 3.1e6, (math.floor(at) + 1) * PERIOD,
            at * PERIOD - waits, 3e-3, number, 0.5])
    return np.array(rows)


def test_ticks_are_counted_by_their_deadlines() -> None:
    """Two deadlines pass without a tick, 102 and 103; the tick after them is very late."""
    from bench.loop.rows import stretch, summarise
    began = [*range(1, 100), 100.2, 101.6, 104.3, 105.0]
    found = stretch(ticks_at(*began, waits=1e6), 0, 1e12, cpu=0.0103)
    row = summarise([found], PERIOD)
    assert (row['ticks'], row['missed']) == (103, 2)
    # Also right after the first.
    row_of_gap = summarise([stretch(ticks_at(1, 5, 6), 0, 1e12, cpu=0.1)], PERIOD)
    assert row_of_gap['missed'] == 3
    assert row['cpu_us_per_tick'] == pytest.approx(100)
    # The timer was due at 102.
    assert row['wakeup']['max_us'] == pytest.approx(2.3 * PERIOD / 1e3)
    assert row['wakeup']['p50_us'] == pytest.approx(0)
    assert (row['late_half_a_period'], row['late_a_period']) == (2, 1)
    assert row['period_error']['max_us'] == pytest.approx(1.7 * PERIOD / 1e3)
    assert row['inference']['p50_us'] == pytest.approx(3000)
    assert row['deadline_to_command']['p50_us'] == pytest.approx(3100)
    assert row['observation_to_command']['p50_us'] == pytest.approx(4100)
    assert sum(row['period_histogram']['counts']) == row['period_error']['count'] == 102


def test_a_deadline_is_no_earlier_than_the_grid_says() -> None:
    """A process preempted between two reads of the clock records its deadline too early."""
    from bench.loop.rows import wakeups
    ticks = ticks_at(1, 2, 3, 4)
    ticks[1, 2] -= 1e6
    assert wakeups(ticks, PERIOD) == pytest.approx(np.zeros(3))


def test_stretches_are_apart() -> None:
    """The time between two stretches is no period, and no missed tick."""
    from bench.loop.rows import stretch, summarise
    ticks = ticks_at(*range(1, 11), *range(500, 510))
    row = summarise(
        [stretch(ticks, 0, 100 * PERIOD, 1.0), stretch(ticks, 100 * PERIOD, 1e12, 1.0)], PERIOD)
    assert (row['ticks'], row['missed']) == (20, 0)
    assert row['period_error']['max_us'] == pytest.approx(0)
    assert row['seconds'] == pytest.approx(18 * PERIOD / 1e9)


def test_a_command_is_known_again_by_its_numbers() -> None:
    """One arrives 0.3 ms after it was sent, and one never."""
    from bench.loop.rows import stretch, summarise
    ticks = ticks_at(1, 2, 3)
    arrivals = np.array([[ticks[i, 1] + 0.3e6, i, 0.5] for i in (0, 2)])
    row = summarise([stretch(ticks, 0, 1e12, 1.0)], PERIOD, arrivals)
    assert row['not_received'] == 1
    assert row['command_to_reception']['max_us'] == pytest.approx(300)
    assert row['observation_to_reception']['max_us'] == pytest.approx(3400)


def test_a_command_that_is_sent_again_arrives_again() -> None:
    from bench.loop.rows import arrival_times
    ticks = ticks_at(1, 2, 3)
    ticks[2, 5:] = ticks[0, 5:]
    arrivals = np.array([[ticks[i, 1], *ticks[i, 5:]] for i in range(3)])
    assert arrival_times(ticks, arrivals) == pytest.approx(ticks[:, 1])


def test_without_a_timer_the_earliest_tick_is_punctual() -> None:
    from bench.loop.rows import wakeups
    ticks = ticks_at(1.1, 2.1, 3.5, 4.0, 5.2)
    ticks[:, 2] = math.nan
    assert wakeups(ticks, PERIOD) == pytest.approx(
        np.array([0.1, 0.5, 0.0, 0.2]) * PERIOD)


def test_goals_are_judged_beside_the_timer() -> None:
    """Ticks 1.2 times as uneven as the timer's are fine, commands 1.3 times as uneven are not."""
    from bench.loop.goals import describe, judge
    node: dict[str, Any] = {
        'kind': 'node', 'rate': 200, 'load': 'none', 'fifo': False, 'trigger': 'timer',
        'early': 0, 'rehearsal': 0, 'seconds': 60.0, 'ticks': 11_999, 'missed': 1,
        'cpu_us_per_tick': 700.0,
        'period_error': {'p99.9_us': 130.0}, 'tick_period_error': {'p99.9_us': 120.0},
        'inference': {'p99_us': 150.0}, 'inference_mean_us': 100.0,
        'deadline_to_command': {'p99_us': 600.0}}
    timer = {**node, 'kind': 'timer', 'missed': 0, 'cpu_us_per_tick': 200.0,
             'period_error': {'p99.9_us': 100.0}, 'tick_period_error': {'p99.9_us': 100.0},
             'wakeup': {'p99_us': 150.0}}
    busy = {**node, 'load': 'both cores busy', 'fifo': True}
    missed, commands, ticks, overhead, cpu, share = judge([node, timer, busy])
    assert (missed['found'], missed['timer'], missed['met']) == (1, 0, False)
    assert (commands['found'], commands['met']) == (pytest.approx(1.3), False)
    assert (ticks['found'], ticks['met']) == (pytest.approx(1.2), True)
    assert (cpu['found'], cpu['met']) == (pytest.approx(3.0), False)
    assert (overhead['found'], overhead['timer_us'], overhead['met']) == (450.0, 150.0, True)
    assert (share['found'], share['met']) == (pytest.approx(1 / 12_000), True)
    assert describe(share).startswith('met    200 Hz, both cores busy, SCHED_FIFO')
    # Each way to run it is judged beside the timer that was run alike.
    early = [{**row, 'fifo': True, 'early': 400} for row in (node, timer)]
    assert len(judge([node, timer, *early])) == 9
    assert judge([node, early[1]]) == []


def test_node_and_floors_are_measured(tmp_path: Path) -> None:
    """Real processes, for half of the two seconds, with the policy of the tests."""
    policy, file = write_policy(tmp_path / 'policy.onnx'), tmp_path / 'loop.json'
    done = subprocess.run(
        [sys.executable, '-m', 'bench.loop', '--only', '200 Hz, images', '--seconds', '2',
         '--policy', str(policy), '--json', str(file), '--parameter', 'noise_seed:=3'],
        cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    written = json.loads(file.read_text())
    rows = {row['kind']: row for row in written['rows']}
    assert set(rows) == {'node', 'timer', 'sleep'}
    for kind, seconds in (('node', 1.0), ('timer', 0.33), ('sleep', 1.33)):
        row = rows[kind]
        assert (row['rate'], row['load'], row['fifo']) == (200, 'images', False)
        # Ticked or missed, no deadline is lost.
        assert row['seconds'] > 0.5 * seconds
        assert row['ticks'] + row['missed'] == pytest.approx(200 * row['seconds'], rel=0.1)
        assert row['cpu_us_per_tick'] > 0
    for key in NODE:
        assert rows['node'][key]['count'] > 100
    for key in FLOORS:
        assert rows['timer'][key]['count'] > 20
    assert rows['node']['observation_to_command']['p50_us'] > rows['node']['inference']['p50_us']
    assert written['goals'] == []
    assert rows['node']['parameters'] == {'noise_seed': '3'}
