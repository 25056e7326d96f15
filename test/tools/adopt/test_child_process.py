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
"""The process that a foreign graph runs in."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dfp_ros.tools.adopt import main
from testing import ROOT

_RUN = """
import os, resource, signal, sys
from pathlib import Path
from dfp_ros.tools.adopt.child_process import run_in_child
status = run_in_child(lambda: {work})
print('the parent goes on')
sys.exit(status)
"""


def run(work: str) -> tuple[int, str, str]:
    """Run a work in a child of a process; return its status and what it printed."""
    found = subprocess.run(
        [sys.executable, '-c', _RUN.format(work=work)], cwd=ROOT, text=True, capture_output=True,
        check=False, timeout=60)
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize('end', ['os.kill(os.getpid(), signal.SIGKILL)', 'os.abort()'])
def test_what_ends_it_ends_nothing_else(end: str) -> None:
    """It is said, and the exit status is that of a policy that cannot be adopted."""
    status, said, error = run(end)
    assert (status, said) == (2, 'the parent goes on\n')
    assert 'adopt: the process that runs the foreign graph was ended by SIG' in error
    assert 'memory was short, or the graph makes ONNX Runtime crash' in error


def test_it_takes_no_more_than_half_of_the_memory() -> None:
    """More is an error of the graph."""
    status, said, error = run('bytearray(sum(resource.getrlimit(resource.RLIMIT_AS)[:1]))')
    assert (status, said) == (2, 'the parent goes on\n')
    assert error.endswith('MemoryError\n')


def test_its_status_and_its_output_are_those_of_the_program() -> None:
    """Nothing is printed twice."""
    status, said, error = run("print('work') or int(Path('/proc/self/oom_score_adj').read_text())")
    assert (status, said, error) == (1000 % 256, 'work\nthe parent goes on\n', '')


def test_the_program_runs_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call by another program does not: it may have threads."""
    monkeypatch.setattr(main, 'run_in_child', lambda work: 7)
    monkeypatch.setattr(sys, 'argv', ['adopt', 'none.onnx'])
    assert main.main() == 7
    assert main.main(['none.onnx']) == 2
