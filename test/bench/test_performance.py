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
"""Performance page: it shows all results, and names those that are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import performance
from bench.common.distribution import distribution
from bench.page.rows import number
from bench.page.tables import SECTIONS
from bench.soak.verdict import judge
from testing import ROOT

MACHINE = {'processor': 'Some Processor', 'cores': 2, 'system': 'Linux-6', 'load': '0.1 0.2 0.3'}


def taken(median_us: float, count: int = 2000) -> dict[str, Any]:
    """Make up a distribution with a tail."""
    generator = np.random.default_rng(0)
    return distribution(median_us * 1e-6 * generator.lognormal(0, 0.3, count))


def loop_row(kind: str, rate: float, load: str, fifo: bool, scale: float) -> dict[str, Any]:
    """Make the row of a loop under a condition."""
    row = {
        'kind': kind, 'rate': rate, 'load': load, 'fifo': fifo, 'trigger': 'timer',
        'ticks': 12_000, 'missed': int(scale > 2), 'cpu_us_per_tick': 300 * scale,
        'period_error': taken(40 * scale), 'wakeup': taken(30 * scale),
        'period_histogram': {'edges_us': [-20, -10, 0, 10, 20], 'counts': [1, 5, 6, 1]}}
    if kind == 'node':
        row |= {'inference': taken(187.5 * scale), 'deadline_to_command': taken(600 * scale)}
    return row


def soak_row() -> dict[str, Any]:
    """Make up a soak of two faults in turn."""
    rests = [
        {'fault': ('NaN', 'swap')[i % 2], 'warming': i < 2, 'time': 60.0 * i,
         'resident_kb': 118_000 + 3 * (i % 5), 'threads': 21, 'descriptors': 23}
        for i in range(12)]
    row = {
        'kind': 'soak', 'robot': 'positions', 'rate': 100.0, 'minutes': 10.0, 'interval': 60.0,
        'warm_up': 1, 'fifo': True, 'ticks': 71_999, 'processor_percent': 12.3,
        'faults': [{'fault': rest['fault'], 'begin': rest['time'], 'end': rest['time'] + 2,
                    'failed': ''} for rest in rests],
        'rests': rests, 'missed': [[60.5, 3], [90.0, 1]], 'stalls': [[89.9, 90.0]],
        'samples': [{**rest, 'longest_period_ms': 12.0} for rest in rests]}
    return row | {'verdict': judge(row)}


def results() -> dict[str, dict[str, Any]]:
    """Make up the results of all benchmarks."""
    return {
        'latency': {'rows': [
            {'part': part, 'policy': policy, 'runtime': runtime, 'candidates': candidates,
             'evaluations': evaluations, 'rhythm': 'paced' if part == 'paced' else 'tight',
             'rate': 200.0, 'inference': taken(micros * candidates), 'over_floor': 1.5,
             'over_products': micros / 80}
            for part in ('candidates', 'runtimes', 'ode', 'paced') for candidates in (1, 16)
            for policy, runtime, evaluations, micros in (
                ('paper', 'onnxruntime', 1, 100), ('paper', 'torch eager', 1, 300),
                ('flow-10', 'onnxruntime', 10, 930))],
            'goals': [{'goal': 'flow over one step', 'found': 9.3, 'limit': 8.0, 'met': True,
                       'at_least': True}]},
        'graph': {'rows': [
            {'policy': 'paper', 'candidates': candidates, 'graph': name, 'inference': taken(60)}
            for candidates in (1, 16) for name in ('as exported', 'int8')] + [
            {'policy': 'paper', 'candidates': 16, 'node': 'Gemm', 'nodes': 18,
             'profiled_us': 770.0}]},
        'loop': {
            'rows': [loop_row(kind, rate, load, fifo, scale)
                     for kind, scale in (('node', 1.5), ('timer', 1.0), ('sleep', 0.5))
                     for rate, load, fifo in (
                         (200, 'none', False), (1000, 'none', False),
                         (200, 'both cores busy', False), (200, 'both cores busy', True))],
            'goals': [{'goal': 'ticks missed', 'found': 0, 'limit': 0, 'met': True},
                      {'goal': 'period over the timer', 'found': 1.5, 'limit': 1.25,
                       'met': False}]},
        'loop_learner': {
            'rows': [loop_row(kind, 200, load, False, 1.0)
                     for kind in ('node', 'timer') for load in ('none', 'a learner')]},
        'wakeup': {'rows': [
            {'way': way, 'rate': rate, 'busy': busy, 'fifo': fifo, 'slack': 1, 'ticks': 2000,
             'missed': busy, 'core': 0.04, 'late': taken(50 + 500 * busy)}
            for way in ('timer', 'thread, early') for rate in (200, 1000)
            for busy, fifo in ((0, False), (2, False), (2, True))]},
        'tick': {'rows': [
            {'policy': 'cube_single', 'rhythm': rhythm, 'all': taken(400), 'bare': taken(60)}
            for rhythm in ('tight', 'paced')]},
        'cameras': {'rows': [
            *({'part': part, 'cameras': count, 'rate': 30.0, 'camera_rate': 30.0, 'ticks': 720,
               'missed': 0, 'late_half_a_period': 3 * count, 'held': 0,
               'observation_to_reception': taken(30_000 + 9_000 * count),
               'tick_period_error': taken(50), 'period_error': taken(70)}
              for part in ('latency', 'loop') for count in (0, 1)),
            {'part': 'decoding', 'encoding': 'jpeg', 'width': 640, 'height': 480, 'side': 64,
             'bytes': 55_000, 'decoding': taken(4000)},
            {'part': 'inference', 'encoders': 2, 'rhythm': 'paced', 'rate': 100.0, 'side': 64,
             'inference': taken(1500)}]},
        'swap': {'rows': [
            {'kind': kind, 'swaps': swaps, 'ticks': 1200, 'missed': 0, 'max_ms': 5.5,
             'resident_mb': 115.0} for kind, swaps in (('none', 0), ('swaps', 50))]},
        'soak': {'rows': [soak_row()]}}


def write(folder: Path, found: dict[str, dict[str, Any]]) -> list[str]:
    """Write files of results, and the command line that makes a page of them."""
    (folder / 'results').mkdir()
    for name, made in found.items():
        (folder / 'results' / f'{name}.json').write_text(
            json.dumps({'machine': MACHINE, **made}))
    for name in ('README.md', 'docs/performance.md'):
        (folder / Path(name).name).write_text((ROOT / name).read_text())
    return ['--results', str(folder / 'results'), '--page', str(folder / 'performance.md'),
            '--readme', str(folder / 'README.md')]


def between(text: str, name: str) -> str:
    """Return the text between two markers."""
    return text.partition(f'<!-- {name} begins -->')[2].partition(f'<!-- {name} ends -->')[0]


def test_all_is_on_the_page(tmp_path: Path) -> None:
    """Every section is filled, and every picture is there and shown."""
    asked = write(tmp_path, results())
    assert performance.main(asked) == 0
    page, readme = (tmp_path / 'performance.md').read_text(), (tmp_path / 'README.md').read_text()
    for name in SECTIONS:
        text = between(readme if name == 'headline' else page, name)
        assert text.strip(), name
        assert 'Not measured' not in text
    for file in tmp_path.glob('*.png'):
        assert f']({file.name})' in page
    assert page.count('](performance-') == len(list(tmp_path.glob('*.png'))) == 8
    assert 'Some Processor, 2 cores, Linux-6' in between(page, 'machine')
    assert '| Period over the timer | 1.5 | at most 1.25 | **missed** |' in page
    assert f'| int8 | {number(taken(60)["p50_us"])} | ' in page
    assert '| Gemm |  | 770 (18 nodes) |' in page
    assert '| Ticks missed | 0 | at most 0 | met |' in page
    goals = between(page, 'goals')
    assert '| Flow over one step | 9.3 | at least 8 | met |' in goals
    assert '| 1 | at most 0 | **missed** |' in goals  # by the soak, outside faults
    median = taken(187.5 * 1.5)['p50_us']
    assert f'| one inference, in the loop at 200 Hz | {number(median)} |' in readme
    assert '| missed within a fault | 3 |' in page
    assert f'| jpeg | 55 | {number(taken(4000)["p50_us"])} |' in page
    assert f'| 2 | paced | {number(taken(1500)["p50_us"])} |' in page
    assert '| one camera | 720 | 0 | 3 | 0 |' in between(page, 'cameras')
    late = taken(39_000)['p50_us'] / 1e3
    assert f'arrival of the command | 720 | {number(late)} |' in between(page, 'cameras')
    again = performance.write_section(page, 'tick', between(page, 'tick').strip(), 'page')
    assert again == page


def test_missing_results_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that makes it; and nothing is written to the docs with ``--out``."""
    asked = write(tmp_path, {'swap': results()['swap']})
    before = (tmp_path / 'performance.md').read_text()
    assert performance.main([*asked, '--out', str(tmp_path / 'quick')]) == 0
    assert (tmp_path / 'performance.md').read_text() == before
    page = (tmp_path / 'quick' / 'performance.md').read_text()
    assert '`python -m bench.tick --json bench/results/tick.json`' in between(page, 'tick')
    assert '`make soak`' in between(page, 'soak')
    assert '](performance-' not in page
    assert not list((tmp_path / 'quick').glob('*.png'))
    assert '| 50 swaps | 1,200 | 0 |' in capsys.readouterr().out


def test_invalid_results_are_refused(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the file; a page without markers is rejected too."""
    asked = write(tmp_path, results())
    (tmp_path / 'results' / 'loop.json').write_text('{"rows": []}')
    assert performance.main(asked) == 1
    assert 'loop.json' in capsys.readouterr().err
    (tmp_path / 'results' / 'loop.json').unlink()
    (tmp_path / 'performance.md').write_text('no markers')
    assert performance.main(asked) == 1
    assert 'performance.md' in capsys.readouterr().err
