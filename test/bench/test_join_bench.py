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
"""Join benchmark: a measurement of each kind of node."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

import pytest

from testing import ROOT


def test_processes_join_each_kind(tmp_path: Path) -> None:
    """Whether there is a gap is chance; that ticks were seen around each join is not."""
    pytest.importorskip('rclpy')
    pytest.importorskip('tqdm')
    file, page = tmp_path / 'join.json', tmp_path / 'page.md'
    page.write_text('before\n<!-- join begins -->\nold\n<!-- join ends -->\nafter\n')
    done = subprocess.run(
        [sys.executable, '-m', 'bench.join', '--joins', '1', '--json', str(file),
         '--docs', str(page)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200)
    assert done.returncode == 0, done.stdout
    rows = json.loads(file.read_text())['rows']
    assert [row['kind'] for row in rows] == [
        'LOCALHOST, as shipped', 'SUBNET, as shipped', 'LOCALHOST, shared memory',
        'SUBNET, shared memory']
    assert all(len(row['longest_ticks']) == 1 for row in rows)
    assert all(gap >= 0.9 for row in rows for gap in row['longest_ticks'])
    text = page.read_text()
    assert text.startswith('before')
    assert text.endswith('after\n')
    assert 'old' not in text
    assert all(f'| {row["kind"]} | 1 |' in text for row in rows)
