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
"""Bounded file reading: only regular files of limited size, without blocking."""

from __future__ import annotations

from collections.abc import Callable
import errno
import os
from pathlib import Path
import socket
from typing import Any

import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.files.bounded_file import read_regular
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import read_policy_file, read_spec
from dfp_ros.tools.preflight.report import PreflightError, require_passed


def make_fifo(path: Path) -> Path:
    """Make a FIFO, which waits for a writer."""
    os.mkfifo(path)
    return path


def make_socket(path: Path) -> Path:
    """Make a socket, which cannot be opened."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


def make_link(path: Path) -> Path:
    """Make a link to a FIFO."""
    path.symlink_to(make_fifo(path.with_name('behind')))
    return path


KINDS: dict[str, Callable[[Path], Path]] = {
    'FIFO': make_fifo, 'socket': make_socket, 'device': lambda _: Path('/dev/zero'),
    'directory': lambda path: path.parent}


@pytest.mark.parametrize('kind', KINDS)
def test_other_than_regular_files_are_rejected(kind: str, tmp_path: Path) -> None:
    """Every reader immediately reports what it found instead of a regular file."""
    path = KINDS[kind](tmp_path / 'x')
    reports: Any = None
    for error, read in (
            (PolicyError, read_policy_file), (PolicyError, read_spec),
            (DescriptionError, load_robot_description),
            (PreflightError, lambda path: require_passed(path, reports, 1.0, reports))):
        with pytest.raises(error, match=f'cannot be read: Is a {kind}, expected a regular file'):
            read(path)


def test_links_are_followed(tmp_path: Path) -> None:
    """To a FIFO or to a file."""
    with pytest.raises(OSError, match='Is a FIFO'):
        read_regular(make_link(tmp_path / 'link'), 10)
    (tmp_path / 'file').write_bytes(b'1234')
    (tmp_path / 'other').symlink_to(tmp_path / 'file')
    assert read_regular(tmp_path / 'other', 4) == b'1234'


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """A file with a large declared size is not read, nor one without an end."""
    with (tmp_path / 'sparse').open('wb') as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=r'found .* MB or more, expected at most 4\.2 MB'):
        read_regular(tmp_path / 'sparse', 4 << 20)
    with pytest.raises(PolicyError, match='expected at most'):
        read_policy_file(tmp_path / 'sparse')


def test_a_file_that_changes_while_it_is_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of one and half of another must not become a policy."""
    path = tmp_path / 'file'
    path.write_bytes(bytes(100))
    read = os.read

    def rewrite(file: int, size: int) -> bytes:
        content = read(file, size)
        path.write_bytes(bytes(90))
        return content

    monkeypatch.setattr(os, 'read', rewrite)
    with pytest.raises(OSError, match='it was changed while it was read') as caught:
        read_regular(path, 100)
    assert caught.value.errno == errno.EBUSY
