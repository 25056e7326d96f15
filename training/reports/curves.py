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
"""Learning curves of a report: logged metrics of a group of runs, over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math

import numpy as np

from training.evaluation.intervals import interval
from training.pages.style import Curve
from training.reports.runs import Group

# Maximum number of points of a curve; more rows are averaged in bins.
POINTS = 150


def logged(group: Group, column: str) -> Curve | None:
    """
    Curve of a column of ``updates.csv``; the band is the range over seeds.

    :return: None if no run of the group has it.
    """
    end = max((run.updates[-1]['step'] for run in group.runs if run.updates), default=0.0)
    crowded = max(len(run.updates) for run in group.runs) > POINTS
    width = end / POINTS if crowded else 0.0
    series = []
    for run in group.runs:
        bins: dict[float, list[float]] = {}
        for row in run.updates:
            step, value = row['step'], row.get(column, math.nan)
            middle = (math.ceil(step / width) - 0.5) * width if crowded else step
            bins.setdefault(middle, []).append(value)
        series.append({middle: _mean(values) for middle, values in bins.items()})
    return _curve(series, _switch(group))


def evaluated(group: Group, column: str, x: str = 'step') -> Curve | None:
    """
    Curve of a column of ``evaluations.csv``.

    The band of ``success`` is the 95 % interval of
    :func:`training.evaluation.intervals.interval`, that of other columns the range over seeds.

    :param x: ``step``, or ``environment_steps`` for the online phase only.
    :return: None if no run of the group has it.
    """
    kept = [
        {row[x]: row for row in run.evaluations
         if x == 'step' or run.config.online_steps and row['step'] >= run.config.steps}
        for run in group.runs]
    curve = _curve([
        {place: row.get(column, math.nan) for place, row in rows.items()} for rows in kept],
        _switch(group) if x == 'step' else None)
    if curve is None or column != 'success':
        return curve
    bands = [
        success_interval([rows[place] for rows in kept if place in rows]) for place in curve.x]
    low, high = np.array(bands).T
    return replace(curve, low=low, high=high)


def last_evaluations(group: Group) -> list[dict[str, float]]:
    """Collect the last evaluation of each run that has one."""
    return [run.evaluations[-1] for run in group.runs if run.evaluations]


def success_interval(rows: Sequence[dict[str, float]]) -> tuple[float, float]:
    """
    95 % confidence interval of the success rate over seeds.

    :param rows: One evaluation per seed; those without a success rate are ignored.
    """
    rows = [row for row in rows if math.isfinite(row.get('success', math.nan))]
    if not rows:
        return math.nan, math.nan
    return interval([row['success'] for row in rows], int(sum(row['episodes'] for row in rows)))


def _mean(values: Sequence[float]) -> float:
    """Average the finite values."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _switch(group: Group) -> int | None:
    config = group.runs[0].config
    return config.steps if config.online_steps else None


def _curve(series: Sequence[dict[float, float]], switch: int | None) -> Curve | None:
    """Align the seeds on common points, and compute mean and range."""
    x = sorted(set().union(*series))
    seeds = np.array([[values.get(place, math.nan) for place in x] for values in series])
    known = np.ma.masked_invalid(seeds)
    if not known.count():
        return None
    mean, low, high = (
        found.filled(math.nan) for found in (known.mean(0), known.min(0), known.max(0)))
    return Curve(np.array(x), mean, low, high, known.filled(math.nan), switch)
