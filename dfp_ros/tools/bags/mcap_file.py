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
Sequential reader of an mcap file, complete or truncated.

It verifies all redundant data: checksums of chunks, of the data section and of the summary, the
index of each chunk, and the final statistics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, ExitStack
from dataclasses import dataclass
import heapq
import os
from pathlib import Path
import struct
from typing import BinaryIO
from zlib import crc32

from dfp_ros.tools.bags.being_written import require_no_writer
from dfp_ros.tools.bags.mcap_records import (
    CHANNEL,
    Channel,
    Channels,
    CHUNK,
    DATA_END,
    Fields,
    FOOTER,
    HEAD,
    HEADER,
    LARGEST,
    MAGIC,
    McapError,
    MESSAGE,
    MESSAGE_INDEX,
    read_chunk,
    read_message,
    SCHEMA,
    SizeError,
    STATISTICS,
    UnpackedSize,
    walk,
)

_BLOCK = 1 << 20
# Length of the footer, with record header and the magic bytes that follow.
_END = HEAD + 20 + len(MAGIC)
# Most messages of a chunk; usual chunks have a few thousand.
_MOST_MESSAGES = 1 << 20
# Most bytes of messages that wait for earlier ones, and the overhead of each.
_MOST_WAITING, _OVERHEAD = 1 << 30, 256


class Waiting:
    """
    Size of the messages in memory that wait for earlier ones; the files of a bag may share it.

    :param most: Limit in bytes.
    """

    def __init__(self, most: int = 0) -> None:
        """Start at none."""
        self._most = most or _MOST_WAITING
        self._total = 0

    def add(self, content: bytes) -> None:
        """
        Count a message.

        :raises SizeError: If they are too large together.
        """
        self._total += len(content) + _OVERHEAD
        if self._total > self._most:
            raise SizeError(
                f'found more than {self._most} bytes of messages that must wait in memory for '
                'earlier ones, expected messages roughly in order of time; sort a copy of each '
                'mcap file with `mcap sort`')

    def remove(self, *contents: bytes) -> None:
        """Count messages no longer."""
        self._total -= sum(len(content) + _OVERHEAD for content in contents)


@dataclass(frozen=True)
class _Part:
    """
    Records that are read together: a chunk, or messages outside any chunk.

    :param offset: Offset of the first byte.
    :param length: Size in bytes.
    :param first: Earliest reception time of a message, in ns.
    """

    offset: int
    length: int
    first: int


