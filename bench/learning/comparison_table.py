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
"""Table of the comparison: success over seeds, by method and number of updates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.learning.cells import MARKS
from bench.learning.methods import METHODS
from training.evaluation.intervals import interval

HEADER = ('policy', 'candidates', *(f'{mark:,}' for mark in MARKS), '95 % interval at the last',
          'processor time', 'open')


def load(folder: Path, task: str) -> list[dict[str, Any]]:
    """Read the figures of a task's cells."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f'{task}.*.json'))]


def markdown(cells: Iterable[dict[str, Any]], seeds: Sequence[int]) -> str:
    """
    Format the table of one task as Markdown.

    :param cells: Figures of the cells.
    :param seeds: Training seeds of the table; those without figures are listed as open.
    """
    lines: list[Sequence[str]] = [HEADER, ['---'] * len(HEADER)]
    found = [cell for cell in cells if cell['seed'] in seeds]
    for method, kind in METHODS.items():
        members = [cell for cell in found if cell['method'] == method]
        counts = sorted({
            int(count) for cell in members for mark in cell['marks'].values()
            for count in mark['candidates']})
        for count in counts or [0]:
            lines.append([kind.title, str(count or ''), *_figures(members, count, seeds)])
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def _figures(
        cells: Sequence[dict[str, Any]], count: int, seeds: Sequence[int]) -> list[str]:
    """Format success by mark, the interval at the last, time and open seeds of one row."""
    columns, last, minutes = [], '', ''
    for mark in map(str, MARKS):
        done = [cell['marks'][mark] for cell in cells if mark in cell['marks']]
        results = [each['candidates'][str(count)] for each in done
                   if str(count) in each['candidates']]
        success = [each['success'] for each in results]
        columns.append(', '.join(f'{100 * each:.0f}' for each in success) + ' %' * bool(success))
        if success:
            low, high = interval(success, sum(each['episodes'] for each in results))
            last = f'{np.mean(success):.0%} ({low:.0%} to {high:.0%})'
            spent = np.mean([each['progress']['cpu_seconds'] for each in done])
            minutes = f'{spent / 60:.0f} min'
    finished = {cell['seed'] for cell in cells if str(MARKS[-1]) in cell['marks']}
    return [*columns, last, minutes, ' '.join(
        str(seed) for seed in seeds if seed not in finished)]
