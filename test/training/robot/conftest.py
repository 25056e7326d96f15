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
"""A clone, for all tests that learn from it on a robot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope='session')
def clone(demonstrations: Path, once: Any) -> Path:
    """Make a clone, and return its policy file."""
    from testing.processes.robot_learning import make_clone
    return once('clone', lambda folder: make_clone(demonstrations, folder / 'run')) / (
        'run') / 'policy.onnx'
