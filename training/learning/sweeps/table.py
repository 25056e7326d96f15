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
"""Results table of a sweep: success rate over seeds for each combination of settings."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfp_ros.core.text.printable import listed
from training.common.files import atomic_path, write_json
from training.evaluation.intervals import interval
from training.learning.sweeps.plan import PlannedRun
from training.learning.trainer.log import read_rows

FIGURES = ('runs', 'success', 'low', 'high', 'episodes', 'minutes')


@dataclass(frozen=True)
class Row:
    """
    Results of one combination of settings.

    :param labels: Value of each varied setting.
    :param planned: Number of planned runs.
    :param finished: Number of finished runs.
    :param seeds: Seeds of those that were evaluated, which data without a simulator are not.
    :param success: Success rate in the last evaluation, one per seed.
    :param episodes: Total number of episodes in those evaluations.
    :param minutes: Mean time of a run in updates and evaluations.
    """

    labels: dict[str, str]
    planned: int
    finished: int
    seeds: tuple[int, ...]
    success: tuple[float, ...]
    episodes: int
    minutes: float

    def figures(self) -> dict[str, Any]:
        """Values of the row, by the names in :data:`FIGURES`; None if no run has them."""
        runs = f'{self.finished} of {self.planned}'
        if not self.seeds:
            return dict.fromkeys(FIGURES) | {
                'runs': runs, 'minutes': self.minutes if self.finished else None}
        low, high = interval(self.success, self.episodes)
        return {
            'runs': runs, 'success': float(np.mean(self.success)), 'low': low, 'high': high,
            'episodes': self.episodes, 'minutes': self.minutes}


def table(runs: Sequence[PlannedRun], folder: Path) -> list[Row]:
    """
    Collect the last evaluations of the finished runs.

    :param runs: The plan.
    :param folder: Folder of the sweep.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    rows = []
    for members in groups.values():
        done = [run for run in members if run.finished(folder)]
        last = {run.config.seed: _last_row(folder / run.name) for run in done}
        evaluated = {seed: found for seed, found in last.items() if 'success' in found}
        seconds = [found.get('wall_seconds', 0.0) for found in last.values()]
        rows.append(Row(
            dict(members[0].labels), len(members), len(done), tuple(evaluated),
            tuple(found['success'] for found in evaluated.values()),
            sum(int(found['episodes']) for found in evaluated.values()),
            float(np.mean(seconds) / 60) if seconds else 0.0))
    return rows


def _last_row(run: Path) -> dict[str, float]:
    """Read the last evaluation of a run, or its last updates if there is none."""
    for path in (run / 'evaluations.csv', run / 'updates.csv'):
        if path.exists() and (rows := read_rows(path)):
            return rows[-1]
    return {}


def mixed_data(runs: Sequence[PlannedRun], folder: Path) -> list[str]:
    """
    Describe finished runs whose data had one name and different contents.

    :param runs: The plan.
    :param folder: Folder of the sweep.
    :return: A line for each name of data.
    """
    found: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = {}
    for run in runs:
        if run.finished(folder) and (known := run.data_hash(folder)):
            of = run.config.data, tuple(run.config.corrections)
            found.setdefault(of, {}).setdefault(known, []).append(run.name)
    return [
        f'{data}: its content changed between the runs: '
        + ', '.join(f'{known[:12]} for {listed(names)}' for known, names in hashes.items())
        + '; remove the runs of the content that is not meant, and sweep again'
        for (data, _), hashes in found.items() if len(hashes) > 1]


def markdown(rows: Sequence[Row]) -> str:
    """Format the table as Markdown."""
    columns = [*rows[0].labels, 'runs', 'success', '95 % interval', 'each seed', 'minutes a run']
    lines = [columns, ['---'] * len(columns)]
    for row in rows:
        found = row.figures()
        numbers = ['', '', ''] if not row.seeds else [
            f'{found["success"]:.1%}', f'{found["low"]:.1%} to {found["high"]:.1%}',
            ' '.join(f'{success:.0%}' for success in row.success)]
        minutes = f'{row.minutes:.1f}' if row.finished else ''
        lines.append([*row.labels.values(), found['runs'], *numbers, minutes])
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write ``table.md``, ``table.csv`` and ``table.json`` into the sweep's folder."""
    with atomic_path(folder / 'table.md') as partial:
        partial.write_text(markdown(rows))
    with atomic_path(folder / 'table.csv') as partial, partial.open('w', newline='') as file:
        writer = csv.DictWriter(file, [*rows[0].labels, *FIGURES])
        writer.writeheader()
        writer.writerows({**row.labels, **row.figures()} for row in rows)
    write_json(folder / 'table.json', [
        {'settings': row.labels, **row.figures(),
         'seeds': dict(zip(row.seeds, row.success, strict=True))} for row in rows])
