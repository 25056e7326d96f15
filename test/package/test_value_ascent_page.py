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
"""docs/value-ascent.md names settings, columns and warnings that exist."""

from __future__ import annotations

from dataclasses import fields
import inspect
import re

import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.trainer import diagnosis  # noqa: E402

PAGE = (ROOT / 'docs' / 'value-ascent.md').read_text()


def first_cells(section: str) -> list[str]:
    """Names in backticks in the first column of a section's table."""
    text = PAGE.split(f'## {section}\n')[1].split('\n## ')[0]
    rows = re.findall(r'^\| (.*?) \|', text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r'`(\w+)`', row)]


def test_settings_exist() -> None:
    named = first_cells('Settings')
    assert len(named) > 8
    assert set(named) <= {field.name for field in fields(TrainConfig)}


def test_columns_are_logged() -> None:
    config = TrainConfig(hidden=(8, 8), batch_size=8, pool=4, top=2)
    agent = Agent(config, 3, 2, Normaliser(torch.zeros(3), torch.ones(3)))
    batch = Batch(
        torch.randn(8, 3), torch.rand(8, 2), torch.randn(8, 3), -torch.ones(8), torch.ones(8),
        torch.ones(8))
    logged = agent.update(batch) | agent.look(batch)
    named = first_cells('What to watch')
    assert len(named) > 8
    assert set(named) <= logged.keys()


def test_warnings_are_those_of_the_code() -> None:
    said = set(re.findall(r'^\* \*(.+?)\*:', PAGE, re.MULTILINE))
    found = set(re.findall(r"found\['(\w+)'\]", inspect.getsource(diagnosis)))
    assert said == {name.replace('_', ' ') for name in found}
