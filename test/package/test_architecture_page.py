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
"""docs/architecture.md names every room, and only existing files."""

from __future__ import annotations

from pathlib import Path
import re

from testing import ROOT

PAGE = (ROOT / 'docs' / 'architecture.md').read_text()
PATH = re.compile(r'`((?:dfp_ros|training|test|testing|bench|config)/[\w/.]*)`')


def rooms(top: str) -> set[str]:
    """List the folders with modules, without those inside of a room."""
    found = {
        str(path.parent.relative_to(ROOT)) for path in (ROOT / top).rglob('*.py')
        if path.name != '__init__.py'}
    return {room for room in found if not any(
        room != other and room.startswith(f'{other}/') for other in found - {top, *floors()})
        } - {top, *floors()}


def floors() -> set[str]:
    """List the folders whose modules are documented one by one, beside the rooms."""
    return {'dfp_ros/core', 'training/learning', 'training/datasets'}


def test_every_path_exists() -> None:
    """Files and folders that the page names are there."""
    found = PATH.findall(PAGE)
    assert len(found) > 60
    assert not [path for path in found if not (ROOT / path).exists()]


def test_every_room_is_named() -> None:
    """The table has a line for each room."""
    named = set(PATH.findall(PAGE))
    inside = {str(Path(path)) for path in named}
    for room in rooms('dfp_ros') | rooms('training'):
        assert any(room == each or room.startswith(f'{each}/') for each in inside), room
