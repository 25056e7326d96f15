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

from bench.page.rows import Results, Row, rows_of


def all_goals(results: Results) -> list[Row]:
    """
    List the goals about what was measured.

    :param results: By name of the benchmark; the benchmarks judge what they measured.
    :return: For each, what it is, what was ``found``, the ``limit``, whether that is a least, and
        whether it is ``met``.
    """
    return [*(goal for found in results.values() if found for goal in found.get('goals', ())),
            *_soak(rows_of(results, 'soak'))]


def _goal(goal: str, found: float, limit: float) -> Row:
    return {'goal': goal, 'found': found, 'limit': limit, 'met': found <= limit}


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
