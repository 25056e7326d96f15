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
Sizes of the pages of a Parquet file, checked before any of them is decompressed.

Arrow allocates what the header of a page says, up to 2 GB, and neither the footer nor an option
bounds it. A header is a struct of Thrift's compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dfp_ros.core.text.printable import printable
from training.data.transitions.transitions import DataError

#: Largest page in bytes; writers end a page after about a megabyte.
LARGEST_PAGE = 128_000_000
# Largest header in bytes; it may have the least and the largest value.
_HEAD = 4096
# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12
_WHOLE = (4, 5, 6)
_UNCOMPRESSED, _COMPRESSED = 2, 3


def require_small_pages(path: Path, about: Any, column: int) -> None:
    """
    Require that no page of a column asks for much memory.

    :param path: The file.
    :param about: Its footer, as pyarrow reads it.
    :param column: Index of the column.
    :raises DataError: If one does. What cannot be read is left to the reader.
    """
    with path.open('rb') as file:
        for i in range(about.num_row_groups):
            chunk = about.row_group(i).column(column)
            start = chunk.data_page_offset
            if chunk.dictionary_page_offset is not None:
                start = min(start, chunk.dictionary_page_offset)
            for size in _sizes(file, start, start + chunk.total_compressed_size):
                if not 0 <= size <= LARGEST_PAGE:
                    raise DataError(
                        f'{path}: {printable(chunk.path_in_schema)}: found a page of '
                        f'{size / 1e6:.0f} MB, expected at most {LARGEST_PAGE / 1e6:.0f} MB: it '
                        'is meant to exhaust the memory; copy the dataset again')


def _sizes(file: BinaryIO, start: int, end: int) -> Iterator[int]:
    """Read the uncompressed size of each page, until a header cannot be read."""
    while 0 <= start < end:
        file.seek(start)
        numbers: dict[int, int] = {}
        try:
            length = _skip_struct(file.read(_HEAD), 0, numbers)
            yield numbers[_UNCOMPRESSED]
            start += length + max(0, numbers[_COMPRESSED])
        except (IndexError, KeyError, RecursionError):
            return


def _skip_struct(head: bytes, place: int, numbers: dict[int, int] | None = None) -> int:
    """Return the end of a struct, whose whole numbers are noted by their field."""
    field = 0
    while head[place]:
        kind, step = head[place] & 15, head[place] >> 4
        place += 1
        if step:
            field += step
        else:
            field, place = _whole(head, place)
        if kind in _WHOLE:
            number, place = _whole(head, place)
            if numbers is not None:
                numbers[field] = number
        elif kind == _BINARY:
            length, place = _varint(head, place)
            place += length
        elif kind == _STRUCT:
            place = _skip_struct(head, place)
        else:
            # A header has neither lists nor maps.
            place += {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}[kind]
    return place + 1


def _whole(head: bytes, place: int) -> tuple[int, int]:
    """Read a signed number; return it, and the place after it."""
    number, place = _varint(head, place)
    return (number >> 1) ^ -(number & 1), place


def _varint(head: bytes, place: int) -> tuple[int, int]:
    """Read a number without a sign; return it, and the place after it."""
    number = shift = 0
    while True:
        number |= (head[place] & 0x7F) << shift
        shift += 7
        place += 1
        if head[place - 1] < 0x80:
            return number, place
