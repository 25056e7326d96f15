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
Arrays of an ``.npz``, a block of rows at a time.

``numpy.load`` makes a whole array before anything can be left out of it; here rows are taken as
they are unpacked. Nothing pickled is ever loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import math
from pathlib import Path
from tokenize import TokenError
import zipfile
import zlib

import numpy as np
from numpy.lib import format as npy

from training.data.transitions.transitions import DataError

# Rows unpacked at a time.
BLOCK = 16_384
# What zipfile raises of an archive that is damaged, encrypted, or of no kind that it knows.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError)
# Kinds of numpy's types that are read: truth, whole numbers, floats and text.
PLAIN = 'biufU'


def write(path: Path, arrays: Mapping[str, np.ndarray], kind: int = zipfile.ZIP_DEFLATED) -> None:
    """
    Write arrays as ``numpy.savez_compressed`` does, to the same bytes.

    Numpy leaves its archive open where the disk is full, and that is complained of much later.

    :param kind: How ``zipfile`` is to store them.
    """
    with zipfile.ZipFile(path, 'w', kind) as archive:
        for key, values in arrays.items():
            with archive.open(f'{key}.npy', 'w', force_zip64=True) as stream:
                npy.write_array(stream, np.asanyarray(values), allow_pickle=False)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """
    Open an ``.npz``, and say of whatever cannot be read in it what is wrong.

    :raises DataError: In the block too, where a part of the file turns out damaged.
    """
    try:
        with path.open('rb') as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise DataError(
                    f'{path}: found a single array, expected several by key; write them with '
                    'numpy.savez, or collect or copy the file again')
        with zipfile.ZipFile(path) as archive:
            yield Archive(path, archive)
    except MemoryError as error:
        raise DataError(
            f'{path}: found more than there is memory for ({error}); spread its episodes over '
            'numbered files, of which one is in memory at a time') from error
    except UNREADABLE as error:
        raise DataError(
            f'{path}: found a file that is damaged or not .npz ({error}); '
            'collect or copy it again') from error


class Archive:
    """
    An open ``.npz``.

    :param path: Of the file, for errors.
    :param archive: The same, open.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._keys = [
            name.removesuffix('.npy') for name in archive.namelist() if name.endswith('.npy')]

    def __iter__(self) -> Iterator[str]:
        """Go through the keys, in the file's order."""
        return iter(self._keys)

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype]:
        """
        Read shape and type of an array, and nothing of its contents.

        :raises DataError: If it holds pickled objects, or has no header.
        """
        with self._archive.open(f'{key}.npy') as stream:
            shape, _, kind = self._header(key, stream)
        return shape, kind

    def blocks(self, key: str) -> Iterator[tuple[int, np.ndarray]]:
        """
        Unpack an array, with the row that each block begins at; the blocks cannot be written to.

        :raises DataError: As :meth:`header` does.
        """
        with self._archive.open(f'{key}.npy') as stream:
            shape, by_columns, kind = self._header(key, stream)
            size = shape[0] if shape else 1
            row = math.prod(shape[1:]) * kind.itemsize
            # Columns that lie one after the other can be taken apart only as a whole.
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
        Unpack a whole array.

        :raises DataError: As :meth:`header` does.
        """
        shape, kind = self.header(key)
        whole = np.empty(shape, kind)
        rows = whole.reshape(shape or (1,))
        for start, block in self.blocks(key):
            rows[start:start + len(block)] = block
        return whole

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
        if kind.kind not in PLAIN or not kind.itemsize or any(
                isinstance(size, bool) or size < 0 for size in shape):
            raise DataError(
                f'{self._path}: {key}: found {kind} of shape {shape}, expected plain numbers; '
                'write them as such with numpy.savez, or copy the file again')
        there = self._archive.getinfo(f'{key}.npy').file_size
        if there < math.prod(shape) * kind.itemsize:
            raise EOFError(f'{key} has {there} bytes, too few for {kind} of shape {shape}')
        return shape, by_columns, kind
