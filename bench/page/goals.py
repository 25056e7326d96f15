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
"""Goals of all benchmarks, and their evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from bench.page.rows import Results, Row, rows_of


def all_goals(results: Results) -> list[Row]:
    """
    List the goals with a measurement.

    :param results: Results by benchmark; the benchmarks evaluate their own goals.
    :return: Name, ``found`` value, ``limit``, whether that is a lower limit, and whether it is
        ``met``, for each goal.
    """
    # Those of the loop are judged once, in its whole run.
    return [*(goal for name, found in results.items() if found and name != 'loop_learner'
              for goal in found.get('goals', ())),
            *_soak(rows_of(results, 'soak'))]


def _goal(goal: str, found: float, limit: float) -> Row:
    return {'goal': goal, 'found': found, 'limit': limit, 'met': found <= limit}


def _soak(rows: Sequence[Row]) -> list[Row]:
    """Evaluate the soak: no tick missed outside faults, and no leak."""
    if not rows:
        return []
    found, name = rows[0]['verdict'], f'soak of {rows[0]["minutes"]:g} min'
    return [
        _goal(f'{name}: ticks missed outside faults', found['missed_outside_faults'], 0),
        _goal(f'{name}: threads and file descriptors more than before',
              max(0, found['threads_rise']) + max(0, found['descriptors_rise']), 0),
        # Memory is flat if the lower end of the slope's interval is not positive.
        _goal(f"{name}: lower end of the memory's slope, KB an hour", found['slope_low'], 0)]
