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
Bag writers with checksums, for mcap and sqlite3.

rosbags writes mcap files without checksums. These writers add checksums of each chunk, of the data
section and of the summary; and if the disk fills up, the file ends with a whole record.
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

# Offset of the checksum in a chunk, after the record header, two times and a length.
_CHUNK_CHECKSUM = HEAD + 24


class _Held(BytesIO):
    """Write buffer of an mcap file, held back so that checksums can be patched in."""

    def __init__(self, offset: int) -> None:
        """Start at the end of the file."""
        super().__init__()
        self._start = offset

    def tell(self) -> int:
        """Return the offset in the file."""
        return self._start + super().tell()

    def close(self) -> None:
        """Keep the buffered bytes."""


class CheckedMcapWriter(McapWriter):
    """
    Mcap writer with checksums.

    :ivar stored: Messages in the file, all of them in whole records.
    """

    bio: Any

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        """Create the file."""
        super().__init__(path, compression)
        self.bio.close()
        # Unbuffered, so that bytes which a full disk rejected are not written again on close.
        self._file: BinaryIO = self.path.open('r+b', buffering=0)
        begin = self._file.read()
        self._checksum = crc32(begin)
        self._size = len(begin)
        self.stored = self._pending = 0

    def write(self, connection: Any, timestamp: int, data: bytes | memoryview) -> None:
        """Write one message."""
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
        """Flush everything written so far to the disk."""
        if self.chunk.msgs:
            self.close_chunk()
        os.fsync(self._file.fileno())

    def close(self, version: int, metadata: str) -> None:
        """Write the summary, and the checksums of data and summary."""
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
        """Close the file without a summary; it ends with a whole record."""
        self._file.close()

    def _put(self, records: memoryview) -> None:
        """Append records to the file, all or none."""
        offset = 0
        try:
            while offset < len(records):
                offset += self._file.write(records[offset:])
        except OSError:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._checksum = crc32(records, self._checksum)
        self._size += len(records)


class CheckedDatabaseWriter(Sqlite3Writer):
    """
    SQLite bag writer that writes a checksum file beside the database.

    :ivar stored: Messages in the database, all of them committed.
    """

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        """Create the database."""
        super().__init__(path, compression)
        self.stored = self._pending = 0

    def write(self, connection: Any, timestamp: int, data: bytes | memoryview) -> None:
        """Write one message."""
        super().write(connection, timestamp, data)
        self._pending += 1

    def flush(self) -> None:
        """Flush everything written so far to the disk."""
        self.conn.commit()
        self.stored, self._pending = self.stored + self._pending, 0

    def close(self, version: int, metadata: str) -> None:
        """Close the database and write its checksum."""
        self.flush()
        super().close(version, metadata)
        write_sum(self.path)

    def abort(self) -> None:
        """Roll back the open transaction."""
        try:
            super().abort()
        except sqlite3.Error:
            # If rolling back fails now, the next process to open the database does it.
            pass


class CheckedWriter(Writer):
    """Bag writer with checksums; see :mod:`dfp_ros.tools.bags.checked_writer`."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {
        StoragePlugin.MCAP: CheckedMcapWriter, StoragePlugin.SQLITE3: CheckedDatabaseWriter}
    storage: Any
