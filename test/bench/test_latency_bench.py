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
"""Latency benchmark in its smallest form: properties that hold on any machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch')


@pytest.fixture(name='rows', scope='module')
def measure() -> list[dict[str, Any]]:
    """Measure every part a few times, with small networks."""
    from bench.latency import Effort, PARTS, run
    return run(Effort(20, 0.02, 6, 2, (1, 3), (1, 10), ()), PARTS, rate=200.0, hidden=(64, 64))


def find(rows: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """Find the rows of a condition."""
    return [row for row in rows if wanted.items() <= row.items()]


def test_every_condition_is_measured(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        found = row['inference']
        assert found['count'] >= 6
        assert 0 < found['p50_us'] <= found['p99_us'] <= found['p99.9_us'] <= found['max_us']
        assert row['floor_us'] > 0
    assert {row['policy'] for row in find(rows, part='candidates')} == {
        'paper', 'cube_single', 'lift', 'lift_joint'}
    for part in ('candidates', 'runtimes'):
        assert {row['candidates'] for row in find(rows, part=part)} == {1, 3}
        assert len(find(rows, part=part, runtime='products')) == 2
    assert find(rows, part='cold', remedy='warm-up 0.8 ms before', rhythm='paced')


def test_all_runtimes_give_the_same_actions(rows: list[dict[str, Any]]) -> None:
    for candidates in (1, 3):
        found = {
            row['runtime']: row['difference']
            for row in find(rows, part='runtimes', candidates=candidates) if 'difference' in row}
        assert {'onnxruntime, 2 threads', 'torch eager', 'torchscript'} <= set(found)
        # Another policy, if a similar one: of several candidates it may choose another.
        assert found.pop('onnxruntime, int8') > 0
        assert all(difference <= 1e-4 for difference in found.values())


def test_work_counts_the_evaluations(rows: list[dict[str, Any]]) -> None:
    works = {row['policy']: row['work_megaflop']
             for row in find(rows, part='ode', candidates=1)}
    assert works['flow-1'] == works['paper']
    assert works['flow-10'] == pytest.approx(10 * works['paper'])
    sizes = {row['weights_megabytes'] for row in find(rows, part='ode', candidates=1)}
    assert len(sizes) == 1, 'weights of several steps are the same, and count once'


def test_work_and_weights_are_those_of_the_layers(rows: list[dict[str, Any]]) -> None:
    row = find(rows, part='candidates', policy='paper', candidates=1)[0]
    weights = (28 + 25) * 64 + 64 * 64 + 64 * 25
    assert row['weights_megabytes'] == pytest.approx(4e-6 * weights)
    assert row['work_megaflop'] == pytest.approx(2e-6 * weights)


def test_the_page_has_it(rows: list[dict[str, Any]]) -> None:
    from bench.latency import goals
    from bench.page.latency import latency, steps
    found = goals(rows)
    assert [goal['limit'] for goal in found] == [1.3, 8.0], 'no best of 16 was measured'
    results = {'latency': {'rows': rows, 'goals': found}}
    text = latency(results)
    for word in ('torchscript', 'flow-10', 'int8, warm-up 0.8 ms before', 'lift_joint'):
        assert word in text
    for name in ('drifting field, 1 evaluation', 'flow, 1 evaluation', 'flow, 10 evaluations'):
        assert f'{name} |' in steps(results)


def test_calls_at_a_rate_wait_for_each() -> None:
    from bench.common.turns import paced
    waits: list[float] = []
    taken = paced(lambda _: None, 10, 1000.0, waits.append)
    assert taken.shape == (10,)
    # Those beyond are not timed: they find what was before.
    assert len(waits) == 12
    assert (np.diff(waits) >= 1e-3 - 1e-9).all()
