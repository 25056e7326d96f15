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
"""YAML text of a scaffolded description: flow style, marks and comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import re
from typing import Any

import yaml

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.text.printable import printable

_COLUMN = 40
_LONGEST_NAME = 40
_FLOW_WIDTH = 90


def flow(value: Any) -> str:
    """Format a value as flow YAML; :data:`MARK` is written without quotes."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, width=10**9, allow_unicode=False, sort_keys=False)
    return text.removesuffix('...\n').strip()


def line(indent: int, text: str, comment: str = '') -> list[str]:
    """
    Format a line with a comment beside it or, if that gets too long, above it.

    :param indent: Number of spaces before it.
    :param text: YAML.
    :param comment: Comment; quoted names are made printable.
    """
    text = ' ' * indent + text
    if not comment:
        return [text]
    comment = '# ' + ''.join(letter if letter.isprintable() else '?' for letter in comment)
    beside = text.ljust(_COLUMN) + '  ' + comment
    return [beside] if len(beside) <= _FLOW_WIDTH + 9 else [' ' * indent + comment, text]


def pair(indent: int, key: str, value: Any, comment: str = '') -> list[str]:
    """Format a key and its value; see :func:`line`."""
    return line(indent, f'{key}: {flow(value)}', comment)


def unique(wanted: str, taken: Iterable[str]) -> str:
    """Make a unique name from the parts of a topic's name."""
    name = re.sub(r'\W+', '_', wanted).strip('_')[:_LONGEST_NAME] or 'topic'
    names, number = set(taken), 2
    found = name
    while found in names:
        found, number = f'{name}_{number}', number + 1
    return found


def listing(names: Sequence[str], most: int = 6) -> str:
    """List the first names for a comment."""
    shown = ', '.join(printable(name, 60) for name in names[:most])
    return shown + (f' and {len(names) - most} more' if len(names) > most else '')


__all__ = ['MARK', 'flow', 'line', 'listing', 'pair', 'unique']