class McapFile:
    """
    Mcap file, indexed in one pass.

    :param path: The file.
    :param waiting: Size of the messages that wait.
    :raises McapError: If it is damaged, other than truncated at its end.
    :raises BeingWrittenError: If a recorder still writes to it.
    :raises OSError: If it cannot be read.

    :ivar channels: Topics and their types, by channel number.
    :ivar counts: Number of messages of each channel.
    :ivar lost: Bytes at the end that are not a whole record.
    :ivar set_back: Largest backward step of the clock, in ns.
    :ivar earliest: Reception time of the first message, in ns.
    :ivar latest: Reception time of the last message, in ns.
    :ivar has_checksums: Whether checksums cover all messages.
    """

    def __init__(self, path: Path, waiting: Waiting | None = None) -> None:
        """Index the file."""
        self.path = path
        self._waiting = waiting or Waiting()
        self.counts: Counter[int] = Counter()
        self.lost = 0
        self.set_back = 0
        self.latest = 0
        self.earliest = 2**63
        self.has_checksums = True
        self._channels = Channels()
        self._parts: list[_Part] = []
        # Times and offsets of the messages of the latest chunk, by channel.
        self._index: dict[int, list[tuple[int, int]]] = {}
        self._checksum = 0
        with path.open('rb') as file:
            self._size = path.stat().st_size
            self._unpacked = UnpackedSize(self._size, '`mcap decompress` makes one')
            if file.read(len(MAGIC)) != MAGIC:
                raise McapError('it has no mcap header')
            file.seek(-len(MAGIC), os.SEEK_END)
            if self._size == len(MAGIC) or file.read() != MAGIC:
                # Interrupted, or not ended yet.
                require_no_writer(path)
            file.seek(len(MAGIC))
            self._checksum = crc32(MAGIC)
            self._read_data(file)

    @property
    def channels(self) -> dict[int, Channel]:
        """Return the channels, by number."""
        return self._channels.found

    def messages(self, channels: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        """
        Read messages in the order in which they were received.

        :param channels: Numbers of the channels to read.
        :return: Channel number, reception time in ns, and content of each message.
        :raises SizeError: If too many messages wait for earlier ones.
        """
        waiting: list[tuple[int, int, int, int, bytes]] = []
        with closing(self.path.open('rb')) as file, ExitStack() as stack:
            # A caller may stop before the last message.
            stack.callback(
                lambda: self._waiting.remove(*(content for *_, content in waiting)))
            for part in sorted(self._parts, key=lambda each: each.first):
                while waiting and waiting[0][:2] < (part.first, part.offset):
                    received, _, _, channel, content = heapq.heappop(waiting)
                    self._waiting.remove(content)
                    yield channel, received, content
                file.seek(part.offset)
                body = file.read(part.length)
                where = f'the record at byte {part.offset}'
                if body[:1] == bytes([CHUNK]):
                    body = read_chunk(body[HEAD:], where).content
                for offset, code, record in walk(body, where):
                    if code == MESSAGE:
                        channel, received = read_message(record, where)
                        if channel in channels:
                            content = record[22:]
                            self._waiting.add(content)
                            heapq.heappush(
                                waiting, (received, part.offset, offset, channel, content))
            while waiting:
                received, _, _, channel, content = heapq.heappop(waiting)
                self._waiting.remove(content)
                yield channel, received, content

    def _read_data(self, file: BinaryIO) -> None:
        """Index the records until the data section, or the file, ends."""
        offset = len(MAGIC)
        while offset < self._size:
            head = file.read(HEAD)
            code, length = struct.unpack('<BQ', head) if len(head) == HEAD else (0, 0)
            where = f'the record at byte {offset}'
            if len(head) < HEAD or offset + HEAD + length > self._size or not code:
                self._end_early(file, offset, head)
                break
            if code == DATA_END:
                self._read_end(file, offset, length)
                break
            if code > DATA_END or code == FOOTER:
                raise McapError(f'{where} has the unknown opcode {code:#04x}')
            self._checksum = crc32(head, self._checksum)
            if code in (HEADER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX):
                if length > LARGEST:
                    raise McapError(
                        f'{where} has {length} bytes, expected at most {LARGEST}')
                body = file.read(length)
                self._checksum = crc32(body, self._checksum)
                self._read_record(code, body, offset, where)
            else:
                self._pass_over(file, length)
            offset += HEAD + length

    def _read_record(self, code: int, body: bytes, offset: int, where: str) -> None:
        """Process one record."""
        if code in (SCHEMA, CHANNEL):
            self._channels.read(code, body, where)
        elif code == CHUNK:
            self._read_chunk(body, offset, where)
        elif code == MESSAGE_INDEX:
            self._check_index(body, where)
        elif code == MESSAGE:
            if self._index:
                raise McapError(f'{where} is a message, though the file has chunks')
            self.has_checksums = False
            _, received = self._count(body, where)
            last = self._parts[-1] if self._parts else None
            length = HEAD + len(body)
            if last is not None and last.offset + last.length == offset and last.length < _BLOCK:
                self._parts[-1] = _Part(
                    last.offset, last.length + length, min(last.first, received))
            else:
                self._parts.append(_Part(offset, length, received))

    def _read_chunk(self, body: bytes, offset: int, where: str) -> None:
        """Index a chunk, and verify it against its header."""
        chunk = read_chunk(body, where)
        self._unpacked.add(len(chunk.content))
        self.has_checksums &= chunk.has_checksum
        index: dict[int, list[tuple[int, int]]] = {}
        self._index = index
        times = []
        for at, code, record in walk(chunk.content, where):
            if code == MESSAGE:
                channel, received = self._count(record, where)
                times.append(received)
                if len(times) > _MOST_MESSAGES:
                    raise SizeError(
                        f'{where} is a chunk of more than {_MOST_MESSAGES} messages, expected at '
                        'most that; copy it into smaller chunks with `mcap compress`')
                index.setdefault(channel, []).append((received, at))
            elif code in (SCHEMA, CHANNEL):
                self._channels.read(code, record, where)
            else:
                raise McapError(f'{where} is a chunk that contains opcode {code:#04x}')
        if times:
            if (min(times), max(times)) != (chunk.first, chunk.last):
                raise McapError(f'{where} is a chunk with another time range than its messages')
            self._parts.append(_Part(offset, HEAD + len(body), chunk.first))

    def _count(self, body: bytes, where: str) -> tuple[int, int]:
        """Count a message; return its channel and time."""
        channel, received = read_message(body, where)
        if channel not in self._channels.found:
            raise McapError(f'{where} has a message of channel {channel}, which is not defined')
        self.counts[channel] += 1
        self.set_back = max(self.set_back, self.latest - received)
        self.latest = max(self.latest, received)
        self.earliest = min(self.earliest, received)
        return channel, received

    def _check_index(self, body: bytes, where: str) -> None:
        """Check that a message index fits the chunk before it."""
        fields = Fields(body, where)
        channel = fields.number(2)
        entries = fields.take(fields.number(4))
        fields.end()
        found = sorted(struct.iter_unpack('<QQ', entries)) if len(entries) % 16 == 0 else None
        if found != sorted(self._index.get(channel, [])):
            raise McapError(f'{where} is an index that does not fit the chunk before it')

    def _pass_over(self, file: BinaryIO, length: int) -> None:
        """Read bytes only for the checksum."""
        while length:
            block = file.read(min(length, _BLOCK))
            if not block:
                raise McapError('it became shorter while it was read')
            self._checksum = crc32(block, self._checksum)
            length -= len(block)

    def _end_early(self, file: BinaryIO, offset: int, head: bytes) -> None:
        """Check that the file is merely truncated after its last record."""
        file.seek(max(offset, self._size - len(MAGIC)))
        if file.read() == MAGIC:
            raise McapError(f'the record at byte {offset} does not fit the records after it')
        # After a power cut, file systems may leave preallocated blocks filled with zeros.
        if head[:1] == b'\0':
            file.seek(offset)
            while block := file.read(_BLOCK):
                if block.count(0) != len(block):
                    raise McapError(f'the record at byte {offset} has the unknown opcode 0x00')
        self.lost = self._size - offset

    def _read_end(self, file: BinaryIO, offset: int, length: int) -> None:
        """Verify everything after the data section: its checksum, the summary and the footer."""
        rest = file.read(LARGEST)
        if length != 4:
            raise McapError(f'the end of the data at byte {offset} has {length} bytes, expected 4')
        checksum = int.from_bytes(rest[:4], 'little') if len(rest) >= 4 else 0
        if checksum and checksum != self._checksum:
            raise McapError(
                f'its data section has the checksum {self._checksum:08x}, expected '
                f'{checksum:08x}: the file was changed after recording')
        self.has_checksums |= bool(checksum)
        if len(rest) < 4 + _END or not rest.endswith(MAGIC):
            # The data section is whole; the missing summary only repeats it.
            return
        summary, footer = rest[4:-_END], rest[-_END:-len(MAGIC)]
        code, size, start, _, checksum = struct.unpack('<BQQQI', footer)
        if (code, size) != (FOOTER, 20) or start not in (0, offset + HEAD + 4):
            raise McapError('it has no mcap footer')
        found = crc32(footer[:-4], crc32(summary))
        if checksum and checksum != found:
            raise McapError(
                f'its summary has the checksum {found:08x}, expected {checksum:08x}: the file '
                'was changed after recording')
        for _, code, body in walk(summary, 'the summary'):
            if code == STATISTICS:
                expected = Fields(body, 'the statistics').number(8)
                if expected != self.counts.total():
                    raise McapError(
                        f'it has {self.counts.total()} messages, expected {expected} from its '
                        'statistics')
