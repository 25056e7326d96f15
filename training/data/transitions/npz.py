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
Streaming reader and writer of ``.npz`` files, a block of rows at a time.

``numpy.load`` loads a whole array even if only some rows are needed; here rows are selected as
they are decompressed. Pickled objects are never loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
import math
from pathlib import Path
import struct
from tokenize import TokenError
import zipfile
import zlib

import numpy as np
from numpy.lib import format as npy

from training.data.transitions.errors import permitted
from training.data.transitions.transitions import DataError

# Rows per block.
BLOCK = 16_384
# Exceptions of zipfile for an archive that is damaged, encrypted or unsupported.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError)
# Kinds of NumPy types that are read: booleans, integers, floats and text.
PLAIN = 'biufU'
# Header of a member in the archive itself, which ends with the lengths of two texts after it.
_LOCAL, _LENGTHS = struct.Struct('<4s5H3L2H'), struct.Struct('<2H')
# Most dimensions of an array that every release of NumPy can make.
_MOST_DIMENSIONS = 32


def write(
        path: Path, arrays: Mapping[str, np.ndarray], kind: int = zipfile.ZIP_DEFLATED,
        mapped: Collection[str] = ()) -> None:
    """
    Write arrays as ``numpy.savez_compressed`` does, to the same bytes.

    NumPy itself leaves its archive open if the disk is full, which raises an error much later.

    :param kind: Compression method of ``zipfile``.
    :param mapped: Keys of arrays that are not compressed, so that :meth:`Archive.mapped` can.
    """
    with zipfile.ZipFile(path, 'w', kind) as archive:
        for key, values in arrays.items():
            member = zipfile.ZipInfo(f'{key}.npy')
            member.compress_type = zipfile.ZIP_STORED if key in mapped else kind
            with archive.open(member, 'w', force_zip64=True) as stream:
                npy.write_array(stream, np.asanyarray(values), allow_pickle=False)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """
    Open an ``.npz``, and turn every read error into a :class:`DataError`.

    :raises DataError: Also within the block, if a part of the file is damaged.
    """
    try:
        with permitted(path), path.open('rb') as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise DataError(
                    f'{path}: found a single array, expected several by key; write them with '
                    'numpy.savez, or collect or copy the file again')
        with zipfile.ZipFile(path) as archive:
            yield Archive(path, archive)
    except MemoryError as error:
        raise DataError(
            f'{path}: found more data than fits into memory ({error}); split its episodes into '
            'numbered files, of which one is in memory at a time') from error
    except UNREADABLE as error:
        raise DataError(
            f'{path}: found a file that is damaged or not .npz ({error}); '
            'collect or copy it again') from error


class Archive:
    """
    An open ``.npz``.

    :param path: Path of the file, for errors.
    :param archive: The open archive.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._keys = [
            name.removesuffix('.npy') for name in archive.namelist() if name.endswith('.npy')]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order of the file."""
        return iter(self._keys)

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype]:
        """
        Read shape and type of an array, without its contents.

        :raises DataError: If it holds pickled objects, or has no header.
        """
        with self._archive.open(f'{key}.npy') as stream:
            shape, _, kind = self._header(key, stream)
        return shape, kind

    def blocks(self, key: str) -> Iterator[tuple[int, np.ndarray]]:
        """
        Decompress an array in read-only blocks, each with the index of its first row.

        :raises DataError: As :meth:`header` does.
        """
        with self._archive.open(f'{key}.npy') as stream:
            shape, by_columns, kind = self._header(key, stream)
            size = shape[0] if shape else 1
            row = math.prod(shape[1:]) * kind.itemsize
            # An array in Fortran order can be split into rows only as a whole.
            rows = size if by_columns else BLOCK
            for start in range(0, size, max(1, rows)):
                count = min(rows, size - start)
                content = stream.read(count * row)
                if len(content) < count * row:
                    raise EOFError(f'{key} ends before row {size}')
                values = np.frombuffer(content, kind)
                if by_columns:
                    yield start, values.reshape(shape, order='F')
                else:
                    yield start, values.reshape(count, *shape[1:])

    def array(self, key: str) -> np.ndarray:
        """
        Decompress a whole array.

        :raises DataError: As :meth:`header` does.
        """
        shape, kind = self.header(key)
        whole = np.empty(shape, kind)
        rows = whole.reshape(shape or (1,))
        for start, block in self.blocks(key):
            rows[start:start + len(block)] = block
        return whole

    def mapped(self, key: str) -> np.ndarray | None:
        """
        Map an array that is not compressed, read-only, without reading it.

        :return: None if it is compressed.
        :raises DataError: As :meth:`header` does.
        """
        member = self._archive.getinfo(f'{key}.npy')
        if member.compress_type != zipfile.ZIP_STORED:
            return None
        with self._archive.open(member) as stream:
            shape, by_columns, kind = self._header(key, stream)
            behind_header = stream.tell()
        if by_columns or not math.prod(shape):
            return None
        with self._path.open('rb') as file:
            file.seek(member.header_offset + _LOCAL.size - _LENGTHS.size)
            begin = file.tell() + _LENGTHS.size + sum(_LENGTHS.unpack(file.read(_LENGTHS.size)))
        size = math.prod(shape) * kind.itemsize
        if begin + behind_header + size > self._path.stat().st_size:
            raise EOFError(f'{key} ends before row {shape[0]}')
        return np.asarray(np.memmap(self._path, kind, 'r', begin + behind_header, shape))

    def _header(self, key: str, stream: object) -> tuple[tuple[int, ...], bool, np.dtype]:
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        try:
            version = npy.read_magic(stream)
            shape, by_columns, kind = readers[version](stream)
        except (ValueError, KeyError, TokenError) as error:
            raise DataError(
                f'{self._path}: {key}: found contents that are not plain arrays ({error}); write '
                'the file with numpy.savez, or copy it again') from error
        if kind.hasobject:
            raise DataError(
                f'{self._path}: {key}: found contents that are not plain arrays but pickled '
                'objects, which are never loaded; write them as numbers')
        if len(shape) > _MOST_DIMENSIONS:
            raise DataError(
                f'{self._path}: {key}: found an array of {len(shape)} dimensions, expected '
                'plain numbers; write them as such with numpy.savez, or copy the file again')
        if kind.kind not in PLAIN or not kind.itemsize or any(
                isinstance(size, bool) or size < 0 for size in shape):
            raise DataError(
                f'{self._path}: {key}: found {kind} of shape {shape}, expected plain numbers; '
                'write them as such with numpy.savez, or copy the file again')
        there = self._archive.getinfo(f'{key}.npy').file_size
        if there < math.prod(shape) * kind.itemsize:
            raise EOFError(f'{key} has {there} bytes, too few for {kind} of shape {shape}')
        return shape, by_columns, kind
