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
Text from outside, made fit for one line of a log or of diagnostics.

Names in messages, files and on the network may be of any length and have line breaks, terminal
escapes or half characters in them, with which they could forge lines, clear a screen or end a
publisher. Whatever did not come from this package goes through here before anybody reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized

#: Characters of one name, and of a whole text, after which it is cut.
NAME, TEXT = 80, 2000
#: Names of a list that are written out.
FEW = 10
_CUT = '...'


def printable(text: object, limit: int = NAME) -> str:
    r"""
    Escape what is no printable character, such as ``\n`` and ``\x1b``, and cut what is too long.

    :param text: What is to be written.
    :param limit: Characters that the result has at most.
    """
    text = str(text)
    # What escapes make longer is cut again below; what is cut here is never looked at.
    found = text if len(text) <= limit else text[:limit + 1]
    if not found.isprintable():
        found = ''.join(
            each if each.isprintable() else each.encode('unicode_escape').decode('ascii')
            for each in found)
    return found if len(found) <= limit else found[:limit - len(_CUT)] + _CUT


def quoted(name: object, limit: int = NAME) -> str:
    """Quote a name, as ``repr`` does, made printable."""
    found = printable(name, limit)
    return f'"{found}"' if "'" in found else f"'{found}'"


def listed(names: Iterable[object], few: int = FEW) -> str:
    """
    List names, of many only the first.

    :param names: What is to be written; no more of it is looked at than is written.
    :param few: How many of them are written out.
    """
    shown: list[str] = []
    for name in names:
        if len(shown) == few:
            more = f' and {len(names) - few} more' if isinstance(names, Sized) else ' and more'
            return ', '.join(shown) + more
        shown.append(printable(name))
    return ', '.join(shown)
