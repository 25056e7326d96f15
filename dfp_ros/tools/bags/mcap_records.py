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
Records of an mcap file: what is in them, checked as far as they can be.

The format is that of https://mcap.dev/spec. rosbags reads it too, but refuses a whole file for a
channel that is not ROS's, believes the index, and passes over the checksums of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import struct
import sys
from zlib import crc32

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b'\x89MCAP0\r\n'
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX = range(1, 8)
STATISTICS, DATA_END = 0x0b, 0x0f
#: Length of the part of a record that says what it is and how long.
HEAD = 9
#: Bytes of a chunk or message that are read at most, packed and unpacked.
LARGEST = 1 << 29
# How many times larger a file may be when it is decompressed, beyond 1 GB.
_MOST = 1000
# Bytes of the definition of a type; the largest in use have some 40,000.
_LARGEST_SCHEMA = 1 << 18
# Beyond it, times in ns do not fit 63 bits: in the year 2262.
_END_OF_TIME = 2**63


class McapError(ValueError):
    """A file is not what the format says; the message says where."""


@dataclass(frozen=True)
class Channel:
    """
    What messages of a topic are.

    :param topic: Its name.
    :param type: Message type.
    :param encoding: Encoding of the messages: ``cdr`` is that of ROS 2.
    :param language: What the definition is written in, or empty.
    :param definition: Definition of the type, or empty.
    """

    topic: str
    type: str
    encoding: str
    language: str
    definition: str


class Fields:
    """
    Reads the fields of a record one after the other.

    :param body: The record, without its head.
    :param where: What it is, for messages.
    """

    def __init__(self, body: bytes, where: str) -> None:
        """Begin at the first field."""
        self._body = body
        self._where = where
        self._place = 0

    def number(self, size: int) -> int:
        """Read a number of so many bytes."""
        return int.from_bytes(self.take(size), 'little')

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        found = self._body[self._place:self._place + size]
        if len(found) != size:
            raise McapError(f'{self._where} is shorter than what it says is in it')
        self._place += size
        return found

    def text(self) -> str:
        """Read a text, after its length."""
        try:
            return self.take(self.number(4)).decode()
        except UnicodeDecodeError as error:
            raise McapError(f'{self._where} has a text that is not UTF-8') from error

    def end(self) -> None:
        """See that nothing is left."""
        if self._place != len(self._body):
            raise McapError(f'{self._where} is longer than what it says is in it')


