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
"""Lines for a person, without a reader."""

from __future__ import annotations

import ast
from pathlib import Path
import subprocess
import sys

from testing import ROOT

_PROGRAM = """
from dfp_ros.core.text.say import say
say('first'), say('second', to_errors=True), say('third')
open({done!r}, 'w').close()
"""


def test_a_lost_reader_ends_no_program(tmp_path: Path) -> None:
    """A closed pipe and a full disk, of output and of errors."""
    for redirection in ('1>/dev/full', '2>/dev/full', '1>/dev/full 2>&1', '| true', '2>&1 | true'):
        done = tmp_path / f'done{len(redirection)}'
        program = tmp_path / 'program.py'
        program.write_text(_PROGRAM.format(done=str(done)))
        ended = subprocess.run(
            ['bash', '-c', f'set -o pipefail; {{ sleep 0.5; "$0" "$1"; }} {redirection}',
             sys.executable, str(program)], cwd=ROOT, env={'PYTHONPATH': str(ROOT)},
            capture_output=True, text=True, timeout=60)
        assert done.exists(), redirection
        assert 'Traceback' not in ended.stderr, redirection
        if 'true' in redirection:
            assert (ended.returncode, ended.stderr.replace('second\n', '')) == (0, '')
        done.unlink()


def test_no_program_ends_because_its_output_cannot_be_written() -> None:
    """
    `print` raises OSError then, in the middle of a training or of the result of a replay.

    The output of `describe` is a file for whoever redirects it: it handles the error itself.
    """
    found = {
        file.relative_to(ROOT).as_posix() for folder in ('dfp_ros', 'training')
        for file in (ROOT / folder).rglob('*.py')
        for call in ast.walk(ast.parse(file.read_text(encoding='utf-8')))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == 'print'}
    assert found == {'dfp_ros/core/text/say.py', 'dfp_ros/tools/describe/main.py'}
