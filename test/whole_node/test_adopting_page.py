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
"""docs/adopting.md: a policy that mjlab has exported, on a quadruped, followed word for word."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
from typing import Any

import pytest
import yaml

from testing import ROOT
from testing.processes.page_reader import Reader, steps

PAGE = (ROOT / 'docs' / 'adopting.md').read_text()
[SECTION] = re.findall(
    r'^## A policy of mjlab[^\n]*\n(.*?)(?=^## )', PAGE, re.MULTILINE | re.DOTALL)
STEPS = steps(SECTION)
MARK = 'FILL_IN'


def terms(meaning: dict[str, Any]) -> dict[str, Any]:
    """Return all terms, fields and constants by name."""
    [seen], [done] = meaning['inputs'].values(), meaning['outputs'].values()
    return {
        each.get('name', 'last_action'): each
        for each in (*seen['terms'], *done['fields'], *meaning['constants'])}


def require_filled_in(draft: dict[str, Any], page: dict[str, Any]) -> None:
    """Require that the page keeps what the file states, and splits one term."""
    stated, filled = terms(draft), terms(page)
    assert set(filled) - set(stated) == {'velocity_command', 'turn_command'}
    assert stated.pop('command')['size'] == 3
    for name, values in stated.items():
        for key, value in values.items():
            assert value == MARK or filled[name][key] == value, (name, key)
    assert MARK not in str(page)


@pytest.mark.slow
def test_a_policy_of_mjlab_followed_word_for_word(tmp_path: Path) -> None:
    """From the file of another tool to commands that the robot takes."""
    for name in ('rclpy', 'launch_ros', 'onnx'):
        pytest.importorskip(name)
    from dfp_ros.node.ros.domain import free_domain
    shutil.copy(
        ROOT / 'testing' / 'data' / 'interop' / 'mjlab_velocity' / 'policy.onnx',
        tmp_path / 'my_walk.onnx')
    draft, *others = STEPS
    with Reader(tmp_path, free_domain()) as reader:
        said = reader.follow(draft, 1)
        marks = (tmp_path / 'my_walk.adopt.yaml').read_text().count(f': {MARK}')
        assert f'{marks} facts to fill in' in said
        assert f'The draft has {marks} marks.' in SECTION
        for step in others:
            if not step.file:
                said = reader.follow(step)
                continue
            if step.file == 'my_walk.adopt.yaml':
                require_filled_in(
                    yaml.safe_load((tmp_path / step.file).read_text()), yaml.safe_load(step.text))
            (tmp_path / step.file).write_text(step.text)
        assert 'Set parameter successful' in said
        # The stand-in says what it takes.
        robot = tmp_path / 'terminal_0.log'
        reader.await_text('100 targets, 24 gains', robot)
