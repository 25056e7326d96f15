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
"""docs/my-robot-my-policy.md and docs/learning-on-the-robot.md, followed word for word."""

from __future__ import annotations

from collections.abc import Iterator
import csv
import json
from pathlib import Path
import re
import shlex
from typing import Any

import pytest
import yaml

from dfp_ros.core.description.unfilled import MARK
from testing import ROOT
from testing.processes.page_reader import Reader, same_but_marks, Step, steps

PAGE = (ROOT / 'docs' / 'my-robot-my-policy.md').read_text()
LEARNING_PAGE = (ROOT / 'docs' / 'learning-on-the-robot.md').read_text()
# Of ten episodes; measured: nine.
LEAST_SOLVED = 4

SECTIONS = dict(re.findall(
    r'^## (An arm|A base)\n(.*?)(?=^## )', PAGE, re.MULTILINE | re.DOTALL))
ARM, BASE = steps(SECTIONS['An arm']), steps(SECTIONS['A base'])
# The first step for which the robot is not needed.
TRAINING = next(i for i, step in enumerate(ARM) if 'training.train' in step.text)
[LEARNING_TEXT] = re.findall(
    r'^## On your own robot\n(.*?)(?=^## )', LEARNING_PAGE, re.MULTILINE | re.DOTALL)
LEARNING = steps(LEARNING_TEXT)
# Longest wait in s for what ends by itself.
LONGEST = 300.0


@pytest.mark.parametrize('robot', [ARM, BASE])
def test_documented_commands_exist(robot: list[Step]) -> None:
    """Executables, launch files, modules and scripts, in the order of the work."""
    executables = re.findall(r"'(\w+) = dfp_ros", (ROOT / 'setup.py').read_text())
    words = [shlex.split(step.text) for step in robot if not step.file]
    for word in words:
        if word[:2] == ['python', '-m']:
            assert (ROOT / word[2].replace('.', '/')).with_suffix('.py').is_file(), word
        elif word[0] == 'python':
            assert (ROOT / word[1]).is_file(), word
        else:
            assert word[:3] in (['ros2', 'run', 'dfp_ros'], ['ros2', 'launch', 'dfp_ros']), word
            assert word[3] in executables or (ROOT / 'launch' / word[3]).is_file(), word
    done = ' '.join(step.text for step in robot)
    places = [done.index(name) for name in (
        'describe', 'record.launch', 'teleoperate', 'convert', 'inspect', 'training.train',
        'training.export', 'preflight', 'policy.launch', 'evaluate_on_robot')]
    assert places == sorted(places)


@pytest.mark.parametrize('robot', [ARM, BASE])
def test_descriptions_are_taken(robot: list[Step], tmp_path: Path) -> None:
    """The node's parser accepts the descriptions."""
    from dfp_ros.core.description.robot import load_robot_description
    file, = (step for step in robot if step.file)
    (tmp_path / file.file).write_text(file.text)
    load_robot_description(tmp_path / file.file)


def follow(robot: list[Step], folder: Path, reader: Reader) -> None:
    """Follow all steps."""
    for step in robot:
        if not step.file:
            reader.follow(step)
            continue
        text = (folder / step.file).read_text()
        scaffold = yaml.safe_load(text)
        page = yaml.safe_load(step.text)
        if quoted := re.search(rf'^{step.file}:(\d+): .*\(line (\d+)\)$', PAGE, re.MULTILINE):
            marked = [i for i, line in enumerate(text.splitlines(), 1)
                      if MARK in line and not line.startswith('#')]
            assert marked == [int(quoted[1]), int(quoted[2])]
        for part in ('robot', 'sources', 'commands'):
            same_but_marks(scaffold[part], page[part], part)
        names = [field['name'] for field in scaffold['observation']]
        assert {field['name'] for field in page['observation']} <= set(names)
        (folder / step.file).write_text(step.text)


@pytest.fixture(name='recorded', scope='module')
def recorded_arm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Reader]]:
    """Follow the page up to the arm's data; the arm goes on."""
    for name in ('rclpy', 'launch_ros', 'torch'):
        pytest.importorskip(name)
    from dfp_ros.node.ros.domain import free_domain
    folder = tmp_path_factory.mktemp('arm')
    with Reader(folder, free_domain(), LONGEST) as reader:
        follow(ARM[:TRAINING], folder, reader)
        yield folder, reader


def require_solved(folder: Path) -> None:
    """Require that the evaluation on the robot is complete, and its success."""
    found: dict[str, Any] = json.loads(next(folder.glob('runs/*/on_robot.json')).read_text())
    assert found['complete']
    assert len(found['episodes']) == 10
    assert found['success']['solved'] >= LEAST_SOLVED, found


@pytest.mark.slow
def test_the_arm_followed_word_for_word(recorded: tuple[Path, Reader]) -> None:
    """From the first topic to a policy that succeeds more often than not."""
    folder, reader = recorded
    follow(ARM[TRAINING:], folder, reader)
    require_solved(folder)


@pytest.mark.long
def test_the_base_followed_word_for_word(tmp_path: Path) -> None:
    """The same for a robot without a URDF."""
    for name in ('rclpy', 'launch_ros', 'torch'):
        pytest.importorskip(name)
    from dfp_ros.node.ros.domain import free_domain
    with Reader(tmp_path, free_domain()) as reader:
        follow(BASE, tmp_path, reader)
    require_solved(tmp_path)


@pytest.mark.slow
def test_learning_on_the_arm_followed_word_for_word(recorded: tuple[Path, Reader]) -> None:
    """A person shows and corrects; the learner learns from it, and swaps policies."""
    folder, reader = recorded
    # Only the arm goes on.
    reader.end_terminals(1)
    for step in LEARNING:
        if step.file:
            with (folder / step.file).open('a') as file:
                file.write(f'\n{step.text}\n')
        else:
            reader.follow(step)
    learned = folder / 'runs' / 'scara_learn' / 'robot'
    result = json.loads((learned / 'learner.json').read_text())
    assert result['episodes'] == 10, result
    assert result['updates'] > 0, result
    assert result['swaps'] > 0, result
    with (learned / 'episodes.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row['success']) for row in rows) >= LEAST_SOLVED, rows
    # The two that the person showed, at least.
    assert len(list((learned / 'demonstrations').glob('*.npz'))) >= 2
