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
"""Reader that follows the steps of a page of the documentation word for word."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import re
import shlex
import signal
import subprocess
import time
from typing import Any

import numpy as np

from dfp_ros.core.description.unfilled import MARK
from testing import ROOT


@dataclass(frozen=True)
class Step:
    """
    Step of the page.

    :param text: A command, or the content of a file.
    :param file: Name of the file; empty for a command.
    :param is_beside: Whether the command has a separate terminal.
    :param ends: Whether it ends by itself.
    :param wait: Output at which the reader continues; empty for none.
    :param is_after: Whether the reader first waits for what ends by itself.
    """

    text: str
    file: str = ''
    is_beside: bool = False
    ends: bool = False
    wait: str = ''
    is_after: bool = False


def steps(section: str) -> list[Step]:
    """Read the steps of a part of a page, in their order."""
    section = re.sub(r'\n(```yaml)', r'\n\n\1', section)
    # A YAML block is one block, with its empty lines removed.
    section = re.sub(
        r'```yaml\n.*?\n```', lambda found: re.sub(r'\n\n+', '\n', found[0]), section,
        flags=re.DOTALL)
    found: list[Step] = []
    before = ''
    for block in re.split(r'\n\n+', section):
        if (yaml_text := re.fullmatch(r'```yaml\n(.*?)\n```', block, re.DOTALL)):
            found.append(Step(yaml_text[1], re.findall(r'`(my_[\w.]+\.yaml)`', before)[-1]))
        elif block.startswith('    '):
            lines = re.sub(r' \\\n\s*', ' ', block).splitlines()
            found += [Step(
                line.strip(), is_beside='terminal of its own' in before,
                ends='ends by itself' in before, is_after='has ended' in before)
                for line in lines]
        else:
            before = block
            if (said := re.search(r'^When it says `(\w+)`', block, re.MULTILINE)):
                index = max(i for i, step in enumerate(found) if step.is_beside)
                found[index] = Step(
                    found[index].text, '', True, found[index].ends, said[1])
    return found


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
    :param patience: Longest time in s to wait for another terminal.
    """

    def __init__(self, folder: Path, domain: int, patience: float = 60.0) -> None:
        """Make the folder look like a checkout."""
        self._folder, self._patience = folder, patience
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
        self.end_terminals(0)

    def end_terminals(self, left: int) -> None:
        """
        End what runs in terminals, the last first, each with all that it started.

        :param left: Number of the first terminals, which go on.
        """
        while len(self._beside) > left:
            _, process, _ = self._beside.pop()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def follow(self, step: Step, status: int = 0) -> str:
        """
        Run a command as a shell would.

        :param step: The command.
        :param status: Its exit status.
        :return: Its output, once it has ended.
        """
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
        if step.is_after:
            self._wait_for_ends()
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
        assert ended.returncode == status or is_slow, f'{step.text}\n{ended.stdout}'
        self._wait_for_ends()
        return ended.stdout

    def await_text(self, text: str, path: Path) -> None:
        """Wait until a terminal says something; its output is in ``terminal_N.log``."""
        self._wait(lambda: text in path.read_text(errors='replace'), path)

    def await_match(self, pattern: str, path: Path, begin: int) -> None:
        """Wait until a terminal says what fits a pattern, after the ``begin``-th character."""
        self._wait(lambda: re.compile(pattern).search(
            path.read_text(errors='replace'), begin) is not None, path)

    def _wait_for_ends(self) -> None:
        """Wait for the terminals whose commands end by themselves."""
        for beside, process, path in self._beside:
            if beside.ends:
                self._wait(lambda process=process: process.poll() is not None, path)

    def _wait(self, condition: Any, path: Path) -> None:
        """Wait for the effect of another terminal."""
        deadline = time.monotonic() + self._patience
        while not condition():
            assert time.monotonic() < deadline, path.read_text(errors='replace')
            time.sleep(0.1)
