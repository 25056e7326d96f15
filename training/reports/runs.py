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
"""Logs of runs, and groups of runs that differ only in their seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import re
from typing import Any

from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.text.printable import printable
from dfp_ros.spec import PolicySpec
from training.config import TrainConfig
from training.learning.trainer import checkpoint
from training.learning.trainer.log import read_rows

Rows = list[dict[str, float]]
# Above the largest number in single precision.
_LARGEST = 1e39
_COUNTERS = ('step', 'environment_steps', 'wall_seconds', 'cpu_seconds')


class ReportError(ValueError):
    """There is no run to report on, or it cannot be read."""


@dataclass(frozen=True)
class Run:
    """
    Settings and logs of a run.

    :param name: Its folder, relative to the common folder of all runs of the report.
    :param config: Its settings.
    :param updates: Rows of ``updates.csv``, with ``value_above_data``: value of candidates minus
        that of data.
    :param evaluations: Rows of ``evaluations.csv``.
    :param provenance: Provenance from its checkpoint; empty if there is none.
    """

    name: str
    config: TrainConfig
    updates: Rows
    evaluations: Rows
    provenance: dict[str, Any]

    @property
    def last(self) -> dict[str, float]:
        """Last row that it logged, for its counters; empty if there is none."""
        rows = self.updates[-1:] + self.evaluations[-1:]
        return max(
            rows, key=lambda row: (row['step'], row.get('wall_seconds', 0.0)), default={})

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings without the seed."""
        values = json.loads(self.config.to_json())
        del values['seed']
        return values


@dataclass(frozen=True)
class Group:
    """
    Runs that differ only in their seed.

    :param name: Name in the report.
    :param runs: One run per seed.
    """

    name: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of its runs."""
        return tuple(run.config.seed for run in self.runs)


def find(folders: Iterable[Path]) -> list[Path]:
    """
    List the folders of runs, without duplicates.

    :param folders: Folders of runs, or of sweeps, which contain folders of runs.
    :raises ReportError: If a folder holds neither.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        inside = [folder] if _is_run(folder) else sorted(
            (path for path in folder.glob('*') if _is_run(path)), key=_natural)
        if not inside:
            raise ReportError(
                f'{folder}: found no run there, expected config.json beside updates.csv or '
                'evaluations.csv; name the folder of a run or of a sweep')
        found |= dict.fromkeys(path.resolve() for path in inside)
    return list(found)


def common_folder(folders: Sequence[Path]) -> Path:
    """Folder of the run if there is one run, else the common folder of all."""
    if len(folders) == 1:
        return folders[0]
    return Path(os.path.commonpath([folder.parent for folder in folders]))


def read(folders: Sequence[Path]) -> list[Run]:
    """
    Read settings and logs of runs.

    :param folders: Folders of runs, from :func:`find`.
    :raises ReportError: If a file cannot be read, or none of the runs has logged anything.
    """
    shared = common_folder(folders) if len(folders) > 1 else folders[0].parent
    runs = [_read(folder, folder.relative_to(shared).as_posix()) for folder in folders]
    if not any(run.last for run in runs):
        raise ReportError(
            f'{folders[0]}: found no complete row in its logs'
            + (f', nor in those of {len(runs) - 1} others' if len(runs) > 1 else '')
            + '; runs log every --log-every updates')
    return runs


def group(runs: Sequence[Run], whole: str) -> list[Group]:
    """
    Group runs that differ only in their seed.

    A second run with the same settings and the same seed is no further evidence, and starts a
    separate group.

    :param runs: Any.
    :param whole: Name of a group whose runs are named only after their seeds.
    """
    members: dict[str, list[Run]] = {}
    for run in runs:
        copy = 0
        while True:
            key = json.dumps([run.settings, copy])
            if all(other.config.seed != run.config.seed for other in members.get(key, ())):
                break
            copy += 1
        members.setdefault(key, []).append(run)
    names = [_name(together) or whole for together in members.values()]
    if len(set(names)) < len(names):
        names = [_listed(together) for together in members.values()]
    return [
        Group(name, tuple(sorted(together, key=lambda run: run.config.seed)))
        for name, together in zip(names, members.values(), strict=True)]


def compare(groups: Sequence[Group]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """
    Compare the groups' settings.

    :return: Settings that differ, with one value per group, and common settings.
    """
    each = [found.runs[0].settings for found in groups]
    differing = {
        name: [values[name] for values in each] for name in each[0]
        if any(values[name] != each[0][name] for values in each)}
    return differing, {name: value for name, value in each[0].items() if name not in differing}


def _is_run(folder: Path) -> bool:
    return (folder / 'config.json').is_file() and any(
        (folder / name).is_file() for name in ('updates.csv', 'evaluations.csv'))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort ``seed=10`` after ``seed=9``."""
    return [(int(part), '') if part.isdigit() else (0, part)
            for part in re.split(r'(\d+)', path.name)]


def _read(folder: Path, name: str) -> Run:
    path = folder / 'config.json'
    try:
        config = TrainConfig.from_json(read_regular(path, LARGEST_TEXT).decode())
    except (ValueError, TypeError, OSError) as error:
        raise ReportError(f'{path}: cannot be read as the settings of a run: {error}') from error
    updates = _rows(folder / 'updates.csv')
    for row in updates:
        if {'value_of_candidates', 'value_of_data'} <= row.keys():
            row['value_above_data'] = row['value_of_candidates'] - row['value_of_data']
    return Run(
        name, config, updates, _rows(folder / 'evaluations.csv'),
        _provenance(folder / 'checkpoint.pt'))


def _rows(path: Path) -> Rows:
    """Read a log; empty if a run that ended early has none."""
    if not path.exists():
        return []
    try:
        rows = read_rows(path)
    except (ValueError, TypeError, OSError) as error:
        why = str(error).removeprefix(f'{path}: ')
        raise ReportError(f'{path}: cannot be read as a log: {why}') from error
    if any('step' not in row for row in rows):
        raise ReportError(f'{path}: found a row without a step, expected a log of training.train')
    for row in rows:
        for column, value in row.items():
            # A loss may be infinite; time is not.
            if abs(value) > _LARGEST if math.isfinite(value) else column in _COUNTERS:
                raise ReportError(
                    f'{path}: {printable(column)}: found {value:g}, which no run writes; restore '
                    'the log, or leave that run out')
    return rows


def _provenance(path: Path) -> dict[str, Any]:
    try:
        return dict(PolicySpec.from_json(checkpoint.read(path)['spec']).provenance)
    except ValueError:
        return {}


def _name(together: Sequence[Run]) -> str:
    """Name a single run after its folder, several after the common part without the seed."""
    if len(together) == 1:
        return together[0].name
    stems = {
        re.sub(rf'[\W_]*(seed)?[\W_]*(?<!\d)0*{run.config.seed}$', '', run.name)
        for run in together}
    return stems.pop() if len(stems) == 1 else _listed(together)


def _listed(together: Sequence[Run]) -> str:
    first = ', '.join(run.name for run in together[:3])
    return first + (f' and {len(together) - 3} more' if len(together) > 3 else '')
