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
Writers of recordings whose every bit is checked when they are read.

rosbags writes mcap files without checksums. Here each chunk, the data as a whole and the summary
have theirs; and a disk that is full leaves whole records behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
import os
from pathlib import Path
import sqlite3
from typing import Any, BinaryIO
from zlib import crc32

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionMode
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from dfp_ros.tools.bags.database_file import write_sum
from dfp_ros.tools.bags.mcap_records import DATA_END, HEAD, MAGIC

# Where in a chunk its checksum is, after the head, two times and a length.
_CHUNK_CHECKSUM = HEAD + 24


class _Held(BytesIO):
    """What would go to a file, held back so that checksums can be put in."""

    def __init__(self, place: int) -> None:
        """Begin where the file ends."""
        super().__init__()
        self._start = place

    def tell(self) -> int:
        """Return the place in the file."""
        return self._start + super().tell()

    def close(self) -> None:
        """Keep what there is."""


class CheckedMcapWriter(McapWriter):
    """
    Writes an mcap file with checksums.

    :ivar stored: Messages that the file has, all of them in whole records.
    """

    bio: Any

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        """Begin the file."""
        super().__init__(path, compression)
        self.bio.close()
        # Unbuffered, so that what a full disk does not take is not tried again.
        self._file: BinaryIO = self.path.open('r+b', buffering=0)
        begin = self._file.read()
        self._checksum = crc32(begin)
        self._size = len(begin)
        self.stored = self._pending = 0

    def write(self, connection: Any, timestamp: int, data: bytes | memoryview) -> None:
        """Write a message."""
        self._pending += 1
        super().write(connection, timestamp, data)

    def close_chunk(self) -> None:
        """Write the chunk, with its checksum."""
        checksum = crc32(self.chunk.bio.getbuffer())
        pending, self._pending = self._pending, 0
        self.bio = held = _Held(self._size)
        super().close_chunk()
        records = held.getbuffer()
        records[_CHUNK_CHECKSUM:_CHUNK_CHECKSUM + 4] = checksum.to_bytes(4, 'little')
        self._put(records)
        self.stored += pending

    def flush(self) -> None:
        """Have all that was written reach the disk."""
        if self.chunk.msgs:
            self.close_chunk()
        os.fsync(self._file.fileno())

    def close(self, version: int, metadata: str) -> None:
        """Write the summary, with the checksums of all of it."""
        if self.chunk.bio.tell():
            self.close_chunk()
        self.bio = held = _Held(self._size)
        super().close(version, metadata)
        records = held.getbuffer()
        end = 0
        while records[end] != DATA_END:
            end += HEAD + int.from_bytes(records[end + 1:end + HEAD], 'little')
        data = crc32(records[:end], self._checksum)
        records[end + HEAD:end + HEAD + 4] = data.to_bytes(4, 'little')
        footer = len(records) - len(MAGIC) - 4
        summary = crc32(records[end + HEAD + 4:footer])
        records[footer:footer + 4] = summary.to_bytes(4, 'little')
        self._put(records)
        os.fsync(self._file.fileno())
        self._file.close()

    def abort(self) -> None:
        """Leave what there is, which ends with a whole record."""
        self._file.close()

    def _put(self, records: memoryview) -> None:
        """Append records to the file, all of them or none."""
        place = 0
        try:
            while place < len(records):
                place += self._file.write(records[place:])
        except OSError:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._checksum = crc32(records, self._checksum)
        self._size += len(records)


class CheckedDatabaseWriter(Sqlite3Writer):
    """
    Writes a database, and its checksum beside it.

    :ivar stored: Messages that the database has, all of them finished.
    """

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        """Begin the database."""
        super().__init__(path, compression)
        self.stored = self._pending = 0

    def write(self, connection: Any, timestamp: int, data: bytes | memoryview) -> None:
        """Write a message."""
        super().write(connection, timestamp, data)
        self._pending += 1

    def flush(self) -> None:
        """Have all that was written reach the disk."""
        self.conn.commit()
        self.stored, self._pending = self.stored + self._pending, 0

    def close(self, version: int, metadata: str) -> None:
        """Close the database, and write its checksum."""
        self.flush()
        super().close(version, metadata)
        write_sum(self.path)

    def abort(self) -> None:
        """Undo what is not finished."""
        try:
            super().abort()
        except sqlite3.Error:
            # What cannot be undone now, whoever opens it next undoes.
            pass


class CheckedWriter(Writer):
    """Writes a bag; see :mod:`dfp_ros.tools.bags.checked_writer`."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {
        StoragePlugin.MCAP: CheckedMcapWriter, StoragePlugin.SQLITE3: CheckedDatabaseWriter}
    storage: Any
