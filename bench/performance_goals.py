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
"""What was to be reached, and whether it was, from what the benchmarks left."""

from __future__ import annotations

from collections.abc import Sequence

from performance_rows import find, Results, Row, rows_of

PRODUCTS, BEST_OF_16_US, STEPS = 1.3, 1000.0, 8.0


def all_goals(results: Results) -> list[Row]:
    """
    List the goals about what was measured.

    :param results: By name of the benchmark; the goals of bench/loop.py are in its file.
    :return: For each, what it is, what was ``found``, the ``limit``, whether that is a least, and
        whether it is ``met``.
    """
    return [*_latency(rows_of(results, 'latency')),
            *(goal for found in results.values() if found for goal in found.get('goals', ())),
            *_soak(rows_of(results, 'soak'))]


def _goal(goal: str, found: float, limit: float, at_least: bool = False) -> Row:
    return {'goal': goal, 'found': found, 'limit': limit, 'at_least': at_least,
            'met': found >= limit if at_least else found <= limit}


def _latency(rows: Sequence[Row]) -> list[Row]:
    """Judge the policy alone, by medians of calls in a row."""
    own = {'policy': 'paper', 'runtime': 'onnxruntime'}
    one = find(rows, part='candidates', candidates=1, **own)
    sixteen = find(rows, part='candidates', candidates=16, **own)
    field = find(rows, part='ode', candidates=1, **own)
    flow = find(rows, part='ode', candidates=1, policy='flow-10')
    goals = []
    if one and 'over_products' in one:
        goals.append(_goal(
            "one candidate, paper's size: p50 over that of the bare products",
            one['over_products'], PRODUCTS))
    if sixteen:
        goals.append(_goal(
            "best of 16, paper's size: p50, us", sixteen['inference']['p50_us'], BEST_OF_16_US))
    if field and flow:
        goals.append(_goal(
            "p50 of a flow policy of 10 steps over the drifting field policy's",
            flow['inference']['p50_us'] / field['inference']['p50_us'], STEPS, at_least=True))
    return goals


def _soak(rows: Sequence[Row]) -> list[Row]:
    """Judge the soak: nothing is missed outside faults, and nothing leaks."""
    if not rows:
        return []
    found, name = rows[0]['verdict'], f'soak of {rows[0]["minutes"]:g} min'
    return [
        _goal(f'{name}: ticks missed outside faults', found['missed_outside_faults'], 0),
        _goal(f'{name}: threads and file descriptors more than before',
              max(0, found['threads_rise']) + max(0, found['descriptors_rise']), 0),
        # Flat is what no line through it says to grow.
        _goal(f"{name}: lower end of the memory's slope, KB an hour", found['slope_low'], 0)]
