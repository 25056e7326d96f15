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
"""Update benchmark: its output can be parsed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from testing import ROOT

pytest.importorskip('torch')

from training.learning.trainer.replay_buffer import ReplayBuffer

# An update a turn.
ARGUMENTS = ['--updates', '1', '--threads', '1', '--replay', '1000']


def test_the_last_line_has_the_figures(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark works without a compiler, and prints that."""
    from torch._inductor import config

    from bench import update
    # As the variable CXX does in a process that has not imported it yet.
    monkeypatch.setattr(config.cpp, 'cxx', (None, '/no/such/compiler'))
    monkeypatch.setattr(update, 'PRODUCTS', 4)
    assert update.main(ARGUMENTS) == 0
    printed = capsys.readouterr().out
    assert 'found no working compiler' in printed
    figures = json.loads(printed.splitlines()[-1])
    assert 'offline_compiled_ms' not in figures
    for phase in ('offline', 'online'):
        work = figures[f'{phase}_work_gflop']
        for precision in ('', 'bf16_'):
            assert figures[f'{phase}_{precision}ms'] > 0
            rate = figures[f'{phase}_{precision}rate_gflops']
            assert figures[f'{phase}_{precision}bound_ms'] == pytest.approx(1e3 * work / rate)
        assert figures[f'{phase}_bf16_share'] == pytest.approx(
            figures[f'{phase}_bf16_ms'] / figures[f'{phase}_ms'])
    # 46 observations twice, 5 actions, reward, mask and terminal: 100 numbers of 4 bytes.
    assert figures['replay_megabytes'] == pytest.approx(0.4)
    # By hand, in products of a row and the weights (28 + 25 + 3 layers + 25 or 1 outputs):
    # a top-K pool of 16 adds 256 x 16 rows of the anchor, and as many of both critics.
    middle = 3 * 512 * 512
    rows, states = 256 * 16, 256
    actor = 2 * (rows * (25 * 512 + middle + 512 * 25) + states * 28 * 512)
    critics = 2 * 2 * (rows * (25 * 512 + middle + 512) + states * 28 * 512)
    added = 1e9 * (figures['online_work_gflop'] - figures['offline_work_gflop'])
    assert added == pytest.approx(actor + critics, rel=0.01)


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which(os.environ.get('CXX', 'g++')) is None, reason='no C++ compiler is here')
def test_compiled_updates_are_measured_too() -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'bench.update', *ARGUMENTS], cwd=ROOT, capture_output=True,
        text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    for case in ('offline', 'online', 'cpu_preset', 'small_clone'):
        assert figures[f'{case}_compiled_ms'] > 0
        assert figures[f'{case}_bf16_compiled_ms'] > 0
        assert figures[f'{case}_compile_seconds'] > 0


def test_a_million_transitions_of_cube_triple() -> None:
    """Under 1 GB."""
    from bench.update import transitions, TRIPLE
    buffer = ReplayBuffer(transitions(1000, TRIPLE), 5, 0.99, capacity=1_000_000)
    assert sum(column.nbytes for column in buffer._columns.values()) == 400_000_000
