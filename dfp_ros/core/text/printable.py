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
"""
Escaping and truncation of untrusted text for logs and diagnostics.

Names in messages, files and on the network may have any length, line breaks, terminal escapes or
lone surrogates, which could forge log lines, clear a terminal or make a publisher fail. All text
from outside this package is escaped here before it is logged or published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized

#: Lengths at which a name and a whole text are truncated, in characters.
NAME, TEXT = 80, 2000
#: Names of a list that are shown.
FEW = 10
_CUT = '...'


def printable(text: object, limit: int = NAME) -> str:
    r"""
    Escape characters that are not printable, such as ``\n`` and ``\x1b``, and truncate long text.

    :param text: The text.
    :param limit: Largest length of the result.
    """
    text = str(text)
    # Truncated before, to bound the work, and after, because escapes are longer.
    found = text if len(text) <= limit else text[:limit + 1]
    if not found.isprintable():
        found = ''.join(
            each if each.isprintable() else each.encode('unicode_escape').decode('ascii')
            for each in found)
    return found if len(found) <= limit else found[:limit - len(_CUT)] + _CUT


def quoted(name: object, limit: int = NAME) -> str:
    """Quote a name as ``repr`` does, escaped and truncated."""
    found = printable(name, limit)
    return f'"{found}"' if "'" in found else f"'{found}'"


def listed(names: Iterable[object], few: int = FEW) -> str:
    """
    List names; of many only the first.

    :param names: The names; no more of them are read than are shown.
    :param few: Number of names that are shown.
    """
    shown: list[str] = []
    for name in names:
        if len(shown) == few:
            more = f' and {len(names) - few} more' if isinstance(names, Sized) else ' and more'
            return ', '.join(shown) + more
        shown.append(printable(name))
    return ', '.join(shown)
