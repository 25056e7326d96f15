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
"""Folder of a run on a robot: what is in it, and was not written by a learner."""

from __future__ import annotations

from contextlib import ExitStack
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('torch')
pytest.importorskip('rclpy')

from testing.fixtures.full_disk import full
from testing.learning.small_runs import small
from testing.learning.transitions import drawn
from training import learn_on_robot
from training.common.disk import WriteError
from training.common.files import TableError
from training.config import TrainConfig
from training.data.transitions import stored
from training.learn_on_robot import _lock, LOCK
from training.learning.trainer.checkpoint import Progress
from training.learning.trainer.continuation import ContinuationError
from training.learning.trainer.log import read_rows, RunLog
from training.learning.trainer.run import prepare
from training.robot.records import EpisodeRecord, RecordTable
from training.robot.run_state import (
    make_config,
    make_folders,
    notes_on_rewards,
    resumed_lengths,
)
from training.robot.settings import LearnerSettings


def table(folder: Path, count: int = 3) -> Path:
    """Write a table."""
    path = folder / 'episodes.csv'
    records = RecordTable(path)
    for i in range(count):
        records.add(EpisodeRecord(i, 1, -3.0, 5, 4, 0, 'start', 0, 0, 1.5))
    return path


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Without the line that a killed learner did not finish, which the next one replaces."""
    path = table(tmp_path)
    for i in (3, 4):
        with path.open('a') as file:
            file.write(f'{i},1,-3')
        records = RecordTable(path)
        assert [record.episode for record in records.records] == list(range(i))
        records.add(EpisodeRecord(i, 1, -3.0, 5, 4, 0, 'start', 0, 0, 1.5))
    assert RecordTable(path).records == records.records
    assert [record.episode for record in records.records] == list(range(5))


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    """The message has file and remedy; what came of the row is removed."""
    path = table(tmp_path)
    before, records = path.read_bytes(), RecordTable(path)
    record = EpisodeRecord(3, 1, -3.0, 5, 4, 0, 'start', 0, 0, 1.5)
    with full(len(before) + 9), pytest.raises(
            WriteError, match=r'episodes\.csv: cannot be written .*unchanged; free some space'):
        records.add(record)
    assert path.read_bytes() == before
    assert len(records.records) == 3
    records.add(record)
    assert RecordTable(path).records == records.records
    with RunLog(tmp_path / 'run', TrainConfig(), 0) as log:
        log.update(Progress(1), {'loss': 1.0})
        updates = tmp_path / 'run' / 'updates.csv'
        before = updates.read_bytes()
        # So that its thread writes nothing meanwhile.
        log._board.flush()
        with full(len(before) + 9), pytest.raises(
                WriteError, match=r'updates\.csv: cannot be written .*unchanged; free some space'):
            log.update(Progress(2), {'loss': 1.0})
    assert updates.read_bytes() == before


@pytest.mark.parametrize('name', ['policies', 'episodes', 'demonstrations'])
def test_folders_that_cannot_be_written_are_known_at_the_start(
        name: str, tmp_path: Path) -> None:
    """Not with the first policy or episode, which would be lost."""
    make_folders(tmp_path / 'robot')
    (tmp_path / 'robot' / name).mkdir()
    make_folders(tmp_path / 'robot')
    assert not list((tmp_path / 'robot' / name).iterdir())
    (tmp_path / 'robot' / name).rmdir()
    (tmp_path / 'robot' / name).symlink_to('/proc')
    with pytest.raises(WriteError, match=f'robot/{name}: cannot be written .*check its permiss'):
        make_folders(tmp_path / 'robot')


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('success', 'sucess', r'row 1: found .*, expected episode, success, rewards'),
    ('\n1,', '\none,', 'row 2: found '), ('\n1,', '\n-1,', 'row 2: found '),
    ('\n1,', f'\n{10 ** 18},', 'row 2: found '), ('\n2,1,-3.0,5,4,0,start', '\n2,1', 'row 3: '),
    ('start', 'x' * 200_000, 'found contents that are no table'),
    ('start', '\xff', None)])
def test_a_table_that_was_changed(
        tmp_path: Path, old: str, new: str, message: str | None) -> None:
    """It is refused by name, with a remedy."""
    path = table(tmp_path)
    text = path.read_text().replace('\r', '')
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode('latin-1'))
    with pytest.raises(TableError, match=message) as raised:
        RecordTable(path)
    assert str(path) in str(raised.value)
    assert 'move it away' in str(raised.value)


def test_a_table_that_blocks(tmp_path: Path) -> None:
    """A FIFO or a device is refused, for reading and for writing."""
    path = tmp_path / 'episodes.csv'
    os.mkfifo(path)
    for read in (RecordTable, read_rows):
        with pytest.raises(TableError, match='Is a FIFO'):
            read(path)
    path.unlink()
    path.symlink_to('/dev/zero')
    with pytest.raises(TableError, match='Is a device'):
        RecordTable(path)
    path.unlink()
    records = RecordTable(path)
    os.mkfifo(path)
    with pytest.raises(OSError, match='No such device or address'):
        records.add(EpisodeRecord(0, 1, -3.0, 5, 4, 0, 'start', 0, 0, 1.5))


def test_the_lock_follows_no_link(tmp_path: Path) -> None:
    """The folder of somebody else may have one to a file of yours."""
    file = tmp_path / 'mine'
    file.write_text('precious')
    (tmp_path / LOCK).symlink_to(file)
    with ExitStack() as stack, pytest.raises(OSError, match='symbolic links'):
        _lock(tmp_path, stack)
    assert file.read_text() == 'precious'


@pytest.mark.parametrize('is_there', [True, False])
def test_a_folder_that_is_no_run_stays_as_it_is(
        is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name leaves no folder for the robot behind."""
    monkeypatch.setattr(learn_on_robot, 'RobotLink', lambda *_: SimpleNamespace(
        claim=lambda: '', close=lambda: None))
    monkeypatch.setattr(learn_on_robot, 'step_aside', lambda *_: '')
    run = tmp_path / 'run'
    if is_there:
        run.mkdir()
    assert learn_on_robot.main([str(run)]) == 2
    assert str(run / 'checkpoint.pt') in capsys.readouterr().err
    assert run.exists() == is_there
    assert not is_there or not list(run.iterdir())


