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
"""Topic names in descriptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_ros.core.description.topic_name import read_topic
from dfp_ros.core.description.yaml_section import DescriptionError, read_yaml


@pytest.mark.parametrize(('name', 'is_one'), [
    ('joint_states', True), ('/left/arm/joint_states', True), ('~/state', True), ('_a/b_1', True),
    ('"joint states"', False), ('a//b', False), ('a/', False), ('a/1b', False), ('arm-1', False),
    ('"/"', False), ('"~"', False), ('"a\\nb"', False), ('"' + 'a' * 300 + '"', False)])
def test_topic_names(tmp_path: Path, name: str, is_one: bool) -> None:
    """Invalid topic names are rejected with file, line and key."""
    file = tmp_path / 'robot.yaml'
    file.write_text(f'topic: {name}\n', encoding='utf-8')
    section = read_yaml(file).mapping(('topic',))['topic']
    if is_one:
        assert read_topic(section) == name
    else:
        with pytest.raises(DescriptionError, match=r'robot\.yaml:1: topic: found '):
            read_topic(section)
