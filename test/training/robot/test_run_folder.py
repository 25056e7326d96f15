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

import pytest

pytest.importorskip('torch')
pytest.importorskip('rclpy')

from training.common.files import TableError
from training.learn_on_robot import _lock, LOCK
from training.learning.trainer.log import read_rows
from training.robot.records import EpisodeRecord, RecordTable


def table(folder: Path, count: int = 3) -> Path:
    """Write a table."""
    path = folder / 'episodes.csv'
    records = RecordTable(path)
    for i in range(count):
        records.add(EpisodeRecord(i, 1, -3.0, 5, 4, 0, 'start', 0, 0, 1.5))
    return path


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Without the line that a killed learner did not finish."""
    path = table(tmp_path)
    with path.open('a') as file:
        file.write('3,1,-3')
    assert [record.episode for record in RecordTable(path).records] == [0, 1, 2]


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
