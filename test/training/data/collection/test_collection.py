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
"""Collection engine without a simulator: selection, order and end of the episodes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from testing.learning.numbers_env import Numbers
from training.data.collection import engine as collection
from training.data.collection.engine import Budget, collect, CollectionError


def collected(
        tmp_path: Path, budget: Budget, workers: int = 1, first: int = 0,
        **settings: Any) -> list[int]:
    recipe = Numbers(str(tmp_path / 'numbers.partial'), **settings)
    path = tmp_path / 'numbers.npy'
    count = collect(recipe, path, budget, first, workers)
    found: list[int] = np.load(path).tolist()
    card = json.loads(path.with_suffix('.json').read_text())
    assert count == card['episodes'] == card['rows'] == len(found)
    return found


def test_failed_episodes_are_left_out_and_replaced(tmp_path: Path) -> None:
    assert collected(tmp_path, Budget(3), first=7, failing=(7, 9)) == [8, 10, 11]


def test_no_more_episodes_than_asked_for_begin(tmp_path: Path) -> None:
    assert collected(tmp_path, Budget(3)) == [0, 1, 2]
    assert sorted(file.name for file in tmp_path.glob('begun-*')) == [
        'begun-0', 'begun-1', 'begun-2']


def test_order_is_of_the_numbers_where_an_earlier_episode_ends_later(tmp_path: Path) -> None:
    assert collected(tmp_path, Budget(4), workers=2, late=0) == [0, 1, 2, 3]


def test_hours_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour that is over once five episodes are there, but for a second."""
    begun: list[int] = []

    def clock() -> float:
        begun.append(1)
        if len(begun) == 1:
            return 0.0
        return 3601.0 if (tmp_path / 'numbers.partial' / '00000004.npz').exists() else 3599.0

    monkeypatch.setattr(collection, 'time', SimpleNamespace(monotonic=clock))
    # What was begun before the end comes too: at most two episodes a worker.
    assert collected(tmp_path, Budget(hours=1), last=8) in [
        list(range(count)) for count in range(5, 9)]


def test_hours_without_an_episode_are_told(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r'numbers\.npy: no episode was .*more --hours'):
        collected(tmp_path, Budget(hours=1e-9))


@pytest.mark.parametrize(('change', 'message'), [
    ({'seed': 1}, 'collected with seed 0, now asked for 1; use the same settings, or remo'),
    ({'failing': ()}, r'collected with failing \[0, 1\], now asked for \[\]'),
    ({'first': 5}, 'collected with first_episode 0, now asked for 5')])
def test_part_of_another_collection_is_not_gone_on_with(
        tmp_path: Path, change: dict, message: str) -> None:
    asked: dict[str, Any] = {'failing': (0, 1), 'last': 2}
    with pytest.raises(AssertionError):  # in a worker, at episode 3
        collected(tmp_path, Budget(3), **asked)
    folder = tmp_path / 'numbers.partial'
    before = sorted(folder.iterdir())
    assert len(before) > 1
    with pytest.raises(CollectionError, match=rf'numbers\.partial: found episodes {message}'):
        collected(tmp_path, Budget(3), **(asked | {'last': 2} | change))
    assert sorted(folder.iterdir()) == before
    assert not (tmp_path / 'numbers.npy').exists()


@pytest.mark.parametrize(
    'content', ['', '[' * 100_000, '[]', '7'], ids=['empty', 'nested', 'list', 'number'])
def test_a_damaged_recipe_is_said(content: str, tmp_path: Path) -> None:
    folder = tmp_path / 'numbers.partial'
    folder.mkdir()
    (folder / 'recipe.json').write_text(content)
    with pytest.raises(CollectionError, match=rf'recipe.json: .*; remove {folder}, or name'):
        collected(tmp_path, Budget(2))
    (tmp_path / 'numbers.npy').write_bytes(b'1')
    (tmp_path / 'numbers.json').write_text(content)
    with pytest.raises(CollectionError, match=r'numbers.npy: found a file of unknown origin'):
        collected(tmp_path, Budget(2))


def test_episodes_of_which_nothing_is_known_are_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / 'numbers.partial'
    folder.mkdir()
    np.savez(folder / '00000000.npz', number=np.array([77]))
    with pytest.raises(CollectionError, match=r'partial: found episodes of unknown origin'):
        collected(tmp_path, Budget(1))
    assert [file.name for file in folder.iterdir()] == ['00000000.npz']
