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
"""Tests of dfp_ros.node.process.start."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

from testing import ROOT

# Says which numbers the next files have, here and in a child.
PROGRAM = """
import os, subprocess, sys
from dfp_ros.node.process.start import begin
begin()
with open(sys.argv[1], 'w') as file:
    child = 'import os, sys; sys.exit(os.open(os.devnull, os.O_RDONLY))'
    file.write(f'{file.fileno()} {subprocess.run([sys.executable, "-c", child]).returncode}')
"""


@pytest.mark.parametrize('closed', [(1, 2), (0, 1, 2), (0,), ()])
def test_closed_outputs(closed: tuple[int, ...], tmp_path: Path) -> None:
    """No file gets the number of an output that was closed, and so the log."""
    def close() -> None:
        for number in closed:
            os.close(number)

    found = tmp_path / 'found'
    ended = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(found)], preexec_fn=close, cwd=ROOT, timeout=60,
        env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=False)
    assert ended.returncode == 0
    assert min(map(int, found.read_text().split())) > 2


def test_a_working_folder_that_was_deleted(tmp_path: Path) -> None:
    """It is named in a line."""
    folder = tmp_path / 'gone'
    folder.mkdir()

    def leave() -> None:
        os.chdir(folder)
        folder.rmdir()

    ended = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(tmp_path / 'found')], preexec_fn=leave, timeout=60,
        env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert 'working folder' in ended.stderr
    assert 'Traceback' not in ended.stderr
