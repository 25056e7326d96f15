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
"""Rosbag2 reader without ROS, for mcap and sqlite3, including interrupted recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
import heapq
from pathlib import Path
import stat
import tempfile
from typing import Any

from rosbags.typesys import get_typestore, Stores

from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import listed, printable, quoted
from dfp_ros.tools.bags.being_written import BeingWrittenError, require_no_writer
from dfp_ros.tools.bags.database_file import DatabaseFile, SUMS
from dfp_ros.tools.bags.definitions import add_definition, DefinitionError, is_usual
from dfp_ros.tools.bags.mcap_file import McapFile, Waiting
from dfp_ros.tools.bags.mcap_records import (
    Channel,
    McapError,
    SizeError,
    unpack_file,
    unpack_message,
    UnpackedSize,
)
from dfp_ros.tools.bags.message_decoder import MessageDecoder
from dfp_ros.tools.bags.metadata import BagMetadata, MetadataError, read_metadata

ENDINGS = ('.mcap', '.db3')
# A smaller backward step of the clock, in ns, is an adjustment; the recorder uses the same limit.
_ADJUSTMENT = 1_000_000_000
# Size in bytes up to which a file may be empty space, and the largest factor between size and
# space in use; a file system that compresses reaches some 30.
_SMALL, _SPARSEST = 1 << 30, 100


class RecordingError(ValueError):
    """A recording cannot be read, or lacks required data; the message describes the fault."""


class BagReader:
    """
    Recording opened for reading; a context manager.

    :param path: A rosbag2 folder, or one of its files.
    :raises RecordingError: If it is not a bag, empty or damaged, or its clock was set back.

    :ivar files: Files of the recording.
    :ivar lost: Bytes at the end of a truncated file that could not be read.
    :ivar notes: Warnings about the recording.
    """

    #: Exception to raise; its message says what was found, and what to do.
    error: type[ValueError] = RecordingError

    def __init__(self, path: Path) -> None:
        """Open the files."""
        self.path = path
        self.lost = 0
        self._waiting = Waiting()
        self.notes: list[str] = []
        with ExitStack() as stack:
            try:
                self.files, self._metadata = self._find()
                self._storages = [self._open(file, stack) for file in self.files]
            except OSError as error:
                raise self.error(
                    f'{error.filename or path}: cannot be read: {error.strerror or error}; '
                    f'{_remedy(error)}') from error
            self._check()
            self._stack = stack.pop_all()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def types(self) -> Mapping[str, set[str]]:
        """Return the message types of each topic."""
        found: dict[str, set[str]] = {}
        for _, _, channel in self._channels():
            found.setdefault(channel.topic, set()).add(channel.type)
        return found

    def count(self, topic: str) -> int:
        """Return the number of messages of a topic; 0 if the bag does not have it."""
        return sum(
            storage.counts[number] for storage, number, channel in self._channels()
            if channel.topic == topic)

    def require(self, topic: str, kind: str, where: str) -> None:
        """
        Check that a topic is present with the expected type.

        :param where: File, line and key that require it.
        :raises RecordingError: If it is missing or has another type.
        """
        types = self.types
        if topic not in types:
            raise self.error(
                f'{self.path}: the topic {topic} is missing, required by {where}; '
                f'{nearest(topic, types)}; --namespace names a namespace')
        if kind not in types[topic]:
            raise self.error(
                f'{self.path}: {topic}: found {listed(sorted(types[topic]))}, expected {kind}, as '
                f'{where} says')
        if others := types[topic] - {kind}:
            self.notes.append(
                f'{self.path}: {topic}: messages of type {listed(sorted(others))} are '
                f'skipped, expected {kind}, as {where} says')

    def messages(self, topics: Mapping[str, str]) -> Iterator[tuple[str, int, Any]]:
        """
        Read messages in the order in which they were received.

        Single ones that are no messages of their type are left out, with a note.

        :param topics: Message types by topic.
        :return: Topic, reception time in ns, and message.
        :raises RecordingError: If a type is unknown, or the file is damaged.
        """
        store = get_typestore(Stores.EMPTY)
        wanted = [
            {number: channel for number, channel in storage.channels.items()
             if topics.get(channel.topic) == channel.type}
            for storage in self._storages]
        for channel in {each: None for found in wanted for each in found.values()}:
            self._require_cdr(channel)
            try:
                add_definition(store, channel.type, channel.language, channel.definition)
            except DefinitionError as error:
                raise self.error(
                    f'{self.path}: {printable(channel.topic)}: found the type '
                    f'{printable(channel.type)}, {error}') from error
            if not is_usual(store, channel.type):
                self.notes.append(
                    f'{self.path}: its definition of {channel.type} differs from that of ROS 2 '
                    'Jazzy; messages are read with the recorded one')
        decoder = MessageDecoder(self.path, store)
        is_packed = self._metadata.compression == 'message'
        unpacked = UnpackedSize(
            sum(file.stat().st_size for file in self.files), '`ros2 bag convert` makes one')
        try:
            for channel, received, raw in self._merge(wanted):
                content = unpack_message(raw) if is_packed else raw
                if is_packed:
                    unpacked.add(len(content))
                message = decoder.decode(channel.topic, channel.type, content)
                if message is not None:
                    yield channel.topic, received, message
        except self.error:
            raise
        except SizeError as error:
            raise self.error(f'{self.path}: {error}') from error
        except OSError as error:
            raise self.error(f'{self.path}: cannot be read: {error}') from error
        except Exception as error:  # damaged bytes make rosbags raise any kind of error
            raise self.error(
                f'{self.path}: found damaged messages: {printable(error, 300)}; copy it again'
            ) from error
        if fault := decoder.fault():
            raise self.error(f'{self.path}: found damaged messages: {fault}; copy it again')
        self.notes += decoder.notes()

    def _merge(
            self, wanted: Sequence[Mapping[int, Channel]]) -> Iterator[tuple[Channel, int, bytes]]:
        """Read raw messages of all files, in order; a file is begun only when it is its turn."""
        files = [storage.messages(found) if found else iter(())
                 for storage, found in zip(self._storages, wanted, strict=True)]
        left = sorted((
            (storage.earliest, i) for i, storage in enumerate(self._storages)), reverse=True)
        heads: list[tuple[int, int, int, bytes]] = []
        while left or heads:
            if left and (not heads or left[-1][0] <= heads[0][0]):
                _, i = left.pop()
            else:
                received, i, number, raw = heapq.heappop(heads)
                yield wanted[i][number], received, raw
            for number, received, raw in files[i]:
                heapq.heappush(heads, (received, i, number, raw))
                break

    def _channels(self) -> Iterator[tuple[McapFile | DatabaseFile, int, Channel]]:
        """Iterate over the channels of all files."""
        for storage in self._storages:
            for number, channel in storage.channels.items():
                yield storage, number, channel

    def _require_cdr(self, channel: Channel) -> None:
        """Check that the messages of a topic have the encoding of ROS 2."""
        if channel.encoding != 'cdr':
            raise self.error(
                f'{self.path}: {printable(channel.topic)}: found messages in '
                f'{quoted(channel.encoding)}, expected cdr, the encoding of ROS 2')

    def _find(self) -> tuple[list[Path], BagMetadata]:
        """Find the files of the bag, and read the folder's metadata."""
        if not self.path.exists():
            raise self.error(f'{self.path}: found no such file or folder')
        if not self.path.is_dir():
            return [self._require_file(self.path)], BagMetadata()
        there = sorted(
            file for file in self.path.iterdir() if file.suffix in ENDINGS or (
                file.suffixes[-2:-1] and file.suffixes[-2] in ENDINGS and file.suffix == '.zstd'))
        if not there:
            bags = sorted({file.parent.name for ending in ENDINGS
                           for file in self.path.glob(f'*/*{ending}')})
            remedy = f'; its folders {listed(bags)} have some' if bags else ''
            raise self.error(
                f'{self.path}: found no {" or ".join(ENDINGS)} file in it, expected a rosbag2 '
                f'folder{remedy}')
        metadata, reason = BagMetadata(), ''
        files = there
        try:
            metadata = read_metadata(self.path)
            files = [self.path / name for name in metadata.names]
        except MetadataError as error:
            reason = f'{error}' if len(there) > 1 else ''
            if not reason and there[0].suffix not in ENDINGS:
                raise self.error(
                    f'{there[0]}: found a compressed file that cannot be read as part of its '
                    f'folder ({error}); decompress it with `zstd -d`, and pass the result'
                ) from error
        for names, what in (
                ([file.name for file in files if file not in there], 'names'),
                ([file.name for file in there if file not in files], 'does not name')):
            if names:
                reason = f'metadata.yaml {what} {listed(names)}'
                reason += ', which is missing' if what == 'names' else ', which is there'
        if reason:
            raise self.error(
                f'{self.path}: cannot be read as a whole ({reason}); pass its files one by one: '
                f'{listed(file.name for file in there)}')
        return [self._require_file(file) for file in files], metadata

    def _require_file(self, path: Path) -> Path:
        """Check that a file can belong to a bag."""
        suffixes = [*path.suffixes[-2:]] if path.suffix == '.zstd' else [path.suffix]
        if suffixes[0] not in ENDINGS or (len(suffixes) > 1 and path == self.path):
            raise self.error(
                f'{path}: found {path.suffix or "no ending"!r}, expected a rosbag2 folder or one '
                f'of its files ({", ".join(ENDINGS)})')
        if not stat.S_ISREG(path.stat().st_mode):
            raise self.error(f'{path}: found no regular file, expected one of a rosbag2 folder')
        return path

    def _require_dense(self, file: Path) -> None:
        """Check that a file is not mostly a hole, which would be read as zeros for hours."""
        state = file.stat()
        # Some network file systems do not know the space in use, and say 0.
        used = 512 * state.st_blocks or state.st_size
        if state.st_size > max(_SMALL, _SPARSEST * used):
            raise self.error(
                f'{file}: found {state.st_size} bytes, of which only {used} are on the disk, '
                'expected a recording without holes; copy it again from where it was recorded')

    def _require_content(self, file: Path) -> None:
        """Check that a file is not empty; recorders write its header with the first messages."""
        if not file.stat().st_size:
            require_no_writer(file)
            raise self.error(
                f'{file}: found an empty file, expected a recording; its recorder may have ended '
                'before it wrote the first messages, or the file was not copied completely')

    def _open(self, file: Path, stack: ExitStack) -> McapFile | DatabaseFile:
        """Open one file."""
        self._require_dense(file)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='dfp_bag_')))
        try:
            self._require_content(file)
            path = unpack_file(file, folder) if file.suffix == '.zstd' else file
            if path.suffix == '.mcap':
                return McapFile(path, self._waiting)
            database = DatabaseFile(path, folder)
            stack.callback(database.close)
            return database
        except (OSError, self.error):
            raise
        except BeingWrittenError as error:
            raise self.error(f'{file}: {error}') from error
        except SizeError as error:
            raise self.error(f'{file}: {error}') from error
        except McapError as error:
            raise self._damaged(
                file, error, ', or recover its intact part with `mcap recover`') from error
        except Exception as error:  # rosbags, as above
            remedy = f', or try `sqlite3 {file.name} .recover`' if '.db3' in file.name else ''
            raise self._damaged(file, error, remedy) from error

    def _damaged(self, file: Path, error: Exception, remedy: str) -> ValueError:
        """Make the error for a damaged file."""
        return self.error(
            f'{file}: found a file that is damaged: {printable(error, 300)}; copy it again'
            f'{remedy}')

    def _check(self) -> None:
        """Check that all files together are a recording."""
        self.lost = sum(storage.lost for storage in self._storages)
        total: Counter[str] = Counter()
        for storage, number, channel in self._channels():
            total[channel.topic] += storage.counts[number]
        if not total.total():
            raise self.error(
                f'{self.path}: found a truncated file, of which nothing can be read'
                if self.lost else
                f'{self.path}: found a bag without messages, expected a recording')
        latest = 0
        for storage in self._storages:
            back = max(storage.set_back, latest - storage.earliest)
            if back > _ADJUSTMENT:
                raise self.error(
                    f'{self.path}: found a clock that was set back by {back * 1e-9:.3f} s while '
                    'it was recorded, so that messages from different times are mixed; record '
                    'again, or split the recording into two bags at that time')
            latest = max(latest, storage.latest)
        expected = self._metadata.messages
        if expected is not None and expected != total.total() and not self.lost:
            self.notes.append(
                f'{self.path}: found {total.total()} messages, expected {expected} from '
                'metadata.yaml')
        if not all(storage.has_checksums for storage in self._storages):
            self.notes.append(
                f'{self.path}: has no checksums, so a changed value would go unnoticed '
                f'(in an mcap file, CRCs; beside a database, {SUMS})')


def _remedy(error: OSError) -> str:
    """Return the remedy for a file that cannot be read or copied."""
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return (
            f'an interrupted or compressed recording is unpacked in '
            f'{tempfile.gettempdir()}, which is full; make room there, or set TMPDIR to a folder '
            'with more space')
    return 'the file itself may be intact'
