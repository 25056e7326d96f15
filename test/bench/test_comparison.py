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
"""Comparison of policies: cells that continue, and their table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('torch')

from bench.learning import cells, comparison_table, cost
from bench.learning.methods import METHODS, settings, TASKS
from testing.learning.runs import settings as small


def test_a_cell_continues_and_its_table_names_the_open_ones(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks that are there are not measured again; the run is continued, not begun anew."""
    config = small(demonstrations, steps=12, best_of=2, horizon=2)
    monkeypatch.setattr(cells, 'settings', lambda *_: config)
    monkeypatch.setattr(cells, 'MARKS', (6, 12))
    monkeypatch.setattr(comparison_table, 'MARKS', (6, 12))
    cell, file = ('cube-single-task2', 'cloning', 1), tmp_path / 'cube-single-task2.cloning.1.json'
    cells.measure(cell, tmp_path / 'run', file, 2, until=6)
    first = json.loads(file.read_text())
    assert list(first['marks']) == ['6']
    found = cells.measure(cell, tmp_path / 'run', file, 2)
    assert found['marks']['6'] == first['marks']['6']
    assert found['marks']['12']['progress']['step'] == 12
    assert {key: value['episodes'] for key, value in found['marks']['12']['candidates'].items()
            } == {'1': 2, '2': 2}
    lines = comparison_table.markdown(
        comparison_table.load(tmp_path, 'cube-single-task2'), [0, 1]).splitlines()
    row = next(line for line in lines if METHODS['cloning'].title in line)
    assert row.startswith(f'| {METHODS["cloning"].title} | 1 | 0 % | 0 % | 0% (')
    assert row.endswith('| 0 |')


def test_a_claimed_cell_is_left_to_the_other(tmp_path: Path) -> None:
    with cells.claimed(tmp_path / 'cell') as ours:
        assert ours
        with cells.claimed(tmp_path / 'cell') as theirs:
            assert not theirs
    with cells.claimed(tmp_path / 'cell') as again:
        assert again


@pytest.mark.parametrize('method', METHODS)
def test_methods_differ_in_the_policy_alone(method: str) -> None:
    """Networks, batches, critics and data are the same for all."""
    common = settings('scene-task2', 'cloning', 0)
    for task in TASKS:
        found = settings(task, method, 3)
        assert found.seed == 3
        assert found.environment == TASKS[task].environment
        for name in ('hidden', 'batch_size', 'horizon', 'best_of', 'critics', 'steps',
                     'noise_scale', 'learning_rate', 'schedule', 'average_rate', 'actor_every',
                     'target_rate'):
            assert getattr(found, name) == getattr(common, name)


def test_costs_of_a_method_that_improves_and_of_one_that_does_not(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates that improve on the data have their share of the run."""
    monkeypatch.setattr(cost, 'METHODS', {
        name: METHODS[name] for name in ('dfp-frozen', 'cloning')})
    monkeypatch.setattr(cost, 'TURNS', 1)
    found = cost.costs(2, 20)
    frozen, cloning = found['dfp-frozen'], found['cloning']
    assert 'improving_ms' not in cloning
    assert cloning['run_seconds'] == pytest.approx(100 * cloning['update_ms'])
    assert frozen['run_seconds'] == pytest.approx(
        40 * frozen['update_ms'] + 60 * frozen['improving_ms'])
    for row in found.values():
        assert all(row[f'inference_{count}_us'][0] > 0 for count in (1, 16))
    rows = cost.cost_table(found).splitlines()
    assert [row.count('|') for row in rows] == [8] * 4
    assert METHODS['cloning'].title in rows[3]
