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
"""Tables and code spans in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def code(text: object) -> str:
    """Format a value as a code span that may stand in a table; empty text stays empty."""
    shown = str(text)
    if not shown:
        return ''
    ticks = '``' if '`' in shown else '`'
    pad = ' ' if '`' in shown else ''
    return f'{ticks}{pad}{shown}{pad}{ticks}'.replace('|', '\\|')


def cell(text: str) -> str:
    """Format text for one cell of a table."""
    return ' '.join(text.split()).replace('|', '\\|').replace('``', '`')


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    Format a table.

    :param heads: Heads of its columns.
    :param rows: Its cells, already Markdown.
    """
    lines = ['| ' + ' | '.join(heads) + ' |', '| ' + ' | '.join('---' for _ in heads) + ' |']
    lines += ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join(lines)
