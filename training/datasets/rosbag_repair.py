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
"""Recordings that were not ended: copies of them that can be read."""

from __future__ import annotations

from pathlib import Path
import shutil
import sqlite3
import struct

_MAGIC = b'\x89MCAP0\r\n'
# A footer that says that there is no index: readers scan the records then.
_END = b'\x02' + struct.pack('<QQQI', 20, 0, 0, 0) + _MAGIC
_DATA_END, _FOOTER = 0x0f, 0x02
# What SQLite leaves beside a database that was not closed.
_LEFT_BEHIND = ('-journal', '-wal')


def is_left_open(database: Path) -> bool:
    """Tell whether a database was not closed, so that it cannot be read without its journal."""
    return any(Path(f'{database}{ending}').is_file() for ending in _LEFT_BEHIND)


def cut_to_records(file: Path, folder: Path) -> tuple[Path, int]:
    """
    Copy the whole records of an mcap file that was cut short, and end the copy properly.

    :return: The copy, and how many bytes were left out.
    """
    copy = folder / file.name
    with file.open('rb') as source, copy.open('wb') as target:
        if source.read(len(_MAGIC)) != _MAGIC:
            raise ValueError('it does not begin as an mcap file')
        target.write(_MAGIC)
        end = len(_MAGIC)
        size = file.stat().st_size
        while len(head := source.read(9)) == 9:
            code, length = head[0], struct.unpack('<Q', head[1:])[0]
            if code in (_DATA_END, _FOOTER) or end + 9 + length > size:
                break
            target.write(head)
            target.write(source.read(length))
            end += 9 + length
        target.write(_END)
    return copy, size - end


def roll_back(file: Path, folder: Path) -> Path:
    """Copy a database with its journal; undo what was not finished, and add what was."""
    copy = folder / file.name
    shutil.copyfile(file, copy)
    for ending in _LEFT_BEHIND:
        if (journal := Path(f'{file}{ending}')).is_file():
            shutil.copyfile(journal, f'{copy}{ending}')
    connection = sqlite3.connect(copy)
    try:
        connection.execute('SELECT count(*) FROM sqlite_master').fetchone()
    finally:
        connection.close()
    return copy
