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
Bounded reader of Parquet files of numbers, a block of rows at a time.

What the footer says is checked against the size of the file before anything is decoded, so that a
small file cannot ask for much memory, and so are the headers of pages. Nothing is read but the
columns that are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfp_ros.core.text.printable import listed, printable
from training.data.formats.lerobot.footer_probe import require_sound
from training.data.formats.lerobot.page_probe import require_small_pages
from training.data.transitions.errors import permitted
from training.data.transitions.transitions import DataError

# Rows per block.
BLOCK = 16_384
# Files per block.
_FILES = 32
# Upper limit of a plausible compression ratio, plus a constant in bytes; as for HDF5.
RATIO, SLACK = 2_000, 64_000_000
# Largest sizes in the footer.
_LONGEST_TEXT, _LONGEST_LIST = 16_000_000, 4_000_000
_POINTER = b'version https://git-lfs'
_REMEDY = 'copy the dataset again'
UNREADABLE = (
    pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError)


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """
    Open a Parquet file, and turn every read error into a :class:`DataError`.

    :raises DataError: Also within the block, if a part of the file is damaged.
    """
    try:
        with permitted(path), path.open('rb') as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise DataError(
                    f'{path}: found a pointer of Git LFS, expected the file itself; fetch it '
                    'with `git lfs pull`')
        require_sound(path)
        with pq.ParquetFile(
                path, pre_buffer=False, thrift_string_size_limit=_LONGEST_TEXT,
                thrift_container_size_limit=_LONGEST_LIST,
                # LeRobot writes none.
                page_checksum_verification=True) as file:
            yield Table(path, file)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f'{path}: found more data than fits into memory ({printable(error, 200)}); split '
            'the dataset') from error
    except UNREADABLE as error:
        raise DataError(
            f'{path}: found a file that is damaged or not Parquet ({printable(error, 200)}); '
            f'{_REMEDY}') from error


