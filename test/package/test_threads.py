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
"""Threads that a process does not need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNT = """
import os
import {package}
before = len(os.listdir('/proc/self/task'))
import numpy
print(len(os.listdir('/proc/self/task')) - before)
"""


@pytest.mark.parametrize('package', ['dfp_ros.sim', 'training'])
def test_numpy_has_no_threads_that_spin_beside_a_simulation(package: str) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith('_NUM_THREADS')}
    counted = subprocess.run(
        [sys.executable, '-c', COUNT.format(package=package)], env=environment, check=True,
        capture_output=True, text=True)
    assert int(counted.stdout) == 0
