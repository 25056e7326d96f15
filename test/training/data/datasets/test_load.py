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
"""Tests of training.data.datasets.load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.data.datasets.load import load, locate
from training.data.datasets.numbered import files
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError


@pytest.mark.parametrize('name', ['x.npz', 'x.hdf5'])
def test_files_that_keep_their_reader(name: str, tmp_path: Path) -> None:
    """A FIFO would be waited for, and a device is read without end."""
    path = tmp_path / name
    os.mkfifo(path)
    for _ in 'FIFO', 'device':
        for read in (locate, lambda each: load(DataSource(each, ''))):
            with pytest.raises(DataError, match='expected a regular file'):
                read(path)
        path.unlink()
        path.symlink_to('/dev/zero')


@pytest.mark.parametrize('name', ['x', 'x/x-000', 'x.npz'])
def test_numbered_files_that_keep_their_reader(name: str, tmp_path: Path) -> None:
    """By the name of their folder, with a stem of its own or not, and by their common name."""
    folder = tmp_path / 'x'
    folder.mkdir()
    place = folder if '.' not in name else tmp_path
    os.mkfifo(place / 'x-001.npz')
    asked = tmp_path / name if '/' not in name else folder / 'x'
    with pytest.raises(DataError, match=r'x-001.npz: found a FIFO, .* expected a regular file'):
        files(asked)


@pytest.mark.parametrize('name', ['x' * 300, 'x' * 300 + '.npz', 'x' * 300 + '.hdf5'])
def test_a_name_that_is_too_long_is_no_traceback(name: str, tmp_path: Path) -> None:
    for read in (locate, files, lambda each: load(DataSource(each, 'none'))):
        with pytest.raises(DataError, match='found a name that no file can have .*; name a data'):
            read(tmp_path / name)
