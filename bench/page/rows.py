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
"""Selection of benchmark rows, and Markdown tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Results = Mapping[str, dict[str, Any] | None]
#: Points of a distribution in tables: headings and keys.
POINTS = (('p50', 'p50_us'), ('p99', 'p99_us'), ('p99.9', 'p99.9_us'), ('maximum', 'max_us'))


def rows_of(results: Results, name: str) -> list[Row]:
    """Return the rows of a benchmark; none if it was not run."""
    found = results[name]
    return [] if found is None else found['rows']


def find(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """Return the first row of a condition; None if there is none."""
    return next((row for row in rows if wanted.items() <= row.items()), None)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """
    Format a table.

    :param heads: Headings of the columns.
    :param rows: Cells.
    :param numbers: Index of the first column with numbers, which are right-aligned.
    """
    rule = ['---' if i < numbers else '---:' for i in range(len(heads))]
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in (heads, rule, *rows))


def number(value: float) -> str:
    """Format a number with three digits, or with thousands separators."""
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def figures(found: Row | None) -> list[str]:
    """Format the four points of a distribution."""
    return ['' if found is None else number(found[key]) for _, key in POINTS]
