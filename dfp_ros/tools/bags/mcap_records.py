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
Parser and validation of mcap records.

The format is https://mcap.dev/spec. rosbags reads it too, but it rejects a whole file for one
channel that is not from ROS, trusts the index, and ignores the checksums of the file.
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
#: Length of a record's header: opcode and length.
HEAD = 9
#: Largest chunk or message that is read, in bytes, compressed and decompressed.
LARGEST = 1 << 29
# Largest factor by which a file may grow when decompressed, and a size that is always allowed.
_MOST, _MOST_ANYWAY = 1000, 1 << 30
# Largest definition of a type in bytes; the largest in use have some 40,000.
_LARGEST_SCHEMA = 1 << 18
# Largest size of all definitions of a file in bytes.
_LARGEST_DEFINITIONS = 1 << 26
# After the year 2262, times in ns do not fit 63 bits.
_END_OF_TIME = 2**63


class McapError(ValueError):
    """A file violates the mcap format; the message names the place."""


class SizeError(ValueError):
    """An intact file takes more memory or time than is allowed; the message names the limit."""


class UnpackedSize:
    """
    Number of bytes that a file was decompressed to, limited relative to its size.

    :param size: Size of the file in bytes.
    :param remedy: Command that makes a copy which can be read.
    """

    def __init__(self, size: int, remedy: str) -> None:
        """Start at none."""
        self._most = max(_MOST_ANYWAY, _MOST * size)
        self._size = size
        self._remedy = remedy
        self._total = 0

    def add(self, count: int) -> None:
        """
        Count further bytes.

        :raises SizeError: If they are too many.
        """
        self._total += count
        if self._total > self._most:
            raise SizeError(
                f'found {self._size} bytes that decompress to more than {self._most}, expected '
                f'at most {_MOST} times as much; if you trust it, read an uncompressed copy: '
                f'{self._remedy}')


@dataclass(frozen=True)
class Channel:
    """
    Topic of a file and the format of its messages.

    :param topic: Name of the topic.
    :param type: Message type.
    :param encoding: Encoding of the messages; ``cdr`` is that of ROS 2.
    :param language: Language of the definition, or empty.
    :param definition: Definition of the type, or empty.
    """

    topic: str
    type: str
    encoding: str
    language: str
    definition: str


class Fields:
    """
    Sequential reader of a record's fields.

    :param body: The record without its header.
    :param where: Name of the record for error messages.
    """

    def __init__(self, body: bytes, where: str) -> None:
        """Start at the first field."""
        self._body = body
        self._where = where
        self._place = 0

    def number(self, size: int) -> int:
        """Read an unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), 'little')

    def take(self, size: int) -> bytes:
        """Read ``size`` bytes."""
        found = self._body[self._place:self._place + size]
        if len(found) != size:
            raise McapError(f'{self._where} is shorter than its fields require')
        self._place += size
        return found

    def text(self) -> str:
        """Read a length-prefixed string."""
        try:
            return self.take(self.number(4)).decode()
        except UnicodeDecodeError as error:
            raise McapError(f'{self._where} has a text that is not UTF-8') from error

    def end(self) -> None:
        """Check that no bytes are left."""
        if self._place != len(self._body):
            raise McapError(f'{self._where} is longer than its fields require')


class Channels:
    """
    Schemas and channels of a file, as its records define them.

    :ivar found: Channels by number.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.found: dict[int, Channel] = {}
        self._schemas: dict[int, tuple[str, str, str]] = {0: ('', '', '')}
        self._size = 0

    def read(self, code: int, body: bytes, where: str) -> None:
        """
        Process a record that defines a schema or a channel.

        :raises McapError: If it is malformed, or contradicts an earlier definition.
        :raises SizeError: If all definitions together are larger than those of any recording.
        """
        fields = Fields(body, where)
        number = fields.number(2)
        if number not in (self._schemas if code == SCHEMA else self.found):
            self._size += len(body)
        if self._size > _LARGEST_DEFINITIONS:
            raise SizeError(
                f'found more than {_LARGEST_DEFINITIONS} bytes of topics and types, expected at '
                'most that; copy the topics that are needed with `mcap filter`')
        if code == SCHEMA:
            if len(body) > _LARGEST_SCHEMA:
                raise McapError(
                    f'{where} defines a type in {len(body)} bytes, expected at most '
                    f'{_LARGEST_SCHEMA}')
            schema = fields.text(), fields.text(), fields.text()
            fields.end()
            if number == 0 or self._schemas.setdefault(number, schema) != schema:
                raise McapError(f'{where} redefines type {number} differently')
            return
        schema_number = fields.number(2)
        if schema_number not in self._schemas:
            raise McapError(f'{where} has type {schema_number}, which no record defines')
        kind, language, definition = self._schemas[schema_number]
        channel = Channel(fields.text(), kind, fields.text(), language, definition)
        fields.take(fields.number(4))
        fields.end()
        if self.found.setdefault(number, channel) != channel:
            raise McapError(f'{where} redefines channel {number} differently')