class Table:
    """
    An open file.

    :param path: Path of the file, for errors.
    :param file: The open file.
    """

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self._path, self._file = path, file
        about = file.metadata
        self.rows = int(about.num_rows)
        self._size = path.stat().st_size
        groups = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        if self.rows < 0 or any(rows < 0 for rows in groups) or sum(groups) != self.rows:
            raise DataError(
                f'{path}: found a footer with {self.rows} rows, and {sum(groups)} in its parts; '
                f'{_REMEDY}')
        self._require_plausible(1)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns."""
        return iter(self._file.schema_arrow.names)

    def blocks(self, wanted: Mapping[str, int]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """
        Decode columns in blocks of rows, each with the index of its first row.

        :param wanted: Number of numbers per row of each column.
        :return: For each block, arrays of shape (rows, numbers) by name.
        :raises DataError: If a column is missing, holds something else, or has a missing value.
        """
        paths = [self._require(name, width) for name, width in wanted.items()]
        self._require_plausible(sum(wanted.values()))
        start = 0
        for batch in self._file.iter_batches(BLOCK, columns=paths, use_threads=False):
            yield start, {
                name: self._numbers(name, width, batch.column(name), start)
                for name, width in wanted.items()}
            start += batch.num_rows
        if start != self.rows:
            raise DataError(
                f'{self._path}: found {start} rows, its footer says {self.rows}; {_REMEDY}')

    def binaries(self, path: str) -> Iterator[bytes]:
        """
        Decode a column of files, such as pictures, a few at a time.

        :param path: Path of the column, which may be within a struct.
        :raises DataError: If the column is missing, holds something else, or has a missing value.
        """
        schema, about = self._file.schema, self._file.metadata
        leaf = next((i for i in range(len(schema)) if schema.column(i).path == path), None)
        if leaf is None or schema.column(leaf).physical_type != 'BYTE_ARRAY':
            raise DataError(
                f'{self._path}: {printable(path)}: found no column of files; {_REMEDY}')
        require_small_pages(self._path, about, leaf)
        name, _, part = path.rpartition('.')
        row = 0
        for batch in self._file.iter_batches(_FILES, columns=[path], use_threads=False):
            for value in batch.column(name).to_pylist():
                found = None if value is None else value[part]
                if not isinstance(found, bytes):
                    raise DataError(
                        f'{self._path}: {printable(path)}: found no file in row {row}; leave its '
                        f'episode out, or {_REMEDY}')
                yield found
                row += 1

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """
        Decode a column of texts.

        :param most: Most rows.
        :param longest: Largest size of the column in bytes.
        :raises DataError: If the column is missing, larger, or holds something else.
        """
        if name not in list(self) or self.rows > most:
            raise DataError(
                f'{self._path}: {name}: found {self.rows} rows of {listed(list(self))}, expected '
                f'at most {most} texts; {_REMEDY}')
        about = self._file.metadata
        size = sum(
            about.row_group(i).column(self._leaf(name)).total_uncompressed_size
            for i in range(about.num_row_groups))
        if not 0 <= size <= longest:
            raise DataError(
                f'{self._path}: {name}: found {size} bytes, expected at most {longest}; {_REMEDY}')
        require_small_pages(self._path, about, self._leaf(name))
        values = self._file.read(columns=[name], use_threads=False).column(name).to_pylist()
        if not all(isinstance(value, str) for value in values):
            raise DataError(
                f'{self._path}: {name}: found values other than text, expected text; {_REMEDY}')
        return values

    def _require_plausible(self, width: int) -> None:
        """Require that so many numbers per row can be in a file of this size."""
        if 8 * self.rows * width > RATIO * self._size + SLACK:
            raise DataError(
                f'{self._path}: found {self.rows} rows of {width} numbers in {self._size} bytes: '
                f'it was not written, or is meant to exhaust the memory; {_REMEDY}')

    def _leaf(self, name: str) -> int:
        """Find the Parquet column of a column of numbers, texts, or rows of them."""
        schema = self._file.schema
        for i in range(len(schema)):
            column = schema.column(i)
            rest = column.path.removeprefix(name)
            if column.path.startswith(name) and rest.count('.') == (
                    2 * column.max_repetition_level) and column.max_repetition_level <= 1 and (
                        not rest or rest.startswith('.')):
                return i
        raise DataError(
            f'{self._path}: {printable(name)}: found a column that is no number, no text and no '
            f'row of them; {_REMEDY}')

    def _require(self, name: str, width: int) -> str:
        """Require a column of so many numbers per row; return its path."""
        if name not in list(self):
            raise DataError(
                f'{self._path}: the column {printable(name)!r} is missing; found '
                f'{listed(list(self))}; {_REMEDY}')
        leaf = self._leaf(name)
        kind = self._file.schema_arrow.field(name).type
        if _is_list(kind):
            kind = kind.value_type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)
                or pa.types.is_boolean(kind)):
            raise DataError(
                f'{self._path}: {name}: found {printable(kind)}, expected numbers; {_REMEDY}')
        about = self._file.metadata
        for i in range(about.num_row_groups):
            group = about.row_group(i)
            values = group.column(leaf).num_values
            if values != group.num_rows * width:
                raise DataError(
                    f'{self._path}: {name}: found {values} numbers in {group.num_rows} rows, '
                    f'expected {width} in each; {_REMEDY}')
        require_small_pages(self._path, about, leaf)
        return str(self._file.schema.column(leaf).path)

    def _numbers(self, name: str, width: int, array: Any, start: int) -> np.ndarray:
        """Convert a column of a block."""
        rows, values = len(array), array
        if _is_list(array.type):
            sizes = np.full(rows, array.type.list_size) if pa.types.is_fixed_size_list(
                array.type) else np.asarray(array.value_lengths().fill_null(0))
            odd = np.flatnonzero(sizes != width)
            if len(odd):
                raise DataError(
                    f'{self._path}: {name}: found {sizes[odd[0]]} numbers in row '
                    f'{start + odd[0]}, expected {width}; {_REMEDY}')
            values = array.flatten()
        if array.null_count or values.null_count or len(values) != rows * width:
            raise DataError(
                f'{self._path}: {name}: found a missing value in rows {start} to '
                f'{start + rows - 1}, expected numbers; leave its episode out, or {_REMEDY}')
        found: np.ndarray = values.to_numpy(zero_copy_only=False)
        return found.reshape(rows, width)


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind))
