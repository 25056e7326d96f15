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
Safe reader of ``.hdf5`` files, without links and external storage.

h5py silently follows links, and reads data stored in other files; here they are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from training.data.transitions.errors import permitted
from training.data.transitions.hdf5_probe import require_readable, too_large
from training.data.transitions.transitions import DataError


@contextmanager
def opened(path: Path) -> Iterator[File]:
    """
    Open an ``.hdf5``, and turn every read error into a :class:`DataError`.

    :raises DataError: Also within the block, if a part of the file is damaged.
    """
    try:
        with permitted(path), path.open('rb'):
            # The library would say it in its own words.
            pass
        require_readable(path)
        with h5py.File(path, 'r') as file:
            yield File(path, file)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f'{path}: found more data than fits into memory ({error}); select a part of it with '
            '--filter-key or with --observation-keys') from error
    # h5py raises TypeError and ValueError for damaged types and names.
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f'{path}: found a file that is damaged or not HDF5 ({error}); collect or copy it '
            'again') from error


@dataclass(frozen=True)
class File:
    """
    An open file whose members are checked before they are opened.

    :param path: Path of the file, for errors.
    :param file: The open file.
    """

    path: Path
    file: h5py.File

    def group(self, key: str) -> h5py.Group:
        """Open a group."""
        found = self._open(key)
        if not isinstance(found, h5py.Group):
            raise DataError(
                f'{self.path}: {key}: found a data set, expected a group; collect or copy '
                'the file again')
        return found

    def numbers(self, key: str) -> h5py.Dataset:
        """Open a data set of numbers."""
        found = self._data(key)
        if found.dtype.kind not in 'biuf' or not found.shape:
            raise DataError(
                f'{self.path}: {key}: found {found.dtype} of shape {found.shape}, expected '
                'rows of numbers; collect or copy the file again')
        if too_large(found) or found.size and not found.id.get_storage_size():
            raise DataError(
                f'{self.path}: {key}: found {found.dtype} of shape {found.shape}, for which the '
                f'file has {found.id.get_storage_size()} bytes: it was not written, or is meant '
                'to exhaust the memory; leave the demonstration out with a filter_key, or collect '
                'or copy the file again')
        return found

    def names(self, key: str) -> list[str]:
        """Read a list of names."""
        found = self._data(key)
        if found.ndim != 1 or h5py.check_string_dtype(found.dtype) is None:
            raise DataError(
                f'{self.path}: {key}: found {found.dtype}, expected a list of names; write them '
                'as text, or name another filter_key')
        return [str(name) for name in found.asstr()[()]]

    def _data(self, key: str) -> h5py.Dataset:
        """Open a data set that is stored in this file."""
        found = self._open(key)
        if not isinstance(found, h5py.Dataset):
            raise DataError(
                f'{self.path}: {key}: found a group, expected a data set; collect or '
                'copy the file again')
        if found.external or found.is_virtual:
            raise DataError(
                f'{self.path}: {key}: found data stored in another file, which is not read; '
                'copy them into this one')
        return found

    def _open(self, key: str) -> Any:
        """Open a member by its path, without following soft or external links."""
        member: Any = self.file
        for name in key.split('/'):
            link = member.get(name, getlink=True) if isinstance(member, h5py.Group) else None
            if link is None:
                there = ', '.join(member) if isinstance(member, h5py.Group) else 'a data set'
                raise DataError(
                    f'{self.path}: the key {key!r} is missing; found {there or "nothing"}; '
                    'collect or copy the file again'
                    + (', or name the keys to read with --observation-keys'
                       if '/obs/' in key or '/next_obs/' in key else ''))
            if not isinstance(link, h5py.HardLink):
                raise DataError(
                    f'{self.path}: {key}: found a soft or external link, which is not followed; '
                    'copy its target into the file')
            member = member[name]
        return member
