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
"""A bag that is written by a thread of its own, so that no callback waits for a disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Full, Queue
import shutil
import threading
import time
from typing import Any, Literal

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore

STORAGES = {plugin.name.lower(): plugin for plugin in StoragePlugin}
VERSION: Literal[9] = 9  # of rosbag2's metadata, in Jazzy and later
# What is written reaches the disk at least so often, in s: more than that no power cut can cost.
FLUSH_EVERY = 2.0


class BagError(ValueError):
    """A bag cannot be begun, or nothing can be written to it any more."""


class BagWriter:
    """
    Writes messages to a new bag.

    :param path: Folder of the bag; it must not exist.
    :param storage: One of :data:`STORAGES`.
    :param topics: Name and message type of each topic.
    :param types: Definitions of these types.
    :param queue_size: Messages that may wait for the disk; more are dropped.
    :param reserve: Bytes that are left free on the disk, so that there is room to end the bag.
    :raises BagError: Where the folder exists or cannot be written.

    :ivar written: Messages written.
    :ivar dropped: Messages that came while the queue was full.
    :ivar failure: Why nothing is written any more; empty while all is well.
    """

    def __init__(
            self, path: Path, storage: str, topics: Sequence[tuple[str, str]], types: Typestore,
            queue_size: int, reserve: int) -> None:
        """Begin the bag."""
        self.path = path
        self._storage = storage
        self._topics = topics
        self._types = types
        self._reserve = reserve
        self._queue: Queue[tuple[int, int, bytes] | None] = Queue(queue_size)
        self.written = 0
        self.dropped = 0
        self.failure = ''
        self._open = threading.Event()
        # One thread does it all, the opening too: SQLite wants that.
        self._thread = threading.Thread(target=self._run, name='bag')
        self._thread.start()
        self._open.wait()
        if self.failure:
            self._thread.join()
            raise BagError(self.failure)

    def add(self, topic: int, received: int, message: bytes) -> None:
        """
        Have a message written, or dropped where the disk is too slow; never wait.

        :param topic: Index of its topic.
        :param received: When it arrived, in ns.
        :param message: The message as it came over the wire.
        """
        try:
            self._queue.put_nowait((topic, received, message))
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, and end the bag; once is enough."""
        while self._thread.is_alive():
            try:
                # Not for ever: a thread that fails no longer empties the queue.
                self._queue.put(None, timeout=0.1)
                break
            except Full:
                continue
        self._thread.join()

    def _run(self) -> None:
        """Write until told to end, or until nothing can be written any more."""
        try:
            if self.path.exists():
                raise BagError(f'{self.path}: found something there; name another folder')
            writer = Writer(
                self.path, version=VERSION, storage_plugin=STORAGES[self._storage])
            try:
                self._begin(writer)
                self._write(writer)
            finally:
                # Where the disk is full even this may fail; what is on it stays there.
                if writer.storage is not None:
                    writer.close()
        except BagError as error:
            self.failure = str(error)
        except Exception as error:  # whatever it is: a thread that ends unnoticed loses all
            self.failure = f'{self.path}: cannot be written: {type(error).__name__}: {error}'
        finally:
            self._open.set()

    def _begin(self, writer: Writer) -> None:
        """Open the files and name the topics."""
        writer.open()
        self._connections = [
            writer.add_connection(topic, kind, typestore=self._types)
            for topic, kind in self._topics]
        self._check_room()

    def _write(self, writer: Writer) -> None:
        """Write what comes."""
        self._open.set()
        flush_at = time.monotonic() + FLUSH_EVERY
        while True:
            try:
                item = self._queue.get(timeout=FLUSH_EVERY)
            except Empty:
                item = (-1, 0, b'')
            if item is None:
                return
            topic, received, message = item
            if topic >= 0:
                writer.write(self._connections[topic], received, message)
                self.written += 1
            if time.monotonic() >= flush_at:
                _flush(writer.storage)
                self._check_room()
                flush_at = time.monotonic() + FLUSH_EVERY

    def _check_room(self) -> None:
        """See that the disk has room to end the bag."""
        free = shutil.disk_usage(self.path).free
        if free < self._reserve:
            raise BagError(
                f'{self.path}: found {free >> 20} MB free on the disk, {self._reserve >> 20} MB '
                'are kept free; the recording has ended')


def _flush(storage: Any) -> None:
    """Have the storage hand over what it holds back; rosbags has no common word for that."""
    if hasattr(storage, 'close_chunk'):
        if storage.chunk.msgs:
            storage.close_chunk()
        storage.bio.flush()
    else:
        storage.conn.commit()
