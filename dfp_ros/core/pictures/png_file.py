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
Content of PNG files, taken apart before they are decoded.

Pillow takes a picture whose compressed data end early, and leaves the rows that are missing black;
it decompresses texts and profiles that nobody reads. So the rows are decompressed here, to exactly
as many bytes as the header says, and Pillow gets nothing but the header and them.
"""

from __future__ import annotations

from dataclasses import dataclass
import struct
import zlib

SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Most chunks of a file; libpng writes one for each 8 KiB of data.
_MOST_CHUNKS = 20_000
_HEADER = struct.Struct('>IIBBBBB')
# Numbers of a pixel by its colour type.
_NUMBERS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Passes of interlaced pictures: left, top, and steps to the right and down.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2))
_WHOLE = ((0, 0, 1, 1),)
_PIECE = 32 << 10


class DamagedPng(ValueError):
    """A file is no PNG with one whole picture; the text says why."""


@dataclass(frozen=True)
class PngFile:
    """
    A PNG file, with its data still compressed.

    :param width: Pixels in a row.
    :param height: Rows.
    :param header: Content of its header.
    :param data: The compressed rows.
    """

    width: int
    height: int
    header: bytes
    data: bytes

    def unpacked(self) -> bytes:
        """
        Decompress the rows.

        :return: A PNG file of header and rows alone, whose data are not compressed.
        :raises DamagedPng: If they are not exactly as many as the header says.
        """
        expected, size = self._size(), 0
        unpacker, packer = zlib.decompressobj(), zlib.compressobj(0)
        packed = [SIGNATURE, *_chunk(b'IHDR', self.header)]
        try:
            # In pieces, as what is made in one piece is copied while no other thread can run.
            for begin in range(0, len(self.data), _PIECE):
                rows = unpacker.decompress(
                    self.data[begin:begin + _PIECE], expected + 1 - size)
                size += len(rows)
                if size > expected:
                    raise DamagedPng(
                        f'its data have more than the {expected} bytes of its rows')
                packed += _chunk(b'IDAT', packer.compress(rows))
        except zlib.error as error:
            raise DamagedPng(f'its data are damaged ({error})') from error
        if size != expected or not unpacker.eof:
            raise DamagedPng(f'its data have {size} bytes of rows, expected {expected}')
        return b''.join((*packed, *_chunk(b'IDAT', packer.flush()), *_chunk(b'IEND', b'')))

    def _size(self) -> int:
        """Return the number of bytes of the decompressed rows."""
        _, _, depth, colour, _, _, interlacing = _HEADER.unpack(self.header)
        bits = depth * _NUMBERS[colour]
        size = 0
        for left, top, right, down in _PASSES if interlacing else _WHOLE:
            columns = -(-max(0, self.width - left) // right)
            rows = -(-max(0, self.height - top) // down)
            # Each row begins with its filter.
            size += rows * (1 + -(-columns * bits // 8)) if columns else 0
        return size


def read_png(content: bytes) -> PngFile:
    """
    Take a file apart.

    :param content: The file, which begins with :data:`SIGNATURE`.
    :raises DamagedPng: If it is cut short or damaged, or has several pictures.
    """
    view, at, count = memoryview(content), len(SIGNATURE), 0
    header, parts = b'', []
    while True:
        if at + 12 > len(content):
            raise DamagedPng('it is truncated')
        size, kind = struct.unpack_from('>I4s', content, at)
        if at + 12 + size > len(content):
            raise DamagedPng('it is truncated')
        found = view[at + 8:at + 8 + size]
        if kind == b'IEND':
            break
        if (kind == b'IHDR') != (count == 0):
            raise DamagedPng('it does not begin with its only header')
        if kind == b'acTL':
            raise DamagedPng('it is an animation, expected one picture')
        if kind in (b'IHDR', b'IDAT'):
            if zlib.crc32(found, zlib.crc32(kind)) != int.from_bytes(
                    view[at + 8 + size:at + 12 + size], 'big'):
                raise DamagedPng(f'the checksum of its part {kind.decode()} does not fit')
            if kind == b'IHDR':
                header = bytes(found)
            else:
                parts.append(found)
        at, count = at + 12 + size, count + 1
        if count > _MOST_CHUNKS:
            raise DamagedPng(f'it has more than {_MOST_CHUNKS} parts')
    if len(header) != _HEADER.size or header[9] not in _NUMBERS or header[12] > 1:
        raise DamagedPng('its header is no header of a PNG')
    width, height = struct.unpack_from('>II', header)
    return PngFile(width, height, header, b''.join(parts))


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    """Make a chunk, in parts."""
    return (
        struct.pack('>I', len(content)), kind, content,
        struct.pack('>I', zlib.crc32(content, zlib.crc32(kind))))
