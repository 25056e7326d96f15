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
"""Error messages in one line, and suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import difflib
from itertools import islice
from typing import Any

from dfp_ros.core.text.printable import NAME, printable, quoted, TEXT

# Largest number of names searched for the nearest.
_MANY = 1000


def nearest(word: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    """
    Suggest the nearest known name for an unknown one, or list the known names.

    :param word: The unknown name.
    :param known: The known names.
    """
    known = list(islice(known, _MANY))
    near = near_names(word, known)
    if near:
        return f'did you mean {quoted(near[0])}?'
    return f'known: {", ".join(map(printable, known[:20]))}' + (
        ', ...' if len(known) > 20 else '')


def near_names(
        word: str, known: Iterable[str], count: int = 1, likeness: float = 0.5) -> list[str]:
    """
    Find the names that are most like another, the nearest first.

    :param word: The word that was found.
    :param known: The valid words.
    :param count: Most names.
    :param likeness: Least likeness, from 0 to 1 for the same.
    """
    # Both may come from outside: neither number nor length may cost more than a moment.
    names = [name for name in islice(known, _MANY) if len(name) <= NAME]
    return difflib.get_close_matches(word[:NAME], names, n=count, cutoff=likeness)


def explain(error: Exception) -> str:
    """Format an error; errors of this package explain themselves without their type."""
    known = type(error).__module__.startswith('dfp_ros.')
    text = str(error) if known else f'{type(error).__name__}: {error}'
    # Messages of parsers have several lines, which would be lines of the log without a time.
    return printable(' '.join(text.split('\n')), TEXT)
