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
"""Data of learning's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.learning.transitions import drawn
from training.data.transitions import stored


@pytest.fixture(scope='session')
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Random transitions of a robot without a simulator, whose rewards nobody computes.

    A run on them, with the environment ``none``, starts in seconds less than one that makes
    environments and evaluates in them.
    """
    file = tmp_path_factory.mktemp('recorded') / 'data.npz'
    stored.save(file, drawn([30] * 4))
    return file
