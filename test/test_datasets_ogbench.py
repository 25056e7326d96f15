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
"""OGBench files: what is read, and what is refused with which words."""

from pathlib import Path

import numpy as np
import pytest

from training.datasets.ogbench import load, observation_layout
from training.transitions import DataError

TASK = 'cube-single-singletask-task2-v0'


@pytest.fixture
def arrays(demonstrations: Path) -> dict:
    with np.load(demonstrations) as file:
        return dict(file)


def written(path: Path, arrays: dict) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_demonstrations_are_rewarded_and_masked(demonstrations: Path) -> None:
    data = load(demonstrations, TASK)
    solved = np.flatnonzero(data.masks == 0)
    np.testing.assert_array_equal(solved, np.flatnonzero(data.terminals))
    np.testing.assert_array_equal(data.rewards, data.masks * -1.0)
    assert data.source['episodes'] == 4
    assert sum(member.size for member in data.observation_fields) == 28
    low = np.concatenate([member.low for member in data.observation_fields])
    np.testing.assert_array_equal(low, data.observations.min(axis=0))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'none\.npz: found no such file; make one with'):
        load(tmp_path / 'none.npz', TASK)


@pytest.mark.parametrize('share', [0.0, 0.3, 0.999])
def test_truncated_file(demonstrations: Path, tmp_path: Path, share: float) -> None:
    content = demonstrations.read_bytes()
    path = tmp_path / 'cut.npz'
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(DataError, match=r'cut\.npz: found a file that is damaged or not \.npz'):
        load(path, TASK)


def test_flipped_bytes(demonstrations: Path, tmp_path: Path) -> None:
    content = bytearray(demonstrations.read_bytes())
    middle = len(content) // 3
    content[middle:middle + 64] = bytes(value ^ 0xFF for value in content[middle:middle + 64])
    path = tmp_path / 'flipped.npz'
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'flipped\.npz: found a file that is damaged'):
        load(path, TASK)


def test_missing_key(arrays: dict, tmp_path: Path) -> None:
    del arrays['qpos']
    with pytest.raises(DataError, match="the key 'qpos' is missing; found observations, actions"):
        load(written(tmp_path / 'a.npz', arrays), TASK)


@pytest.mark.parametrize(('key', 'width'), [
    ('observations', 37), ('actions', 7), ('qpos', 28), ('qvel', 26)])
def test_other_dimensions(arrays: dict, tmp_path: Path, key: str, width: int) -> None:
    arrays[key] = np.zeros((len(arrays[key]), width), np.float32)
    with pytest.raises(DataError, match=rf'{key} has shape \(\d+, {width}\), the environment'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_number_that_is_not_finite(arrays: dict, tmp_path: Path) -> None:
    arrays['observations'][17, 3] = np.nan
    with pytest.raises(DataError, match='observations holds a number .* not finite, in row 17'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_last_episode_without_an_end(arrays: dict, tmp_path: Path) -> None:
    arrays['terminals'][-1] = False
    with pytest.raises(DataError, match='does not end an episode'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


def test_pickled_objects_are_refused(arrays: dict, tmp_path: Path) -> None:
    arrays['qpos'] = np.array([{'a': 1}], dtype=object)
    with pytest.raises(DataError, match='found contents that are not plain arrays'):
        load(written(tmp_path / 'a.npz', arrays), TASK)


@pytest.mark.parametrize('name', ['cube-single-v0', 'cube-ten-singletask-v0', 'antmaze-large-v0'])
def test_other_environments_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"environment: found '{name}', expected cube-N-single"):
        observation_layout(name)
