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
"""Bag writer with a thread of its own, so that no callback waits for the disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
import errno
from pathlib import Path
from queue import Empty, Full, Queue
import shutil
import sqlite3
import threading
import time
from typing import Literal

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, WriterError
from rosbags.typesys.store import Typestore

from dfp_ros.core.files.replaceable import require_writable
from dfp_ros.tools.bags.checked_writer import CheckedWriter

STORAGES = {plugin.name.lower(): plugin for plugin in StoragePlugin}
VERSION: Literal[9] = 9  # of rosbag2's metadata, in Jazzy and later
# Bytes of the messages that wait to be written; those of cameras are large.
MOST_BYTES = 1 << 30
# Interval of flushing to the disk, in s: a power cut loses at most this much.
FLUSH_EVERY = 2.0
_FOREVER = QosTime(9_223_372_036, 854_775_807)
# Each publisher of static transforms has a message of its own.
_LATCHED = Qos(
    QosHistory.KEEP_LAST, 100, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, _FOREVER,
    _FOREVER, QosLiveliness.AUTOMATIC, _FOREVER, avoid_ros_namespace_conventions=False)


class BagError(ValueError):
    """A bag cannot be created, or can no longer be written."""


class BagWriter:
    """
    Writer of messages to a new bag.

    :param path: Folder of the bag; it must not exist.
    :param storage: Storage format, one of :data:`STORAGES`.
    :param topics: Name and message type of each topic.
    :param types: Definitions of these types.
    :param queue_size: Capacity of the write queue, in messages; further ones are dropped, and
        so are those beyond :data:`MOST_BYTES`.
    :param reserve: Bytes to leave free on the disk, enough to finish the bag.
    :param latched: Indices of topics that are latched (transient local), as they are again when
        the bag is played.
    :raises BagError: If the folder exists or cannot be written.

    :ivar queue_size: As above.
    :ivar written: Messages that are safely in the bag; once it is closed, all that are in it.
    :ivar dropped: Messages dropped because the queue was full.
    :ivar received: All messages received.
    :ivar failure: Why writing has ended; empty while there is no fault.
    """

    def __init__(
            self, path: Path, storage: str, topics: Sequence[tuple[str, str]], types: Typestore,
            queue_size: int, reserve: int, latched: Collection[int] = ()) -> None:
        """Create the bag."""
        self.path = path
        self._storage = storage
        self._topics = topics
        self._types = types
        self._reserve = reserve
        self._latched = latched
        self.queue_size = queue_size
        self._queue: Queue[tuple[int, int, bytes] | None] = Queue(queue_size)
        self.written = 0
        self.dropped = 0
        self.received = 0
        # Bytes that were queued and that were taken out again, each counted by one thread.
        self._queued = self._taken = 0
        self.failure = ''
        self._open = threading.Event()
        # One thread opens, writes and closes: SQLite requires that.
        self._thread = threading.Thread(target=self._run, name='bag')
        self._thread.start()
        self._open.wait()
        if self.failure:
            self._thread.join()
            raise BagError(self.failure)

    @property
    def lost(self) -> int:
        """Messages received that are not in the bag, once it is closed."""
        return self.received - self.written - self.dropped

    def add(self, topic: int, received: int, message: bytes) -> None:
        """
        Queue a message for writing, or drop it if the queue is full; never block.

        :param topic: Index of its topic.
        :param received: Reception time in ns.
        :param message: The serialised message.
        """
        self.received += 1
        if self._queued - self._taken + len(message) > MOST_BYTES:
            self.dropped += 1
            return
        try:
            self._queue.put_nowait((topic, received, message))
        except Full:
            self.dropped += 1
        else:
            self._queued += len(message)

    def close(self) -> None:
        """Write the queued messages and finish the bag; further calls do nothing."""
        while self._thread.is_alive():
            try:
                # With a timeout: a failing thread no longer empties the queue.
                self._queue.put(None, timeout=0.1)
                break
            except Full:
                continue
        self._thread.join()

    def discard(self) -> None:
        """End a bag that holds nothing yet, and remove its folder."""
        self.close()
        if not self.received:
            shutil.rmtree(self.path, ignore_errors=True)

    def _run(self) -> None:
        """Write until closed, or until writing fails."""
        try:
            if self.path.exists():
                raise BagError(f'{self.path}: already exists; name another folder')
            try:
                require_writable(self.path)
            except OSError as error:
                raise BagError(f'{self.path}: cannot be written: {error.strerror}') from error
            self._check_room(_existing_folder(self.path), 'nothing is recorded')
            writer = CheckedWriter(
                self.path, version=VERSION, storage_plugin=STORAGES[self._storage])
            self._begin(writer)
            try:
                self._write(writer)
            except BagError:
                self._end(writer)
                raise
            except BaseException:
                # A full disk has no room to finish the bag either; the written part stays.
                self._leave(writer)
                raise
            self._end(writer)
        except BagError as error:
            self.failure = str(error)
        except Exception as error:  # any fault: a thread that died silently would lose all
            self.failure = (
                f'{self.path}: cannot be written: {type(error).__name__}: {error}' + (
                    '; free some space, and record to another folder' if _is_full(error)
                    else '') + (
                    '; messages written before that can be converted and replayed'
                    if self.written else ''))
        finally:
            self._open.set()

    def _end(self, writer: CheckedWriter) -> None:
        """Finish the bag."""
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
        """Close the bag unfinished, keeping the messages committed so far."""
        storage = writer.storage
        if storage is not None:
            with suppress(OSError):
                writer.abort()
            self.written = storage.stored

    def _begin(self, writer: CheckedWriter) -> None:
        """Create the files and declare the topics; if that fails, remove the files."""
        is_open = False
        try:
            writer.open()
            is_open = True
            self._connections = [
                writer.add_connection(
                    topic, kind, typestore=self._types,
                    offered_qos_profiles=[_LATCHED] if i in self._latched else ())
                for i, (topic, kind) in enumerate(self._topics)]
        except BaseException as error:
            # Otherwise another process has made the folder meanwhile.
            if is_open or not isinstance(error, WriterError):
                self._leave(writer)
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    def _write(self, writer: CheckedWriter) -> None:
        """Write queued messages until closed."""
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
                self._taken += len(message)
            if time.monotonic() >= flush_at:
                assert writer.storage is not None
                writer.storage.flush()
                self.written = writer.storage.stored
                self._check_room(self.path, 'the recording has ended')
                flush_at = time.monotonic() + FLUSH_EVERY

    def _check_room(self, folder: Path, outcome: str) -> None:
        """
        Check that the disk has room to finish the bag.

        :param folder: A folder on the disk.
        :param outcome: What follows if it has not, for the message.
        :raises BagError: If it has not.
        """
        free = shutil.disk_usage(folder).free
        if free < self._reserve:
            raise BagError(
                f'{self.path}: found {free >> 20} MB free on the disk, {self._reserve >> 20} MB '
                f'are kept free (keep_free); {outcome}')


def _is_full(error: Exception) -> bool:
    """Tell whether an error of the file system, or of SQLite, is that of a full disk."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) or (
        getattr(error, 'sqlite_errorcode', None) == sqlite3.SQLITE_FULL)


def _existing_folder(path: Path) -> Path:
    """Find the folder in which a path, with its missing folders, will be made."""
    return next(part for part in path.absolute().parents if part.exists())
