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
"""Commands whose output nobody reads."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('torch')

from testing import ROOT
from testing.learning.transitions import drawn
from training.data.transitions.stored import save


@pytest.mark.parametrize('command', [
    ['training.inspect_data', 'data.npz'], ['training.sign', 'keygen', 'key'],
    ['training.write', 'data.npz', '--format', 'lerobot', '--out', 'written']])
def test_commands_end_in_order_without_a_reader(command: list[str], tmp_path: Path) -> None:
    """Their result is what counts, not who reads that they are done."""
    save(tmp_path / 'data.npz', drawn([5, 5]))
    ended = subprocess.run(
        ['bash', '-c', 'set -o pipefail; { sleep 0.5; "$0" -m "$@"; } | true', sys.executable,
         *command], cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, '')
