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
"""What a run writes down while it learns: CSV for programs, TensorBoard for people."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from training.checkpoint import Progress
from training.config import TrainConfig
from training.evaluate import Evaluation
from training.provenance import atomic_path, write_json


class RunLog:
    """
    The files of a run's folder but the checkpoint.

    ``config.json``, ``updates.csv``, ``evaluations.csv``, ``evaluations/STEP.json`` with one
    record an episode, and TensorBoard's event files.

    :param run: The run's folder.
    :param config: Its settings.
    :param step: Updates already taken; later rows of an earlier session are dropped.
    """

    def __init__(self, run: Path, config: TrainConfig, step: int) -> None:
        self._run = run
        run.mkdir(parents=True, exist_ok=True)
        with atomic_path(run / 'config.json') as partial:
            partial.write_text(config.to_json() + '\n')
        for name in ('updates.csv', 'evaluations.csv'):
            _keep_until(run / name, step)
        self._board = SummaryWriter(str(run), purge_step=step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None,
            trace: TracebackType | None) -> None:
        self._board.close()

    def update(self, progress: Progress, values: dict[str, float]) -> None:
        """Write one row of losses and forces."""
        self._write('updates.csv', progress, values)
        for name, value in values.items():
            self._board.add_scalar(f'update/{name}', value, progress.step)

    def evaluation(self, progress: Progress, found: Evaluation) -> None:
        """Write an evaluation: a row of its figures, a file of its episodes."""
        low, high = found.interval
        summary = found.summary()
        self._write('evaluations.csv', progress, {
            'success': found.success, 'low': low, 'high': high,
            'mean_steps': summary['mean_steps'], 'episodes': summary['episodes']})
        self._board.add_scalar('evaluation/success', found.success, progress.step)
        write_json(self._run / 'evaluations' / f'{progress.step}.json', summary)

    def _write(self, name: str, progress: Progress, values: dict[str, float]) -> None:
        path = self._run / name
        row = {
            'step': progress.step, 'wall_seconds': round(progress.wall_seconds, 1),
            'cpu_seconds': round(progress.cpu_seconds, 1), **values}
        fresh = not path.exists()
        with path.open('a', newline='') as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)


def read_rows(path: Path) -> list[dict[str, float]]:
    """Read a log's rows as numbers."""
    with path.open(newline='') as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _keep_until(path: Path, step: int) -> None:
    """Drop the rows that a session wrote after its last checkpoint."""
    if not path.exists():
        return
    with path.open(newline='') as file:
        rows = list(csv.reader(file))
    kept = rows[:1] + [row for row in rows[1:] if int(row[0]) <= step]
    with atomic_path(path) as partial, partial.open('w', newline='') as file:
        csv.writer(file).writerows(kept)
