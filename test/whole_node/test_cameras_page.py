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
"""docs/cameras.md, followed word for word."""

from __future__ import annotations

import json
from pathlib import Path
import re
import shlex

import numpy as np
import pytest
import yaml

from dfp_ros.core.description.robot import load_robot_description
from testing import ROOT
from testing.processes.page_reader import Reader, same_but_marks, steps

PAGE = (ROOT / 'docs' / 'cameras.md').read_text()
[TEXT] = re.findall(r'^## A table and its camera\n(.*?)(?=^## )', PAGE, re.MULTILINE | re.DOTALL)
TABLE = steps(TEXT)
[DESCRIPTION] = [step for step in TABLE if step.file]
# Of six episodes; measured: six.
LEAST_SOLVED = 3


def test_the_commands_exist_and_the_description_is_taken(tmp_path: Path) -> None:
    """Modules and scripts, in the order of the work; the policy's picture is as described."""
    for step in TABLE:
        words = [] if step.file else shlex.split(step.text)
        if words[:2] == ['python', '-m']:
            assert (ROOT / words[2].replace('.', '/')).with_suffix('.py').is_file(), words
        elif words[:1] == ['python']:
            assert (ROOT / words[1]).is_file(), words
    (tmp_path / DESCRIPTION.file).write_text(DESCRIPTION.text)
    robot = load_robot_description(tmp_path / DESCRIPTION.file)
    assert [image.field.shape for image in robot.images] == [(24, 32, 3)]


@pytest.mark.slow
def test_the_page_followed_word_for_word(tmp_path: Path) -> None:
    """From the first topic to a policy that finds its targets in pictures."""
    for name in ('rclpy', 'launch_ros', 'torch', 'PIL'):
        pytest.importorskip(name)
    from dfp_ros.node.ros.domain import free_domain
    with Reader(tmp_path, free_domain()) as reader:
        for step in TABLE:
            if not step.file:
                reader.follow(step)
                continue
            scaffold = yaml.safe_load((tmp_path / step.file).read_text())
            page = yaml.safe_load(step.text)
            for part in ('robot', 'sources', 'observation', 'commands'):
                same_but_marks(scaffold[part], page[part], part)
            for drafted, image in zip(scaffold['images'], page['images'], strict=True):
                assert image.pop('changes_within')
                same_but_marks(drafted, image, 'images')
            (tmp_path / step.file).write_text(step.text)
    data = np.load(tmp_path / 'data' / 'table.npz')
    # One for each step, and one after the last of each episode.
    assert len(data['image_camera']) == len(data['actions']) + data['terminals'].sum()
    found = json.loads((tmp_path / 'runs' / 'table' / 'on_robot.json').read_text())
    assert found['complete']
    assert len(found['episodes']) == 6
    assert found['success']['solved'] >= LEAST_SOLVED, found
