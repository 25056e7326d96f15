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
"""Missing files, and the file that was meant."""

from pathlib import Path

import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.files.missing import explain_missing, near_file
from dfp_ros.resources import find_shared, SharedFileError

YAML = ('.yaml', '.yml')


def test_names_the_file_that_was_meant(tmp_path: Path) -> None:
    """A suffix that is missing, or a misspelt name; the folder is always named."""
    for name in ('my_robot.yaml', 'my_robot2.yaml', 'my_robt.onnx'):
        (tmp_path / name).touch()
    assert near_file(tmp_path / 'my_robot', YAML) == tmp_path / 'my_robot.yaml'
    assert near_file(tmp_path / 'my_robt.yaml', YAML) == tmp_path / 'my_robot.yaml'
    assert near_file(tmp_path / 'other.yaml', YAML) is None
    assert explain_missing(tmp_path / 'my_robot', YAML) == (
        f'there is no such file (looked in {tmp_path}); did you mean '
        f"'{tmp_path / 'my_robot.yaml'}'?")
    assert explain_missing(tmp_path / 'none' / 'x.yaml', YAML) == (
        f'there is no such file (there is no folder {tmp_path / "none"})')


def test_a_link_to_nothing_names_what_it_leads_to(tmp_path: Path) -> None:
    """The link itself is there, and is not suggested."""
    link = tmp_path / 'my_robot.yaml'
    link.symlink_to(tmp_path / 'moved.yaml')
    assert explain_missing(link, YAML) == (
        f"it is a symbolic link to '{tmp_path / 'moved.yaml'}', and there is no such file; "
        'restore that file, or name another')
    assert near_file(link, YAML) is None


def test_descriptions_and_bare_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the working directory is suggested for a bare name, unless a shipped one is."""
    (tmp_path / 'my_robot.yaml').touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DescriptionError, match="did you mean './my_robot.yaml'|'my_robot.yaml'"):
        load_robot_description('my_robt.yaml')
    with pytest.raises(SharedFileError, match="did you mean 'my_robot.yaml'"):
        find_shared('my_robot', 'config', '.yaml')
    with pytest.raises(SharedFileError, match="did you mean 'ur5e_cube'"):
        find_shared('ur5_cube', 'config', '.yaml')


def test_shipped_files_without_an_environment_of_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's own are found, for example to convert recordings."""
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    assert find_shared('ur5e_cube', 'config', '.yaml').is_file()
