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
"""The files of a rosbag2 recording, mcap or sqlite3, read without ROS; also those cut short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
import tempfile
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores

from dfp_ros.yaml_section import nearest
from training.datasets.rosbag_order import in_order, set_back
from training.datasets.rosbag_repair import cut_to_records, is_left_open, roll_back
from training.transitions import DataError

ENDINGS = ('.mcap', '.db3')


class Bag:
    """
    A recording, open for reading; a context manager.

    :param path: A rosbag2 folder, or one of its files.
    :raises DataError: Where it is no bag, empty, damaged beyond reading, or of a clock that was
        set back.

    :ivar files: The files that it consists of.
    :ivar lost: Bytes at the end of a file cut short that could not be read.
    """

    def __init__(self, path: Path) -> None:
        """Open the files."""
        self.path = path
        self.files = _storage_files(path)
        self.lost = 0
        with ExitStack() as stack:
            self._reader = self._open(stack)
            self.connections: tuple[Connection, ...] = tuple(self._reader.connections)
            if not self._reader.message_count:
                raise DataError(f'{path}: found a bag without a message, expected a recording')
            if back := set_back(self._reader):
                raise DataError(
                    f'{path}: found a clock that was set back by {back * 1e-9:.3f} s while it was '
                    'recorded, so that messages of two times are mixed; record again, or write '
                    'what is before and after into two bags')
            self._stack = stack.pop_all()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def count(self, topic: str) -> int:
        """Count the messages of a topic; 0 where it is not in the bag."""
        return sum(each.msgcount for each in self.connections if each.topic == topic)

    def require(self, topic: str, kind: str, where: str) -> None:
        """
        See that a topic is there, with its type.

        :param where: File, line and key that ask for it.
        :raises DataError: Where it is missing or of another type.
        """
        found = {each.msgtype for each in self.connections if each.topic == topic}
        if not found:
            topics = sorted(each.topic for each in self.connections)
            raise DataError(
                f'{self.path}: the topic {topic} is missing, which {where} asks for; '
                f'{nearest(topic, topics)}; --namespace names a namespace')
        if found != {kind}:
            raise DataError(
                f'{self.path}: {topic}: found {", ".join(sorted(found))}, expected {kind}, as '
                f'{where} says')

    def messages(self, topics: Mapping[str, str]) -> Iterator[tuple[str, int, Any]]:
        """
        Read messages in the order in which they were received.

        :param topics: Message types by topic.
        :return: Topic, time of reception in ns, message.
        :raises DataError: Where a type is unknown, or the file is damaged.
        """
        wanted = [
            each for each in self.connections if topics.get(each.topic) == each.msgtype]
        store = get_typestore(Stores.EMPTY)
        for connection in wanted:
            store.register(self._definitions(connection))
        if not wanted:
            return
        try:
            for connection, received, raw in in_order(self._reader, wanted):
                yield (
                    connection.topic, received,
                    store.deserialize_cdr(raw, connection.msgtype))
        except DataError:
            raise
        except Exception as error:  # rosbags fails in as many ways as bytes can be damaged
            raise DataError(f'{self.path}: found damaged messages: {error}') from error

    def _definitions(self, connection: Connection) -> Any:
        """Find the definition of a type: in the bag, or among those of ROS 2."""
        definition, kind = connection.msgdef, connection.msgtype
        try:
            if definition.format is MessageDefinitionFormat.MSG:
                return get_types_from_msg(definition.data, kind)
            if definition.format is MessageDefinitionFormat.IDL:
                return _types_from_idl(definition.data)
        except Exception as error:  # likewise
            raise DataError(
                f'{self.path}: {connection.topic}: found a definition of {kind} that cannot be '
                f'read: {error}') from error
        known = get_typestore(Stores.ROS2_JAZZY).fielddefs
        if kind not in known:
            raise DataError(
                f'{self.path}: {connection.topic}: found the type {kind}, which is unknown, and '
                'the bag has no definition of it; convert it with `ros2 bag convert` on a machine '
                'that has the type, to storage mcap')
        return known

    def _open(self, stack: ExitStack) -> Reader:
        """Open the recording as it is, or what can be read of it."""
        file, reason = self.files[0], 'it was not closed'
        if self.path.is_dir():
            try:
                reader = stack.enter_context(Reader(self.path))
                # All that the folder adds to one file is whether it is compressed.
                if len(self.files) > 1 or reader.compression_mode:
                    return reader
            except Exception as error:  # likewise
                reason = f'{error}' or type(error).__name__
                if len(self.files) > 1:
                    raise DataError(
                        f'{self.path}: cannot be read as a whole ({reason}); give its files one '
                        f'by one: {", ".join(file.name for file in self.files)}') from error
        if file.suffix not in ENDINGS:
            raise DataError(
                f'{file}: found a compressed file that cannot be read as part of its folder '
                f'({reason}); decompress it with `zstd -d`, and give what comes out')
        if not is_left_open(file):
            try:
                return stack.enter_context(Reader(file))
            except Exception as error:  # likewise
                reason = f'{error}' or type(error).__name__
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='dfp_bag_')))
        try:
            if file.suffix == '.mcap':
                copy, self.lost = cut_to_records(file, folder)
            else:
                copy = roll_back(file, folder)
            return stack.enter_context(Reader(copy))
        except Exception as error:  # likewise
            remedy = f'; try `sqlite3 {file.name} .recover`' if file.suffix == '.db3' else ''
            raise DataError(
                f'{file}: found a file that is damaged ({reason}), and nothing of it can be read: '
                f'{error}{remedy}') from error


def _storage_files(path: Path) -> list[Path]:
    """List the files of a bag."""
    if not path.exists():
        raise DataError(f'{path}: found no such file or folder')
    if path.is_file():
        if path.suffix not in ENDINGS:
            raise DataError(
                f'{path}: found {path.suffix or "no ending"!r}, expected a rosbag2 folder or one '
                f'of its files ({", ".join(ENDINGS)})')
        return [path]
    files = sorted(
        file for file in path.iterdir()
        if file.suffix in ENDINGS or file.suffixes[-2:-1] and file.suffixes[-2] in ENDINGS
        and file.suffix == '.zstd')
    if not files:
        raise DataError(
            f'{path}: found no {" or ".join(ENDINGS)} file in it, expected a rosbag2 folder')
    return files


def _types_from_idl(text: str) -> Any:
    """Parse the IDL of a type, which rosbag2 puts together from several files."""
    line = '=' * 80 + '\n'
    if not text.startswith(f'{line}IDL: '):
        return get_types_from_idl(text)
    found: dict[str, Any] = {}
    for part in text.split(line)[1:]:
        found.update(get_types_from_idl(part.split('\n', 1)[1]))
    return found
