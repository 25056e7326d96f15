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
"""Blockwise decompression of arrays: same numbers, less memory, no code execution."""

from __future__ import annotations

import io
import os
from pathlib import Path
import tempfile
import tracemalloc
from typing import Any
import zipfile

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from training.data.datasets.load import load
from training.data.formats.ogbench import reader as ogbench
from training.data.formats.ogbench.scenes import SCENES
from training.data.transitions.npz import BLOCK, opened
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import COLUMNS, DataError

SHAPES = st.one_of(
    st.just(()), st.tuples(st.integers(0, 5)), st.tuples(st.integers(0, 5), st.integers(0, 3)),
    st.sampled_from([(BLOCK - 1, 2), (BLOCK, 2), (BLOCK + 1, 2), (2 * BLOCK + 7,)]))


@settings(max_examples=60)
@given(SHAPES, st.sampled_from(['f4', 'f8', '>f4', 'i8', 'u1', '?', 'U5']), st.booleans(),
       st.booleans())
def test_blocks_are_what_numpy_loads(
        shape: tuple[int, ...], kind: str, packed: bool, by_columns: bool) -> None:
    values = np.random.default_rng(0).integers(0, 99, shape).astype(kind)
    if by_columns:
        values = np.asfortranarray(values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'a.npz'
        (np.savez_compressed if packed else np.savez)(path, first=np.zeros(3), values=values)
        with opened(path) as file:
            assert list(file) == ['first', 'values']
            assert file.header('values') == (values.shape, values.dtype)
            found = file.array('values')
            starts = [start for start, _ in file.blocks('values')]
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype
    # Columns one after the other can be taken apart only as a whole.
    assert starts == list(range(0, len(values), BLOCK)) if values.ndim and not by_columns else True


class Trap:
    """An object that leaves a file behind if it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_pickled_is_run(tmp_path: Path) -> None:
    trapped = np.array([Trap(tmp_path / 'sprung')], dtype=object)
    np.savez(tmp_path / 'a.npz', trapped=trapped)
    with opened(tmp_path / 'a.npz') as file, pytest.raises(
            DataError, match=r'a\.npz: trapped: .* pickled objects, which are never loaded'):
        file.array('trapped')
    assert not (tmp_path / 'sprung').exists()


@pytest.mark.parametrize(('shape', 'content'), [
    ((4, 2), b'x' * 31), ((10**15,), b''), ((BLOCK + 3,), b'x' * 4 * BLOCK)])
def test_an_array_shorter_than_it_says_is_refused(
        tmp_path: Path, shape: tuple[int, ...], content: bytes) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('values.npy', header.getvalue() + content)
    with pytest.raises(DataError, match=r'a\.npz: found a file that is damaged .*values'), opened(
            tmp_path / 'a.npz') as file:
        file.array('values')


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    member(tmp_path / 'a.npz', 'values', b'no header at all')
    with opened(tmp_path / 'a.npz') as file, pytest.raises(
            DataError, match=r'a\.npz: values: found contents that are not plain arrays'):
        file.header('values')


def member(path: Path, key: str, content: bytes) -> None:
    """Write an archive with one member of any content."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr(f'{key}.npy', content)


@pytest.mark.parametrize(('kind', 'shape'), [
    ('|b1', (-1,)), ('|b1', (True,)), ('|V4', (2,)), ('|V0', (10**15,)), ('<U0', (10**12,)),
    ('<c8', (2,)), ('<M8[s]', (2,)), ([('a', '<f4')], (2,)), (('<f4', (2,)), (2,)),
    ('<f4', (1,) * 100)], ids=lambda value: str(value)[:20])
def test_what_is_no_array_of_plain_numbers_is_refused(
        tmp_path: Path, kind: Any, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': kind, 'fortran_order': False, 'shape': shape})
    member(tmp_path / 'a.npz', 'values', header.getvalue() + b'\0' * 64)
    with opened(tmp_path / 'a.npz') as file, pytest.raises(
            DataError, match=r'a\.npz: values: found .* expected plain numbers; write them'):
        file.array('values')


def test_a_header_that_does_not_end_is_refused(tmp_path: Path) -> None:
    member(tmp_path / 'a.npz', 'values', b'\x93NUMPY\x02\x00\x00\x20\x00\x00' + b'(' * 8192)
    with opened(tmp_path / 'a.npz') as file, pytest.raises(
            DataError, match=r'a\.npz: values: found contents that are not plain arrays'):
        file.array('values')


def test_a_directory_that_lies_of_sizes_takes_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '|b1', 'fortran_order': False, 'shape': (2**50,)})
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('values.npy', header.getvalue())
        archive.getinfo('values.npy').file_size = 2**51
    with pytest.raises(DataError, match=r'a\.npz: found more data than fits into memory'), opened(
            tmp_path / 'a.npz') as file:
        file.array('values')


@pytest.mark.parametrize(('offset', 'value', 'message'), [
    (8, 1, 'encrypted'), (6, 128, 'zip file version')])
def test_archives_of_a_kind_that_is_not_read_are_refused(
        tmp_path: Path, demonstrations: Path, offset: int, value: int, message: str) -> None:
    content = bytearray(demonstrations.read_bytes())
    # In the directory at the end, whose entries begin so.
    place = -1
    while (place := content.find(b'PK\x01\x02', place + 1)) >= 0:
        content[place + offset] |= value
    path = tmp_path / demonstrations.name
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf'v0\.npz: found a file that is damaged .*{message}'):
        load(DataSource(path, 'cube-single-singletask-task2-v0'))


def test_one_byte_changed_in_an_unpacked_array_is_found(tmp_path: Path) -> None:
    path = tmp_path / 'a.npz'
    np.savez(path, values=np.ones((3 * BLOCK, 4), np.float32))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match='damaged'), opened(path) as file:
        file.array('values')


def test_loading_takes_little_more_than_what_is_loaded(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, rows = np.random.default_rng(0), 100 * 1001
    path = tmp_path / 'a.npz'
    np.savez(path, terminals=np.arange(1, rows + 1) % 1001 == 0, **{
        key: generator.uniform(-1, 1, (rows, width)).astype(np.float32)
        for key, width in SCENES['cube-triple'].widths.items()})
    # The simulator's own memory is the same for any file.
    environment = 'cube-triple-singletask-task2-v0'
    env = ogbench.make_env(environment)
    monkeypatch.setattr(ogbench, 'make_env', lambda name: env)
    tracemalloc.start()
    try:
        data = ogbench.load(path, environment)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    taken = sum(getattr(data, name).nbytes for name in COLUMNS)
    assert len(data) == 100_000
    assert peak < 1.5 * taken
