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
"""docs/lerobot.md, followed word for word, but for LeRobot's own part of it."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import Any

import numpy as np
import pytest

from testing import ROOT
from testing.processes.page_reader import Reader, steps

PAGE = (ROOT / 'docs' / 'lerobot.md').read_text()
SECTIONS = dict(re.findall(r'^## ([^\n]*)\n(.*?)(?=^## |\Z)', PAGE, re.MULTILINE | re.DOTALL))
OWN, OTHERS = (
    [step for name in names for step in steps(SECTIONS[name])]
    for names in (('From bags', 'And back'), ('A dataset of somebody else',)))
LONGEST = 300.0


def test_the_steps_are_in_their_order() -> None:
    words = [step.text.split()[2 if step.text.startswith('python') else 3] for step in OWN]
    assert words == [
        'record.launch.py', 'demo.launch.py', 'training.convert', 'training.write',
        'training.inspect_data', 'training.train', 'training.export', 'training.write']
    assert [step.text.split()[2] for step in OTHERS] == [
        'training.write', 'training.inspect_data', 'training.train']


def reader(folder: Path) -> Reader:
    """Make a reader in a folder that looks like a checkout."""
    from dfp_ros.node.ros.domain import free_domain
    (folder / 'config').symlink_to(ROOT / 'config')
    return Reader(folder, free_domain(), LONGEST)


@pytest.mark.slow
def test_from_bags_to_a_dataset_and_back(tmp_path: Path) -> None:
    """What comes back is what was converted."""
    for name in ('rclpy', 'launch_ros', 'torch', 'pyarrow'):
        pytest.importorskip(name)
    said = {}
    with reader(tmp_path) as following:
        for step in OWN:
            said[step.text.split()[2]] = following.follow(step)
    assert re.search(r'small-clone +can train', said['training.inspect_data'])
    with np.load(tmp_path / 'data/demo.npz') as before, np.load(
            tmp_path / 'data/back.npz') as after:
        assert set(after) == set(before)
        for name in set(before) - {'description'}:
            np.testing.assert_array_equal(after[name], before[name], name)
        assert before['terminals'].sum() == 10
    assert (tmp_path / 'runs/lerobot/demo.onnx').is_file()


@pytest.mark.slow
def test_a_dataset_of_somebody_else(tmp_path: Path) -> None:
    """The draft is filled in as the page shows for one joint."""
    for name in ('torch', 'pyarrow'):
        pytest.importorskip(name)
    from testing.learning import lerobot_datasets as so100
    folder = so100.recorded(tmp_path / 'lerobot' / 'so100_pick', [20, 25, 30])
    [shown] = re.findall(r'^```json\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    example: dict[str, Any] = json.loads(shown)

    def fill(content: dict[str, Any]) -> None:
        assert set(content['action_fields'][0]) == set(example)
        assert content['action_fields'][0]['name'] == example['name']
        for field in content['observation_fields']:
            field['unit'] = example['unit']
        for field in content['action_fields']:
            field |= {key: example[key] for key in ('unit', 'low', 'high')}

    with reader(tmp_path) as following:
        draft, inspect, train = OTHERS
        following.follow(draft)
        so100.change_json(folder / 'meta/dfp_ros.json', fill)
        said = following.follow(inspect) + following.follow(train)
    assert 'none in the data: for cloning only' in said
    assert said.count('observation.images.front (video 480 x 640 x 3)') == 2
    assert 'without a successor: 3' in said
