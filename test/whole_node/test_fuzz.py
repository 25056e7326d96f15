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
"""Short fuzzing: a few seeds of each target of `make fuzz`."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

for module in ('torch', 'rclpy', 'tqdm', 'h5py', 'pyarrow'):
    pytest.importorskip(module)

from testing.fuzz.__main__ import attempt, Finding, fuzz  # noqa: E402
from testing.fuzz.damage import damage_bytes, damage_tree  # noqa: E402
from testing.fuzz.targets import as_json, Target, targets  # noqa: E402

TARGETS = targets()
SEEDS = 12


@pytest.mark.parametrize('name', sorted(TARGETS))
def test_damaged_files_are_refused_or_read(name: str, tmp_path: Path) -> None:
    """Each is sound before it is damaged; the long version tries other seeds."""
    assert not fuzz(name, TARGETS[name], range(SEEDS), tmp_path)


def test_an_unexpected_exception_is_a_finding(tmp_path: Path) -> None:
    """The fuzzing itself sees tracebacks, hangs and empty words."""
    def broken(path: Path) -> object:
        raise IndexError('list index out of range')

    def empty(path: Path) -> object:
        raise ValueError(' ')

    sound = tmp_path / 'sound'
    sound.write_text('text')
    for number, read in enumerate((broken, empty)):
        folder = tmp_path / str(number)
        folder.mkdir()
        target = Target(lambda folder: sound, lambda path, random: None, read, (ValueError,))
        with pytest.raises(Finding):
            attempt(target, sound, 0, folder)


def test_a_seed_repeats_its_damage() -> None:
    """Or a finding could not be looked into."""
    tree = {'a': [1, 2.0, 'x'], 'b': {'c': None}}
    first, second = ([
        (damage_bytes(b'some bytes', Random(seed)), as_json(damage_tree(tree, Random(seed))))
        for seed in range(50)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 25