@pytest.mark.parametrize(('changed', 'updates', 'message'), [
    ({'start': 50}, 100, 'learned on the robot with --start 1000, now asked for 50; give '
     r'--start 1000 again, or begin anew in another folder \(--out\)'),
    ({'batches': 'uniform'}, 100, 'with --batches balanced, now asked for uniform'),
    ({'updates_per_step': 2}, 100, 'with --updates-per-step 1, now asked for 2'),
    ({'learning_rate': 1e-4}, 100, 'with --learning-rate 0.0003, now asked for 0.0001'),
    ({'average_rate': 0.5}, 100, 'with --average-rate 0.0, now asked for 0.5'),
    ({'value_weight': 3.0}, 100, 'with --value-weight 0.0, now asked for 3.0'),
    ({'steps': 2000}, 100, 'has 3000 transitions of the robot, now asked for --steps 2000; ask'),
    ({}, 200, 'began from a run with steps 100, but the run has 200 now')])
def test_another_session_with_other_settings(
        changed: dict[str, object], updates: int, message: str) -> None:
    """The remedy is in the learner's flags, not in those of training.train."""
    run = TrainConfig(learning_rate=3e-4, value_weight=0.0, average_rate=0.0)
    before = make_config(run, 100, LearnerSettings())
    with pytest.raises(ContinuationError, match=message):
        resumed_lengths(before, make_config(run, updates, LearnerSettings(**changed)), 0, 3000)


def test_another_session_that_is_longer() -> None:
    """More transitions may be asked for, and settings that change nothing that is learned."""
    run = TrainConfig()
    before = make_config(run, 100, LearnerSettings())
    now = make_config(run, 100, LearnerSettings(steps=200_000, threads=3, nice=0))
    assert resumed_lengths(before, now, 0, 30) == {'online_steps': [100_000, 200_000]}


@pytest.mark.parametrize('sparse', [False, True])
def test_data_with_other_rewards_than_those_of_the_robot_are_said(
        tmp_path: Path, sparse: bool) -> None:
    """As of a task with several parts, or of a dataset without rewards: critics learn both."""
    data = drawn([10] * 4)
    stored.save(tmp_path / 'data.npz', data)
    notes = list(notes_on_rewards(prepare('run', small(tmp_path / 'data.npz', sparse=sparse))))
    assert len(notes) == (not sparse)
    if not sparse:
        low, high = float(data.rewards.min()), float(data.rewards.max())
        assert f'data.npz: found rewards from {low:g} to {high:g}, and a step' in notes[0]