class Channels:
    """
    The channels of a file, as its records define them.

    :ivar found: Channels by their number.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.found: dict[int, Channel] = {}
        self._schemas: dict[int, tuple[str, str, str]] = {0: ('', '', '')}

    def read(self, code: int, body: bytes, where: str) -> None:
        """
        Take a record that defines a type or a channel.

        :raises McapError: Where it cannot be read, or defines what is defined otherwise.
        """
        fields = Fields(body, where)
        number = fields.number(2)
        if code == SCHEMA:
            if len(body) > _LARGEST_SCHEMA:
                raise McapError(
                    f'{where} defines a type in {len(body)} bytes, expected at most '
                    f'{_LARGEST_SCHEMA}')
            schema = fields.text(), fields.text(), fields.text()
            fields.end()
            if number == 0 or self._schemas.setdefault(number, schema) != schema:
                raise McapError(f'{where} defines type {number}, which is another already')
            return
        schema_number = fields.number(2)
        if schema_number not in self._schemas:
            raise McapError(f'{where} has type {schema_number}, which no record defines')
        kind, language, definition = self._schemas[schema_number]
        channel = Channel(fields.text(), kind, fields.text(), language, definition)
        fields.take(fields.number(4))
        fields.end()
        if self.found.setdefault(number, channel) != channel:
            raise McapError(f'{where} defines channel {number}, which is another already')


def walk(content: bytes, where: str) -> Iterator[tuple[int, int, bytes]]:
    """
    Go through records.

    :param content: Whole records.
    :param where: What they are in, for messages.
    :return: Place, code and body of each.
    """
    place = 0
    while place < len(content):
        if place + HEAD > len(content):
            raise McapError(f'{where} ends within a record')
        code, length = struct.unpack_from('<BQ', content, place)
        end = place + HEAD + length
        if end > len(content):
            raise McapError(f'{where} ends within a record')
        yield place, code, content[place + HEAD:end]
        place = end


def read_message(body: bytes, where: str) -> tuple[int, int]:
    """
    Read the head of a message, 22 bytes: the content follows.

    :return: Number of its channel, and when it was received, in ns.
    """
    if len(body) < 22:
        raise McapError(f'{where} has a message of {len(body)} bytes, expected 22 or more')
    channel, _, received, _ = struct.unpack_from('<HIQQ', body)
    if received >= _END_OF_TIME:
        raise McapError(f'{where} has a message of after the year 2262')
    return channel, received


@dataclass(frozen=True)
class Chunk:
    """
    Records that were written at once.

    :param first: Time of reception in ns of its first message, as it says.
    :param last: Likewise, of the last.
    :param content: The records.
    :param has_checksum: Whether a checksum said that they are what was written.
    """

    first: int
    last: int
    content: bytes
    has_checksum: bool


def read_chunk(body: bytes, where: str) -> Chunk:
    """
    Unpack a chunk, and check its checksum.

    :raises McapError: Where it is damaged.
    """
    fields = Fields(body, where)
    first, last, size, checksum = (fields.number(length) for length in (8, 8, 8, 4))
    compression = fields.text()
    packed = fields.take(fields.number(8))
    fields.end()
    content = unpack(packed, compression, size, where)
    if checksum and crc32(content) != checksum:
        raise McapError(
            f'{where} has the checksum {crc32(content):08x}, expected {checksum:08x}: it is not '
            'what was written')
    return Chunk(first, last, content, bool(checksum))


def unpack(packed: bytes, compression: str, size: int, where: str) -> bytes:
    """
    Decompress bytes, no more than they should be.

    :param compression: ``zstd``, ``lz4`` or empty for none.
    :param size: How many they should be.
    """
    if size > LARGEST:
        raise McapError(
            f'{where} says that it has {size} bytes, expected at most {LARGEST}')
    try:
        if not compression:
            content = packed
        elif compression == 'zstd':
            content = zstd.ZstdDecompressor().decompress(packed, max_length=size + 1)
        elif compression == 'lz4':
            content = LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
        else:
            raise McapError(
                f'{where} is compressed by {ascii(compression[:20])}, expected zstd, lz4 or '
                'nothing')
    except (zstd.ZstdError, RuntimeError, EOFError, MemoryError) as error:
        raise McapError(f'{where} cannot be decompressed: {error}') from error
    if len(content) != size:
        raise McapError(f'{where} has {len(content)} bytes, expected the {size} that it says')
    return content


def unpack_message(packed: bytes) -> bytes:
    """Decompress one message of a recording that is compressed message by message."""
    content = zstd.ZstdDecompressor().decompress(packed, max_length=LARGEST + 1)
    if len(content) > LARGEST:
        raise McapError(f'a message has more than {LARGEST} bytes')
    return content


def unpack_file(path: Path, folder: Path) -> Path:
    """
    Decompress a file.

    :param path: A file that ends in ``.zstd``.
    :param folder: Where what comes out goes to.
    :raises McapError: Where it cannot be, or is much larger than any recording.
    """
    target = folder / path.stem
    most = max(1 << 30, _MOST * path.stat().st_size)
    try:
        with zstd.open(path, 'rb') as packed, target.open('wb') as unpacked:
            while block := packed.read(1 << 20):
                if unpacked.tell() + len(block) > most:
                    raise McapError(
                        f'it has more than {most} bytes when it is decompressed')
                unpacked.write(block)
    except (zstd.ZstdError, EOFError) as error:
        raise McapError(f'it cannot be decompressed: {error}') from error
    return target
