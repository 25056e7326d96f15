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
"""Policies that never answer, and are not found out before they run."""

from __future__ import annotations

from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from bench.common.process import busy_seconds
from testing import ROOT
from testing.policies.endless_policy import write_endless_policy
from testing.policies.small_policy import cube_spec

pytest.importorskip('torch')

# As if the operator were one that the check of the graph does not know.
PROGRAM = """
from pathlib import Path
import sys
from dfp_ros.core.policy import onnx_policy
onnx_policy.require_ending = lambda *_: None
path, out = map(Path, sys.argv[1:])
{imports}
print('loads', flush=True)
{call}
"""


def await_work(program: subprocess.Popen, seconds: float) -> None:
    """Wait until a program that does not end has taken so much more of a processor."""
    def taken() -> float:
        assert program.poll() is None
        return busy_seconds(program.pid)

    begin, until = taken(), time.monotonic() + 120
    while taken() < begin + seconds:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(('imports', 'call'), [
    ('from training.onnx_export.precision import store', "store(path, out, 'fp16', 'name')"),
    ('from training.precision_effect import main', 'main([str(path), "--episodes", "1"])'),
    ('from training.export import main', 'main([str(path), "--out", str(out)])'),
    ('from training.evaluate import main', 'main([str(path), "--episodes", "1"])'),
    ('from bench.envelope import measure', 'measure(path, 1, 0, 1)'),
], ids=['store', 'precision_effect', 'export', 'evaluate', 'envelope'])
def test_ctrl_c_ends_a_command_whose_policy_hangs(
        tmp_path: Path, imports: str, call: str) -> None:
    """ONNX Runtime never returns, so that Python raises nothing."""
    path = write_endless_policy(tmp_path / 'endless.onnx', cube_spec())
    with subprocess.Popen(
            [sys.executable, '-c', PROGRAM.format(imports=imports, call=call), str(path),
             str(tmp_path / 'out.onnx')], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == 'loads\n'
            # A policy that ends takes a tenth of that to load.
            await_work(program, 1.0)
            program.send_signal(signal.SIGINT)
            assert program.wait(10) == -signal.SIGINT
        finally:
            program.kill()
    assert not (tmp_path / 'out.onnx').exists()
