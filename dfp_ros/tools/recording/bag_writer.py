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
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
import shutil
import threading
import time
from typing import Literal

from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys.store import Typestore

from dfp_ros.tools.bags.checked_writer import CheckedWriter

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

    :ivar written: Messages that are in the bag for certain; once it is closed, all that are in it.
    :ivar dropped: Messages that came while the queue was full.
    :ivar received: Messages that came, all of them.
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
        self.received = 0
        self.failure = ''
        self._open = threading.Event()
        # One thread does it all, the opening too: SQLite wants that.
        self._thread = threading.Thread(target=self._run, name='bag')
        self._thread.start()
        self._open.wait()
        if self.failure:
            self._thread.join()
            raise BagError(self.failure)

    @property
    def lost(self) -> int:
        """Messages that came and are not in the bag, once it is closed."""
        return self.received - self.written - self.dropped

    def add(self, topic: int, received: int, message: bytes) -> None:
        """
        Have a message written, or dropped where the disk is too slow; never wait.

        :param topic: Index of its topic.
        :param received: When it arrived, in ns.
        :param message: The message as it came over the wire.
        """
        self.received += 1
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
            writer = CheckedWriter(
                self.path, version=VERSION, storage_plugin=STORAGES[self._storage])
            try:
                self._begin(writer)
                self._write(writer)
            except BagError:
                self._end(writer)
                raise
            except BaseException:
                # A disk that is full takes no end either; what is on it stays there.
                self._leave(writer)
                raise
            self._end(writer)
        except BagError as error:
            self.failure = str(error)
        except Exception as error:  # whatever it is: a thread that ends unnoticed loses all
            self.failure = (
                f'{self.path}: cannot be written: {type(error).__name__}: {error}; what was '
                'written before can be converted and replayed')
        finally:
            self._open.set()

    def _end(self, writer: CheckedWriter) -> None:
        """End the bag, with all that is in it."""
        storage = writer.storage
        if storage is None:
            return
        try:
            writer.close()
        except BaseException:
            self._leave(writer)
            raise
        finally:
            self.written = storage.stored

    def _leave(self, writer: CheckedWriter) -> None:
        """Leave the bag without an end, and with what is finished of it."""
        storage = writer.storage
        if storage is not None:
            with suppress(OSError):
                writer.abort()
            self.written = storage.stored

    def _begin(self, writer: CheckedWriter) -> None:
        """Open the files and name the topics."""
        writer.open()
        self._connections = [
            writer.add_connection(topic, kind, typestore=self._types)
            for topic, kind in self._topics]
        self._check_room()

    def _write(self, writer: CheckedWriter) -> None:
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
            if time.monotonic() >= flush_at:
                assert writer.storage is not None
                writer.storage.flush()
                self.written = writer.storage.stored
                self._check_room()
                flush_at = time.monotonic() + FLUSH_EVERY

    def _check_room(self) -> None:
        """See that the disk has room to end the bag."""
        free = shutil.disk_usage(self.path).free
        if free < self._reserve:
            raise BagError(
                f'{self.path}: found {free >> 20} MB free on the disk, {self._reserve >> 20} MB '
                'are kept free; the recording has ended')
