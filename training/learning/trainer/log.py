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
"""Training log: metrics as CSV files and as TensorBoard events."""

from __future__ import annotations

from contextlib import nullcontext, suppress
import csv
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from training.common.files import append_row, atomic_path, read_table, TableError, write_json
from training.config import TrainConfig
from training.evaluation.evaluation import Evaluation
from training.learning.trainer.checkpoint import Progress


class RunLog:
    """
    Writer of all files in a run's folder except the checkpoint.

    ``config.json``, ``updates.csv``, ``evaluations.csv``, ``evaluations/STEP.json`` with one
    record per episode, and TensorBoard event files.

    :param run: The run's folder.
    :param config: Its settings.
    :param step: Number of updates so far; later rows of an earlier session are dropped.
    """

    def __init__(self, run: Path, config: TrainConfig, step: int) -> None:
        self._run = run
        run.mkdir(parents=True, exist_ok=True)
        with atomic_path(run / 'config.json') as partial:
            partial.write_text(config.to_json() + '\n')
        for name in ('updates.csv', 'evaluations.csv'):
            _keep_until(run / name, step)
        updates = run / 'updates.csv'
        self.rows = read_rows(updates) if updates.exists() else []
        """Rows of ``updates.csv`` so far."""
        self._board = SummaryWriter(str(run), purge_step=step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None,
            trace: TracebackType | None) -> None:
        # After a full disk it may fail, too, and would hide the first error.
        with suppress(OSError) if error is not None else nullcontext():
            self._board.close()

    def update(self, progress: Progress, values: dict[str, float]) -> None:
        """Write a row of losses and other metrics of an update."""
        self.rows.append({'step': progress.step, **values})
        self._write('updates.csv', progress, values)
        for name, value in values.items():
            self._board.add_scalar(f'update/{name}', value, progress.step)

    def evaluation(self, progress: Progress, found: Evaluation) -> None:
        """Write an evaluation: a row of its metrics, and a file of its episodes."""
        low, high = found.interval
        summary = found.summary()
        self._write('evaluations.csv', progress, {
            'success': found.success, 'low': low, 'high': high,
            'discounted_return': found.discounted_return, 'mean_steps': found.mean_steps,
            'episodes': summary['episodes']})
        self._board.add_scalar('evaluation/success', found.success, progress.step)
        write_json(self._run / 'evaluations' / f'{progress.step}.json', summary)

    def last_evaluation(self) -> int:
        """Read the number of updates before the last evaluation; 0 if there was none."""
        path = self._run / 'evaluations.csv'
        rows = read_text(path) if path.exists() else []
        return int(rows[-1]['step']) if rows else 0

    def _write(self, name: str, progress: Progress, values: dict[str, float]) -> None:
        path = self._run / name
        row = {
            'step': progress.step, 'environment_steps': progress.environment_steps,
            'wall_seconds': round(progress.wall_seconds, 1),
            'cpu_seconds': round(progress.cpu_seconds, 1), **values}
        known = _header(path)
        columns = known + [name for name in row if name not in known]
        if known and columns != known:
            # The online phase has losses that the offline phase lacks.
            _rewrite(path, columns, read_text(path))
        append_row(path, columns, row)


def read_text(path: Path) -> list[dict[str, str]]:
    """
    Read a log's rows as text, without an incomplete last row of a killed run.

    :raises TableError: If it is no log.
    """
    return read_table(path)


def read_rows(path: Path) -> list[dict[str, float]]:
    """Read a log's rows as numbers; missing values are left out."""
    try:
        return [
            {key: float(value) for key, value in row.items() if value} for row in read_text(path)]
    except (ValueError, TypeError) as error:
        raise _no_log(path, error) from error


def _header(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline='') as file:
        return next(csv.reader(file), [])


def _keep_until(path: Path, step: int) -> None:
    """Drop the rows that a session wrote after its last checkpoint."""
    if path.exists():
        rows = read_text(path)
        try:
            kept = [row for row in rows if int(row['step']) <= step]
            _rewrite(path, _header(path), kept)
        except (ValueError, TypeError, KeyError) as error:
            raise _no_log(path, error) from error


def _no_log(path: Path, error: Exception) -> TableError:
    """Make the error for a table that is no log."""
    return error if isinstance(error, TableError) else TableError(
        f'{path}: found rows that a run does not write ({type(error).__name__}: '
        f'{str(error)[:200]}); restore it, or move it away')


def _rewrite(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with atomic_path(path) as partial, partial.open('w', newline='') as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
