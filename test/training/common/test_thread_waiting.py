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
"""PyTorch's threads on processors that other processes keep busy."""

import os
import subprocess
import sys

import pytest

# Element-wise work in two threads, each part of microseconds, as between two products;
# a busy process a processor, as nice as this one, beside it.
_WORK = """
import os, subprocess, sys, time
import training
import torch

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(2)]
try:
    torch.set_num_threads(2)
    numbers = torch.zeros(200_000)
    numbers += 1
    start = time.process_time()
    for _ in range(5):
        numbers += 1
    print(1e3 * (time.process_time() - start) / 5)
finally:
    for process in busy:
        process.kill()
        process.wait()
"""


def processor_ms(**environment: str) -> float:
    """Return the processor time of an operation in ms."""
    kept = {
        name: value for name, value in os.environ.items()
        if name not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    return float(subprocess.run(
        [sys.executable, '-c', _WORK], env={**kept, **environment}, check=True, timeout=120,
        stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason='needs two processors')
def test_threads_do_not_spin_for_a_processor_that_is_taken():
    assert processor_ms() < 0.5 * processor_ms(GOMP_SPINCOUNT='300000')
