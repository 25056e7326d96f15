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
"""
Reader of a recording's SQLite database, also if the recorder was interrupted.

SQLite has no checksums of the stored values: it detects a broken structure, but not a changed
number. So the recorder writes the file's SHA-256 beside it, as ``sha256sum`` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
import fcntl
import os
from pathlib import Path
import shutil
import sqlite3
import struct
from typing import Any

from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.core.files.digest import sha256
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.bags.being_written import BeingWrittenError
from dfp_ros.tools.bags.mcap_records import Channel, LARGEST

SUMS = 'SHA256SUMS'
# Files that SQLite leaves beside a database that was not closed.
_LEFT_BEHIND = ('-journal', '-wal')
# First byte and length of SQLite's locks: in the database while it writes; with a write-ahead
# log, in the shared-memory file, as long as the database is open.
_LOCKS, _SHARED_LOCKS = (0x40000000, 512), (120, 9)
_LANGUAGES = {'MSG': 'ros2msg', 'IDL': 'ros2idl', 'NONE': ''}


class DatabaseError(ValueError):
    """A database is damaged; the message describes the damage."""


class DatabaseFile:
    """
    SQLite database of a recording, opened for reading.

    :param path: The file.
    :param folder: Folder for a copy; a database that was not closed is copied and recovered first.
    :raises DatabaseError: If it is damaged.
    :raises BeingWrittenError: If a recorder still writes to it.
    :raises OSError: If it cannot be read, or copied.

    :ivar channels: Topics and their types, by channel number.
    :ivar counts: Number of messages of each channel.
    :ivar set_back: Largest backward step of the clock, in ns.
    :ivar earliest: Reception time of the first message, in ns.
    :ivar latest: Reception time of the last message, in ns.
    :ivar has_checksums: Whether a checksum covers all messages.
    """

    lost = 0

    def __init__(self, path: Path, folder: Path) -> None:
        """Open the database and verify it."""
        self.path = path
        with path.open('rb') as file:
            if file.read(16) != b'SQLite format 3\0':
                raise DatabaseError('it has no SQLite header')
            _require_no_writer(file.fileno(), fcntl.F_RDLCK, _LOCKS)
        if (shared := Path(f'{path}-shm')).is_file():
            with shared.open('rb') as file:
                _require_no_writer(file.fileno(), fcntl.F_WRLCK, _SHARED_LOCKS)
        self.has_checksums = _check_sum(path)
        if any(Path(f'{path}{ending}').is_file() for ending in _LEFT_BEHIND):
            path = _roll_back(path, folder)
        self._reader = Sqlite3Reader(path)
        self._reader.open()
        try:
            self._index()
        except BaseException:
            self._reader.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._reader.close()

    def messages(self, channels: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        """
        Read messages in the order in which they were received.

        :param channels: Numbers of the channels to read.
        :return: Channel number, reception time in ns, and content of each message.
        """
        wanted = [each for each in self._reader.connections if each.id in channels]
        for connection, received, content in self._reader.messages(wanted):
            if not isinstance(content, bytes):
                raise DatabaseError(
                    f'message received at {received} ns is {type(content).__name__}, '
                    'expected bytes')
            yield connection.id, received, content

    def _index(self) -> None:
        """Index the topics and messages."""
        database = self._reader.dbconn
        assert database is not None
        if not self.has_checksums:
            found = database.execute('PRAGMA integrity_check(1)').fetchone()
            if found != ('ok',):
                raise DatabaseError(f'SQLite finds: {found and found[0]}')
        self.channels = {
            each.id: Channel(
                each.topic, each.msgtype, _encoding(each), _LANGUAGES[each.msgdef.format.name],
                each.msgdef.data or '')
            for each in self._reader.connections}
        self.counts = Counter({each.id: each.msgcount for each in self._reader.connections})
        self.set_back = self.latest = 0
        self.earliest = 2**63
        query = 'SELECT timestamp, length(data) FROM messages ORDER BY id'
        for received, size in database.execute(query):
            if not isinstance(received, int) or not 0 <= received < 2**63:
                raise DatabaseError(f'found the time {received!r}, expected ns since 1970')
            if not isinstance(size, int) or size > LARGEST:
                raise DatabaseError(
                    f'found a message of {size} bytes, expected at most {LARGEST}')
            self.set_back = max(self.set_back, self.latest - received)
            self.latest = max(self.latest, received)
            self.earliest = min(self.earliest, received)


def write_sum(path: Path) -> None:
    """Write the checksum of a file beside it."""
    with atomic_path(path.parent / SUMS) as partial:
        partial.write_text(f'{sha256(path)}  {path.name}\n', encoding='utf-8')


def _check_sum(path: Path) -> bool:
    """Verify a file against its checksum; return whether there is one."""
    sums = path.parent / SUMS
    if not sums.is_file() or sums.stat().st_size > 1 << 16:
        return False
    for line in sums.read_text(encoding='utf-8', errors='replace').splitlines():
        expected, _, name = line.partition('  ')
        if name == path.name:
            if (found := sha256(path)) != expected:
                raise DatabaseError(
                    f'found the SHA-256 {found[:12]}, expected {printable(expected[:12])} '
                    f'from {SUMS}: the file was changed after recording')
            return True
    return False


def _encoding(connection: Any) -> str:
    """Return the encoding of the messages of a topic."""
    found: str = connection.ext.serialization_format
    return found


def _require_no_writer(file: int, lock: int, where: tuple[int, int]) -> None:
    """Check that no other process holds the lock that a writer would hold."""
    asked = struct.pack('hhqqi', lock, os.SEEK_SET, *where, 0)
    kind, _, _, _, process = struct.unpack('hhqqi', fcntl.fcntl(file, fcntl.F_GETLK, asked))
    if kind != fcntl.F_UNLCK:
        raise BeingWrittenError(process)


def _roll_back(path: Path, folder: Path) -> Path:
    """Copy a database with its journal, and let SQLite recover the copy."""
    copy = folder / path.name
    shutil.copyfile(path, copy)
    for ending in _LEFT_BEHIND:
        if (input_log := Path(f'{path}{ending}')).is_file():
            shutil.copyfile(input_log, f'{copy}{ending}')
    connection = sqlite3.connect(copy)
    try:
        connection.execute('SELECT count(*) FROM sqlite_master').fetchone()
    finally:
        connection.close()
    return copy
