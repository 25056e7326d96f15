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
"""A file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.core.files.replaceable import require_writable


@pytest.mark.parametrize('overwrite', [True, False])
def test_a_new_file(tmp_path: Path, overwrite: bool) -> None:
    """It has its name when the block ends, and the permissions of any file."""
    path = tmp_path / f'{"n" * 240}.txt'
    with atomic_path(path, overwrite) as partial:
        assert partial.suffix == '.txt'
        partial.write_text('new')
        assert not path.exists()
    (tmp_path / 'other').touch()
    assert path.read_text() == 'new'
    assert path.stat().st_mode == (tmp_path / 'other').stat().st_mode
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_there_before(tmp_path: Path) -> None:
    """It stays if the block fails, or if it may not be overwritten."""
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(ZeroDivisionError), atomic_path(path) as partial:
        partial.write_text(f'half {1 / 0}')
    with pytest.raises(FileExistsError), atomic_path(path, overwrite=False) as partial:
        partial.write_text('new')
    assert path.read_text() == 'old'
    with atomic_path(path) as partial:
        partial.write_text('new')
    assert path.read_text() == 'new'
    assert [*tmp_path.iterdir()] == [path]


def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder, a FIFO or the root of all is not replaced."""
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'folder').mkdir()
    for path in (tmp_path / 'pipe', tmp_path / 'folder', Path('/'), Path()):
        with pytest.raises(OSError, match=r'FIFO|directory'), atomic_path(path) as partial:
            partial.write_text('new')
    assert {each.name for each in tmp_path.iterdir()} == {'pipe', 'folder'}


def test_what_can_be_written_is_known_before(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault has its remedy, and nothing is created."""
    (tmp_path / 'file').write_text('old')
    os.mkfifo(tmp_path / 'pipe')
    require_writable(tmp_path / 'file')
    require_writable(tmp_path / 'new' / 'folder' / 'x')
    for path, said in (
            (tmp_path, 'it is a folder; name a file in it'), (Path(), 'it is a folder'),
            (tmp_path / 'file' / 'x', 'file is a file, not a folder; name another path'),
            (tmp_path / 'file' / 'y' / 'x', 'file is a file, not a folder; name another path'),
            (tmp_path / 'pipe', 'is a FIFO, .*; name another path')):
        with pytest.raises(OSError, match=said) as caught:
            require_writable(path)
        assert caught.value.filename == str(path)
    monkeypatch.setattr(os, 'access', lambda *_: False)
    with pytest.raises(PermissionError, match=f'the folder {tmp_path} is not writable; check'):
        require_writable(tmp_path / 'new' / 'x')
    assert {each.name for each in tmp_path.iterdir()} == {'pipe', 'file'}
