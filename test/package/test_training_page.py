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
"""Commands of docs/train-a-policy.md: in order, each finds the data that it needs."""

from __future__ import annotations

import re

import pytest

from testing import ROOT

pytest.importorskip('torch')

from training.collect import parser as collecting
from training.presets import PRESETS

PAGE = ROOT / 'docs' / 'train-a-policy.md'


def commands(module: str) -> list[tuple[int, list[str]]]:
    """List the calls of a module, with their arguments."""
    found = re.finditer(rf'^    .*training\.{module} ([^#`\n]*)', PAGE.read_text(), re.MULTILINE)
    return [(match.start(), match[1].split()) for match in found]


def made(words: list[str]) -> str:
    """Name the data file that a collection makes."""
    asked = collecting().parse_args(words)
    task = f'-task{asked.task}' if asked.kind == 'demo' else ''
    return f'data/{asked.scene}-{asked.kind}{task}-v0.npz'


def test_training_commands_find_their_data() -> None:
    files = [(place, made(words)) for place, words in commands('collect')]
    learning = [*commands('train'), *commands('sweep')]
    assert len(learning) >= 3
    for place, (preset, *words) in learning:
        if '--data' in words:
            continue
        wanted = PRESETS[preset][1].data
        assert any(file == wanted and before < place for before, file in files), (
            f'{preset} needs {wanted}, made before it are {files}')
