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
The order in which the messages of a recording were received.

Recorders write a little out of order, and readers sort by time. Where the clock was set back
meanwhile, that shuffles messages of two times together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

# A clock that is set back by less, in ns, was only adjusted; the recorder agrees.
_ADJUSTMENT = 1_000_000_000


def in_order(
        reader: Reader, wanted: list[Connection]) -> Iterable[tuple[Connection, int, bytes]]:
    """
    Go through raw messages in the order in which they were received.

    :param reader: The recording.
    :param wanted: Connections of it.
    """
    storage = reader.storage
    if isinstance(storage, McapReader):
        indexed = sum(sum(chunk.channel_count.values()) for chunk in storage.chunks)
        if indexed != reader.message_count:
            # Of such a file rosbags takes the order for that of time, and refuses where it is not.
            return sorted(storage.messages_scan(wanted), key=lambda message: message[1])
    return reader.messages(wanted)


def set_back(reader: Reader) -> int:
    """
    Find out whether the clock was set back.

    :param reader: The recording.
    :return: By how much, in ns; 0 where it only went on.
    """
    latest = 0
    for storage in getattr(reader.storage, 'storages', [reader.storage]):
        for time in _times(storage):
            if time < latest - _ADJUSTMENT:
                return latest - time
            latest = max(time, latest)
    return 0


def _times(storage: McapReader | Sqlite3Reader) -> Iterator[int]:
    """Give the times of all messages, in the order in which they were written."""
    if isinstance(storage, McapReader):
        yield from (time for _, time, _ in storage.messages_scan(storage.connections))
    else:
        assert storage.dbconn is not None
        yield from (
            time for time, in storage.dbconn.execute('SELECT timestamp FROM messages ORDER BY id'))
