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
"""A policy that never answers is loaded in a command: a signal ends it."""

from pathlib import Path
import signal
import subprocess
import sys

import pytest

from testing import ROOT
from testing.policies.endless_policy import write_endless_policy
from testing.policies.small_policy import cube_spec

PROGRAM = """
import sys
from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.execution import ExecutionSettings
with ended_by_interrupts():
    print('loads', flush=True)
    OnnxPolicy(sys.argv[1], ExecutionSettings(unbounded_operators='Loop'))
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_load_that_hangs(number: int, tmp_path: Path) -> None:
    """ONNX Runtime never returns, so that Python raises nothing."""
    path = write_endless_policy(tmp_path / 'endless.onnx', cube_spec())
    with subprocess.Popen(
            [sys.executable, '-c', PROGRAM, str(path)], cwd=ROOT, stdout=subprocess.PIPE,
            text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == 'loads\n'
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(2)
            program.send_signal(number)
            assert program.wait(10) == -number
        finally:
            program.kill()
