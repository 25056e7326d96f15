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
"""docs/my-robot-my-policy.md, followed word for word."""

from __future__ import annotations

from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import shlex
import signal
import subprocess
import time
from typing import Any

import numpy as np
import pytest
import yaml

from testing import ROOT

PAGE = (ROOT / 'docs' / 'my-robot-my-policy.md').read_text()
MARK = 'FILL_IN'
# Of ten episodes; measured: nine.
LEAST_SOLVED = 4


@dataclass(frozen=True)
class Step:
    """
    Step of the page.

    :param text: A command, or the content of a file.
    :param file: Name of the file; empty for a command.
    :param is_beside: Whether the command has a separate terminal.
    :param ends: Whether it ends by itself.
    :param wait: Output at which the reader continues; empty for none.
    """

    text: str
    file: str = ''
    is_beside: bool = False
    ends: bool = False
    wait: str = ''


def steps(section: str) -> list[Step]:
    """Read the steps of one robot's part of the page."""
    found: list[Step] = []
    before = ''
    for block in re.split(r'\n\n+', section):
        if (yaml_text := re.fullmatch(r'```yaml\n(.*?)\n```', block, re.DOTALL)):
            found.append(Step(yaml_text[1], re.findall(r'`(my_\w+\.yaml)`', before)[-1]))
        elif block.startswith('    '):
            lines = re.sub(r' \\\n\s*', ' ', block).splitlines()
            found += [Step(
                line.strip(), is_beside='terminal of its own' in before,
                ends='ends by itself' in before) for line in lines]
        else:
            before = block
            if (said := re.search(r'^When it says `(\w+)`', block, re.MULTILINE)):
                index = max(i for i, step in enumerate(found) if step.is_beside)
                found[index] = Step(
                    found[index].text, '', True, found[index].ends, said[1])
    return found


SECTIONS = {
    title: re.sub(r'\n(```yaml)', r'\n\n\1', text)
    for title, text in re.findall(
        r'^## (An arm|A base)\n(.*?)(?=^## )', PAGE, re.MULTILINE | re.DOTALL)}


def blocks(section: str) -> str:
    """Remove empty lines from YAML blocks, so that each is one block."""
    return re.sub(
        r'```yaml\n.*?\n```', lambda found: re.sub(r'\n\n+', '\n', found[0]), section,
        flags=re.DOTALL)


ARM, BASE = (steps(blocks(SECTIONS[title])) for title in ('An arm', 'A base'))


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


def same_but_marks(scaffold: Any, page: Any, where: str) -> None:
    """Check that a description is the scaffold with its marks filled in."""
    if scaffold == MARK:
        return
    if isinstance(scaffold, dict):
        assert set(page) == set(scaffold), where
        for key, value in scaffold.items():
            if key == 'max_age':
                # It follows from the rate that was measured.
                assert value >= page[key], where
            elif key == 'position' and isinstance(value, dict) and value['low'] != MARK:
                # What the robot can do is kept to what it is to do.
                assert np.all(np.array(page[key]['low']) >= value['low']), where
                assert np.all(np.array(page[key]['high']) <= value['high']), where
            else:
                same_but_marks(value, page[key], f'{where}.{key}')
    elif isinstance(scaffold, list):
        assert len(page) == len(scaffold), where
        for i, value in enumerate(scaffold):
            same_but_marks(value, page[i], f'{where}[{i}]')
    else:
        assert page == scaffold, where


class Reader:
    """
    Reader that follows the page in a separate folder.

    :param folder: The folder.
    :param domain: ROS domain.
    """

    def __init__(self, folder: Path, domain: int) -> None:
        """Make the folder look like a checkout."""
        self._folder = folder
        (folder / 'examples').symlink_to(ROOT / 'examples')
        paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
        self._environment = {
            **os.environ, 'ROS_DOMAIN_ID': str(domain),
            'PYTHONPATH': ':'.join(filter(None, paths)),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_LOG_DIR': str(folder / 'log'),
            'PYTHONUNBUFFERED': '1'}
        self._beside: list[tuple[Step, subprocess.Popen[bytes], Path]] = []

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        # The last first, each with all that it started.
        for _, process, _ in reversed(self._beside):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def follow(self, step: Step) -> str:
        """Run a command as a shell would; return its output once it has ended."""
        if step.is_beside:
            path = self._folder / f'terminal_{len(self._beside)}.log'
            with path.open('wb') as output:
                process = subprocess.Popen(
                    shlex.split(step.text), cwd=self._folder, env=self._environment,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    start_new_session=True)
            self._beside.append((step, process, path))
            self._wait(lambda: step.wait in path.read_text(errors='replace'), path)
            return ''
        ended = subprocess.run(
            shlex.split(step.text), cwd=self._folder, env=self._environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=300)
        # A machine with other work may not keep the rate, and stand still for a moment; anything
        # else has to be right.
        failures = [
            line for line in ended.stdout.splitlines() if line.startswith('FAIL  ')]
        is_slow = 'preflight' in step.text and failures and all(
            re.match(r'FAIL  (rate|stale|source .*no message arrived for)', line)
            for line in failures)
        assert ended.returncode == 0 or is_slow, f'{step.text}\n{ended.stdout}'
        for beside, process, path in self._beside:
            if beside.ends:
                self._wait(lambda process=process: process.poll() is not None, path)
        return ended.stdout

    def _wait(self, condition: Any, path: Path) -> None:
        """Wait for the effect of another terminal."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, path.read_text(errors='replace')
            time.sleep(0.1)


def follow(robot: list[Step], folder: Path) -> dict[str, Any]:
    """Follow all steps; return the evaluation."""
    from dfp_ros.node.ros.domain import free_domain
    with Reader(folder, free_domain()) as reader:
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
    found: dict[str, Any] = json.loads(next(folder.glob('runs/*/on_robot.json')).read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize('robot', [
    pytest.param(ARM, id='arm'), pytest.param(BASE, id='base', marks=pytest.mark.long)])
def test_followed_word_for_word(robot: list[Step], tmp_path: Path) -> None:
    """From the first topic to a policy that succeeds more often than not."""
    for name in ('rclpy', 'launch_ros', 'torch'):
        pytest.importorskip(name)
    found = follow(robot, tmp_path)
    assert found['complete']
    assert len(found['episodes']) == 10
    assert found['success']['solved'] >= LEAST_SOLVED, found
