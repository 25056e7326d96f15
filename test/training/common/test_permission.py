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
"""Data and runs of another user, which this one may not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import tempfile

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('h5py')
pytest.importorskip('pyarrow')

from testing.learning.small_runs import small  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.common.disk import WriteError  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.data.datasets.numbered import Data  # noqa: E402
from training.data.formats.lerobot import writer as lerobot  # noqa: E402
from training.data.formats.robomimic import writer as robomimic  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.export import main as export  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.report import main as report  # noqa: E402
from training.robot.run_state import make_folders  # noqa: E402
from training.train import main as train_command  # noqa: E402

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Have no permission that the owner or everybody lacks, as root has."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(name='folder')
def shared() -> Iterator[Path]:
    """Make a folder that others may look into, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob('*'):
        path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize(('data', 'denied'), [
    ('own.npz', 'own.npz'), ('demos.hdf5', 'demos.hdf5'), ('set', 'set/meta/info.json'),
    ('set', 'set/data/chunk-000/file-000.parquet'), ('set', 'set'),
    ('many', 'many/name-001.npz'), ('many', 'many')])
def test_data_are_not_told_to_be_damaged(folder: Path, data: str, denied: str) -> None:
    """Nor to be of another format, or for another environment."""
    stored.save(folder / 'own.npz', drawn([5, 6]))
    robomimic.write(folder / 'demos.hdf5', drawn([5, 6]))
    lerobot.write(folder / 'set', drawn([5, 6]), 'Move')
    for i in range(2):
        stored.save(folder / 'many' / f'name-{i:03d}.npz', drawn([5, 6]))
    for path in (folder / 'set', folder / 'many'):
        path.chmod(0o755)
    config = TrainConfig(data=str(folder / data), environment='none', observation_keys=(
        ('state',) if data == 'demos.hdf5' else ()))
    # Imports what the other user may not.
    Data(config)
    for path in folder.rglob('*.json'):
        if 'summary' in path.name:
            path.unlink()
    (folder / denied).chmod(0)
    with as_nobody(), pytest.raises(
            ValueError, match=f'^{folder}/{denied}.*: this user may not read it .*chmod -R a.rX'):
        Data(config)


def test_runs_are_not_told_to_be_damaged(
        folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a command ends without a traceback."""
    stored.save(folder / 'own.npz', drawn([5, 6]))
    run = folder / 'run'
    train(run, small(folder / 'own.npz'))
    words = ['cube-single', '--data', str(folder / 'own.npz'), '--environment', 'none']
    commands = (
        (train_command, [*words, '--run', str(run), '--resume']),
        (train_command, [*words, '--run', str(folder / 'new'), '--init-from', str(run)]),
        (export, [str(run), '--out', str(folder / 'policy.onnx')]), (report, [str(run)]))
    assert export([str(run), '--out', str(folder / 'policy.onnx')]) == 0
    assert report([str(run)]) == 0
    capsys.readouterr()
    for denied in (run / 'checkpoint.pt', run):
        denied.chmod(0)
        with as_nobody():
            for command, arguments in commands[:3] if denied != run else commands:
                assert command(arguments) == 2
                assert f'{run}/' in (said := capsys.readouterr().err)
                assert 'this user may not read it' in said, said


def test_a_table_that_cannot_be_written_is_known_at_the_start(folder: Path) -> None:
    """Not after the first episode, with which each session of the learner ended."""
    folder.chmod(0o777)
    (folder / 'episodes.csv').write_text('')
    with as_nobody(), pytest.raises(
            WriteError, match=r'episodes\.csv: cannot be written .*check its permissions'):
        make_folders(folder)
    (folder / 'episodes.csv').chmod(0o666)
    with as_nobody():
        make_folders(folder)
