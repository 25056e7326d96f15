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
"""Storage of transitions in their own file format."""

from __future__ import annotations

from dataclasses import asdict, replace
import json
from pathlib import Path
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from testing.learning.transitions import drawn
from training.data.datasets.load import load
from training.data.transitions import stored
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import (
    COLUMNS,
    DataError,
)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 4), st.integers(1, 3))
def test_what_is_stored_is_read_again(lengths: list[int], observation: int, action: int) -> None:
    given_data = drawn(lengths, observation, action)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'recorded.npz'
        stored.save(path, given_data)
        found = load(DataSource(path, 'none'))
    for name in COLUMNS:
        assert np.array_equal(getattr(found, name), getattr(given_data, name))
    assert found.observation_fields == given_data.observation_fields
    assert found.action_fields == given_data.action_fields
    assert (found.period, found.source['robot']) == (0.05, 'none')
    assert len(found.source['sha256']) == 64


@pytest.mark.parametrize(('change', 'message'), [
    ({'rewards': np.array([0, np.nan, 0], np.float32)}, 'rewards: .* not finite, in row 1'),
    ({'masks': np.zeros(3)}, 'masks: found float64'),
    ({'observations': np.zeros((3, 4), np.float32)}, r'observations: .*expected .*\(3, 3\)'),
    ({'terminals': np.array([1, 0, 0], np.float32)}, 'terminals: .* last of 3 steps'),
    ({'terminals': np.array([0, 0.5, 1], np.float32)}, 'terminals: found 0.5 in row 1, expected'),
    ({'masks': np.array([0, 1, 2], np.float32)}, 'masks: found 2 in row 2, expected 0 or 1'),
    ({'period': 0.0}, 'period: found 0 s, expected 0.001 to 1 s'),
    ({'period': float('nan')}, 'period: found nan s'),
    ({'actions': np.array([[0, 0], [0, 1.5], [0, 0]], np.float32)}, 'actions: found 1.5 in row 1'),
    ({name: getattr(drawn([3]), name)[:0] for name in COLUMNS}, 'actions: found no step'),
])
def test_what_does_not_fit_is_refused(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=f'^here: {message}'):
        replace(drawn([3]), **change).check('here')


def columns(**changes: object) -> dict:
    """Make the content of a file with three steps, partly replaced."""
    given = {name: getattr(drawn([3]), name) for name in COLUMNS} | changes
    return {name: values for name, values in given.items() if values is not None}


def described(**changes: object) -> np.ndarray:
    """Make the description of :func:`columns`, but for some of it or of its first field."""
    field = {'name': 'state', 'size': 3, 'unit': 'm', 'low': [0] * 3, 'high': [1] * 3}
    acting = [asdict(field) for field in drawn([3]).action_fields]
    whole = {'version': 1, 'period': 0.05, 'source': {}, 'action_fields': acting}
    whole |= {name: changes.pop(name) for name in list(changes) if name in whole}
    return np.array(json.dumps({**whole, 'observation_fields': [field | changes]}))


@pytest.mark.parametrize(('changes', 'message'), [
    ({'rewards': None}, "the key 'rewards' is missing; found .*; convert the recording again"),
    ({'terminals': None}, "the key 'terminals' is missing"),
    ({'actions': np.array([{}], dtype=object)}, 'actions: .* pickled objects, which are never lo'),
    ({'rewards': np.zeros(3)}, 'rewards: found float64 .* expected float32 .*; collect or conv'),
    ({'observations': np.full((3, 3), np.inf, np.float32)},
     'observations: found a number that is not finite, in row 0; leave its episode out'),
    ({'next_observations': np.zeros((3, 9), np.float32)}, r'next_observations: .* \(3, 9\), ex'),
    ({'terminals': np.zeros(3, np.float32)}, 'terminals: .* truncated: collect or copy'),
    ({name: getattr(drawn([3]), name)[:0] for name in COLUMNS}, 'actions: found no step'),
    ({'description': np.array('{"version": 2}')}, 'description: found version 2, expected 1'),
    ({'description': np.array('{"version": 1')}, 'description: found contents that'),
    ({'description': np.array('[]')}, 'description: found contents that'),
    ({'description': described(size='3')}, "description: found the field 'state' of size '3'"),
    ({'description': described(size=-3)}, "description: found the field 'state' of size -3"),
    ({'description': described(low=[0])}, "description: found the field 'state' of size 3 with"),
    ({'description': described(low=3)}, "description: found the field 'state' of size 3 with"),
    ({'description': described(low=['a'] * 3)}, "description: found ranges of the field 'state'"),
    ({'description': described(low=[float('nan')] * 3)}, 'description: found ranges of the field'),
    ({'description': described(low=[-10 ** 400] * 3)}, 'description: found ranges of the field'),
    ({'description': described(size=10 ** 400)}, 'description: found the field .{,300}$'),
    ({'description': described(name='a' * 10 ** 6, size=2)}, 'description: found the .{,300}$'),
    ({'description': described(low=[9] * 3)}, "description: found low above high in the field 's"),
    ({'description': described(name=None)}, 'description: found a field named None'),
    ({'description': described(name='a\x1b[2J')}, r"description: found a field named 'a.x1b\[2J'"),
    ({'description': described(unit=3)}, "description: found a field named 'state' with the unit"),
    ({'description': described(more=[0] * 3)}, 'description: found contents that'),
    ({'description': described(period=10 ** 400)}, 'description: period: found 1000'),
    ({'description': described(period=1e-300)}, 'description: period: found 1e-300, expected'),
    ({'description': described(period=True)}, 'description: period: found True'),
    ({'description': described(source={'dropped': [1]})}, 'description: source: dropped'),
    ({'description': described(source={'env_args': 3})}, 'description: source: env_args'),
    ({'description': np.array('[' * 100_000)}, 'description: found contents that'),
    ({'description': np.array(3.0)}, 'description: found float64 of shape'),
    ({'actions': np.float32(0)}, r'actions: found float32 of shape \(\), expected rows'),
])
def test_a_bad_file_is_refused_by_name_key_and_remedy(
        changes: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / 'recorded.npz'
    stored.save(path, drawn([3]))
    with np.load(path) as file:
        description = file['description']
    np.savez(path, **columns(**{'description': description, **changes}))
    with pytest.raises(DataError, match=rf'recorded\.npz: {message}'):
        load(DataSource(path, 'none'))


@pytest.mark.parametrize('share', [0.2, 0.6, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / 'recorded.npz'
    stored.save(path, drawn([300]))
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(DataError, match=r'recorded\.npz: found a file that is damaged .* again'):
        load(DataSource(path, 'cube-single-singletask-task2-v0'))


def test_a_file_of_which_bytes_have_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'recorded.npz'
    stored.save(path, drawn([300]))
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'recorded\.npz: found a file that is damaged'):
        load(DataSource(path, 'none'))


@pytest.mark.parametrize('name', ['recorded.mcap', 'recorded'])
def test_a_file_of_another_kind_is_refused_with_a_remedy(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=(
            rf'{name}: found .*, expected \.npz, \.hdf5 or the folder of a LeRobot dataset; '
            'convert recordings with `python -m')):
        load(DataSource(tmp_path / name, 'none'))