def walk(content: bytes, where: str) -> Iterator[tuple[int, int, bytes]]:
    """
    Iterate over records.

    :param content: Whole records.
    :param where: Their container, for error messages.
    :return: Offset, opcode and body of each record.
    """
    offset = 0
    while offset < len(content):
        if offset + HEAD > len(content):
            raise McapError(f'{where} ends within a record')
        code, length = struct.unpack_from('<BQ', content, offset)
        end = offset + HEAD + length
        if end > len(content):
            raise McapError(f'{where} ends within a record')
        yield offset, code, content[offset + HEAD:end]
        offset = end


def read_message(body: bytes, where: str) -> tuple[int, int]:
    """
    Read the header of a message, 22 bytes; the content follows.

    :return: Channel number, and reception time in ns.
    """
    if len(body) < 22:
        raise McapError(f'{where} has a message of {len(body)} bytes, expected 22 or more')
    channel, _, received, _ = struct.unpack_from('<HIQQ', body)
    if received >= _END_OF_TIME:
        raise McapError(f'{where} has a message with a time after the year 2262')
    return channel, received


@dataclass(frozen=True)
class Chunk:
    """
    Decompressed records of a chunk.

    :param first: Reception time in ns of its first message, from its header.
    :param last: Reception time in ns of its last message, from its header.
    :param content: The records.
    :param has_checksum: Whether the chunk had a checksum, which matched.
    """

    first: int
    last: int
    content: bytes
    has_checksum: bool


def read_chunk(body: bytes, where: str) -> Chunk:
    """
    Decompress a chunk and verify its checksum.

    :raises McapError: If it is damaged.
    """
    fields = Fields(body, where)
    first, last, size, checksum = (fields.number(length) for length in (8, 8, 8, 4))
    compression = fields.text()
    packed = fields.take(fields.number(8))
    fields.end()
    content = unpack(packed, compression, size, where)
    if checksum and crc32(content) != checksum:
        raise McapError(
            f'{where} has the checksum {crc32(content):08x}, expected {checksum:08x}: the file '
            'was changed after recording')
    return Chunk(first, last, content, bool(checksum))


def unpack(packed: bytes, compression: str, size: int, where: str) -> bytes:
    """
    Decompress bytes, up to their declared size.

    :param compression: ``zstd``, ``lz4``, or empty for uncompressed data.
    :param size: Declared size in bytes.
    """
    if size > LARGEST:
        raise McapError(
            f'{where} declares {size} bytes, expected at most {LARGEST}')
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
        raise McapError(f'{where} has {len(content)} bytes, expected the declared {size}')
    return content


def unpack_message(packed: bytes) -> bytes:
    """Decompress one message of a recording with compression per message."""
    content = zstd.ZstdDecompressor().decompress(packed, max_length=LARGEST + 1)
    if len(content) > LARGEST:
        raise McapError(f'a message has more than {LARGEST} bytes')
    return content


def unpack_file(path: Path, folder: Path) -> Path:
    """
    Decompress a ``.zstd`` file.

    :param path: The file.
    :param folder: Folder for the decompressed file.
    :raises McapError: If decompression fails.
    :raises SizeError: If its result is larger than any recording.
    """
    target = folder / path.stem
    total = UnpackedSize(path.stat().st_size, '`zstd -d` makes one')
    try:
        with zstd.open(path, 'rb') as packed, target.open('wb') as unpacked:
            while block := packed.read(1 << 20):
                total.add(len(block))
                unpacked.write(block)
    except (zstd.ZstdError, EOFError) as error:
        raise McapError(f'it cannot be decompressed: {error}') from error
    return target
