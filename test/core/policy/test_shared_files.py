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
"""Policies and descriptions by path and by bare name."""

from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from dfp_ros.resources import find_shared, SharedFileError


def test_finds_shared_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is a path; a bare name is looked up; for an unknown one, the choice is listed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'own.yaml').touch()
    assert find_shared('own.yaml', 'config', '.yaml') == Path('own.yaml')
    assert find_shared('./none.yaml', 'config', '.yaml') == Path('none.yaml')
    for name in ('ur5e_cube', 'ur5e_cube.yaml'):
        assert find_shared(name, 'config', '.yaml').name == 'ur5e_cube.yaml'
        assert find_shared(name, 'config', '.yaml').is_file()
    with pytest.raises(SharedFileError, match="did you mean 'ur5e_cube'"):
        find_shared('ur5_cube', 'config', '.yaml')


@pytest.mark.parametrize('name', [
    '~nosuchuser/x.onnx', 'x' * 300, f'/{"x" * 300}.onnx', 'x' * 252])
def test_invalid_paths(name: str) -> None:
    """A home that does not exist, and names longer than any file system takes."""
    with pytest.raises(SharedFileError, match='cannot be the path of a file'):
        find_shared(name, 'models', '.onnx')
