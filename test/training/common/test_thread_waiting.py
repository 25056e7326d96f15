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
"""How PyTorch's threads wait for each other."""

import os
import subprocess
import sys


def found(**environment: str) -> str:
    """Return the number of turns that a waiting thread spins in a program of training."""
    kept = {
        name: value for name, value in os.environ.items()
        if name not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    return subprocess.run(
        [sys.executable, '-c', "import training, os; print(os.environ.get('GOMP_SPINCOUNT'))"],
        env={**kept, **environment}, check=True, timeout=60, stdout=subprocess.PIPE,
        text=True).stdout.strip()


def test_threads_do_not_spin_for_a_processor_that_is_taken() -> None:
    """Unless the user has said how they wait."""
    assert found() == '1000'
    assert found(GOMP_SPINCOUNT='5') == '5'
    assert found(OMP_WAIT_POLICY='active') == 'None'
