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
"""Soak test of a minute, and its verdict on leaks and missed ticks."""

from __future__ import annotations

import json
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from bench.soak.verdict import attribute, judge, MissedTicks, rise, slope, verdict
from bench.soak.witness import Witness
from testing import ROOT

FAULTS = ('dropped source', 'swap', 'storm')


def soak(turns: int = 12, **changes: Any) -> dict[str, Any]:
    """
    Make a soak with a fault per minute, of which the first round permanently takes memory.

    :param changes: Functions of turn and number that add to ``resident_kb``, ``threads`` or
        ``descriptors``.
    """
    count = turns * len(FAULTS)
    noise = np.random.default_rng(0).normal(0, 50, count)
    bases = {'resident_kb': 100_000, 'threads': 9, 'descriptors': 50}
    rests = [{
        'fault': FAULTS[i % len(FAULTS)], 'time': 60.0 * i, 'warming': i < len(FAULTS),
        **{key: base + int(changes.get(key, lambda turn, number: 0)(i // len(FAULTS), i))
           for key, base in bases.items()}} for i in range(count)]
    for i, rest in enumerate(rests):
        rest['resident_kb'] += int(noise[i]) + min(i, len(FAULTS)) * 5000
    faults = [{'fault': rest['fault'], 'begin': rest['time'], 'end': rest['time'] + 2,
               'failed': ''} for rest in rests]
    return {'rests': rests, 'faults': faults, 'missed': [], 'stalls': [],
            'ticks': 6000 * count}


def test_a_slope_is_found_under_outliers() -> None:
    """1000 KB an hour, with one sample in ten far away."""
    times = np.arange(120) * 30.0
    values = 5e4 + 1000 * times / 3600 + np.random.default_rng(1).normal(0, 20, 120)
    values[::10] += 30_000
    found, low, high = slope(times, values)
    assert low < 1000 < high
    assert found == pytest.approx(1000, rel=0.1)
    assert high - low < 200
    flat, low, high = slope(times, values - 1000 * times / 3600)
    assert low < 0 < high
    assert abs(flat) < 100
    with pytest.raises(ValueError, match='at least 3'):
        slope([0, 1], [1, 2])


def test_a_sound_soak_passes() -> None:
    row = soak()
    found = judge(row)
    assert found['wrong'] == []
    assert found['memory'] == 'flat'
    assert 'FAILED' not in verdict({**row, 'verdict': found})


@pytest.mark.parametrize(('changes', 'word'), [
    ({'resident_kb': lambda turn, number: 150 * number}, 'memory grows by +9'),
    ({'threads': lambda turn, number: turn}, 'threads rose by 10'),
    # One for good at the second swap and not later.
    ({'descriptors': lambda turn, number: turn > 4}, 'descriptors rose by 1')])
def test_leaks_are_found(changes: dict[str, Any], word: str) -> None:
    """Each by itself, after the first turn."""
    row = soak(**changes)
    found = judge(row)
    assert len(found['wrong']) == 1
    assert found['wrong'][0].startswith(word)
    assert word in verdict({**row, 'verdict': found})


def test_fluctuations_are_no_leak() -> None:
    """Descriptors of a robot that was killed stay until its lease ends: at the same fault."""
    row = soak(descriptors=lambda turn, number: 7 * (number % len(FAULTS)))
    assert judge(row)['wrong'] == []
    with pytest.raises(ValueError, match='expected twice'):
        rise(row['rests'][:len(FAULTS)], 'threads')


def test_missed_ticks_are_attributed_and_counted_over_activations() -> None:
    missed = MissedTicks()
    for instant, ticks, count in (
            (0.1, 10, 0), (10.1, 1000, 2), (20.1, 2000, 2), (20.2, 10, 0), (30.1, 900, 1)):
        missed.add(instant, ticks, count)
    assert missed.ticks == 2000 + 900
    assert missed.events == [(10.1, 2), (30.1, 1)]
    # The row that tells of the end of a fault comes a little later.
    assert attribute(missed.events, [(9.5, 10.0), (40, 50)]) == (2, 1)
    row = {**soak(), 'missed': missed.events}
    found = judge(row)
    assert (found['missed_within_faults'], found['missed_outside_faults']) == (0, 3)
    assert '3 missed: 0 within faults, outside 3,' in verdict({**row, 'verdict': found})


@pytest.mark.parametrize(('stalls', 'known', 'says'), [
    ([(9.9, 10.0), (500.0, 500.4)], (2, 2, 400), '2 of them in stalls of the machine (2 stalls'),
    # What a fault has anyway is not counted twice.
    ([(20.5, 21.0), (0.0, 1.0)], (0, 2, 1000), '0 of them'),
    ([], (0, 0, 0), '0 of them'),
    (None, (None, None, None), 'not recorded')])
def test_stalls_of_the_machine_are_reported(
        stalls: Any, known: tuple[Any, ...], says: str) -> None:
    row = {**soak(), 'missed': [(10.1, 2), (21.0, 1), (30.1, 1)], 'stalls': stalls}
    row['faults'] = [{'fault': 'swap', 'begin': 20.0, 'end': 22.0, 'failed': ''}]
    found = judge(row)
    assert (found['missed_within_faults'], found['missed_outside_faults']) == (1, 3)
    assert (found['missed_in_stalls'], found['stalls'],
            found['longest_stall_ms']) == pytest.approx(known)
    assert says in verdict({**row, 'verdict': found})


def test_a_witness_notes_a_processor_that_stands_still() -> None:
    """A stall of the loop stands for a stall of the machine."""
    with Witness() as witness:
        if not witness.is_granted:
            pytest.skip('takes the right to SCHED_FIFO')
        loop = witness.loops[0]
        begin = time.monotonic()
        loop.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # it has to stand still for some time
        loop.send_signal(signal.SIGCONT)
        end = time.monotonic()
        time.sleep(0.1)  # it has to wake up
        stalls = witness.stop()
    # It was late for nearly as long, and not for longer than there was.
    assert any(begin - 0.1 <= first <= begin + 0.1 and end - 0.05 <= last <= end + 0.1
               for first, last in stalls)


@pytest.mark.slow
def test_every_fault(tmp_path: Path) -> None:
    """Once in the warm-up, once and some twice after it: nothing leaks, all go as they must."""
    pytest.importorskip('rclpy')
    pytest.importorskip('tqdm')
    file, picture = tmp_path / 'soak.json', tmp_path / 'soak.png'
    done = subprocess.run(
        [sys.executable, '-m', 'bench.soak', '--minutes', '6', '--interval', '0.5', '--faults',
         '20', '--every', '1', '--warm-up', '1', '--json', str(file), '--png', str(picture)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500)
    assert done.returncode == 0, done.stdout
    row = json.loads(file.read_text())['rows'][0]
    judged = [rest['fault'] for rest in row['rests'] if not rest['warming']]
    assert (len(judged), len(set(judged))) == (20, 16)
    assert row['verdict']['wrong'] == []
    assert row['ticks'] > 0
    assert picture.read_bytes().startswith(b'\x89PNG')
