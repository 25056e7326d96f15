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
"""Free memory, in files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.common import free_memory as module
from training.common.free_memory import free_memory

MEMINFO = 'MemTotal:  16000 kB\nMemAvailable:  8000 kB\nSwapTotal: 4000 kB\nSwapFree:  2000 kB\n'
HOST, SWAP = 8000 * 1024, 2000 * 1024


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text}\n')


@pytest.fixture(name='place')
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ('_MEMINFO', '_OWN_GROUPS', '_GROUPS'):
        monkeypatch.setattr(module, name, tmp_path / name)
    (tmp_path / '_MEMINFO').write_text(MEMINFO)
    return tmp_path


def test_a_machine_without_groups(place: Path) -> None:
    assert free_memory() == HOST
    assert free_memory(swap=True) == HOST + SWAP


@pytest.mark.parametrize(
    'text', ['', 'x', 'MemTotal: 1 kB', 'MemAvailable:', 'MemAvailable: ? kB'])
def test_unknown(place: Path, text: str) -> None:
    (place / '_MEMINFO').write_text(text)
    assert free_memory() == free_memory(swap=True) == 0


@pytest.mark.parametrize(('own', 'folder'), [
    ('0::/', '.'), ('0::/a/b', 'a/b'), ('0::/a/b', 'a'), ('0::/outside/of/this', '.')])
def test_a_container(place: Path, own: str, folder: str) -> None:
    """Its limit, or that of one around it, holds; files in its memory could be freed."""
    write(place / '_OWN_GROUPS', f'1:name=systemd:/a\n{own}')
    group = place / '_GROUPS' / folder
    write(group / 'memory.max', 5_000_000)
    write(group / 'memory.current', 2_000_000)
    write(group / 'memory.stat', 'anon 1\ninactive_file 300000\nactive_file 200000')
    assert free_memory() == free_memory(swap=True) == 3_500_000
    write(group / 'memory.current', 9_000_000)
    assert free_memory() == 1
    write(group / 'memory.max', 'max')
    assert free_memory() == HOST


@pytest.mark.parametrize('limit', [5_000_000, 9223372036854771712])
def test_a_container_of_the_first_version(place: Path, limit: int) -> None:
    write(place / '_OWN_GROUPS', '5:cpuset:/docker/f00\n4:memory:/docker/f00\n0::/')
    group = place / '_GROUPS' / 'memory'
    write(group / 'memory.limit_in_bytes', limit)
    write(group / 'memory.usage_in_bytes', 2_000_000)
    write(group / 'memory.stat', 'inactive_file 1\ntotal_inactive_file 500000')
    assert free_memory() == min(HOST, limit - 1_500_000)


def test_this_machine() -> None:
    assert 10**7 < free_memory() <= free_memory(swap=True) < 10**14
