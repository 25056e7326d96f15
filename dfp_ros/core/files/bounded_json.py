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
"""Parsing of untrusted JSON: bounded length, depth and size of numbers."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from dfp_ros.core.text.printable import printable

#: Longest text in characters, deepest nesting, and digits of the longest number.
LONGEST, DEEPEST, DIGITS = 1 << 20, 40, 40
# Strings are skipped, so that brackets in them do not count; an unterminated one ends the text.
_NESTING = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[{\]}]', re.DOTALL)


class JsonError(ValueError):
    """A text is not JSON, or exceeds the bounds; the message says how."""


def read_json(text: str | bytes, longest: int = LONGEST, infinite: bool = False) -> Any:
    """
    Parse untrusted JSON in a time bounded by its length.

    :param text: The text, UTF-8 if it is bytes.
    :param longest: Largest length in characters.
    :param infinite: Whether the words ``NaN``, ``Infinity`` and ``-Infinity`` are numbers.
    :raises JsonError: If the text is longer, nests deeper than :data:`DEEPEST`, has a number with
        more than :data:`DIGITS` digits, a number that is not finite, a key twice, or is not JSON.
    """
    if len(text) > longest:
        raise JsonError(f'found {len(text)} characters, expected at most {longest}')
    try:
        if isinstance(text, bytes):
            text = text.decode('utf-8')
        _require_flat(text)
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_float=_number,
            parse_constant=float if infinite else _refuse_constant)
    except JsonError:
        raise
    except RecursionError as error:
        raise JsonError(f'found nesting deeper than {DEEPEST}') from error
    except ValueError as error:
        raise JsonError(f'found text that is not JSON ({printable(error, 200)})') from error


def _require_flat(text: str) -> None:
    """Refuse nesting that is too deep, before the parser recurses into it."""
    depth = 0
    for found in _NESTING.finditer(text):
        mark = found.group()
        if mark in '[{':
            depth += 1
            if depth > DEEPEST:
                raise JsonError(
                    f'found nesting deeper than {DEEPEST}, at character {found.start()}')
        elif mark in ']}':
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate keys: parsers differ in the one that they use."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f'found the key {printable(key)!r} twice')
            seen.add(key)
    return found


def _whole(text: str) -> int:
    """Read a whole number."""
    if len(text) > DIGITS:
        raise JsonError(f'found a number of {len(text)} digits, expected at most {DIGITS}')
    return int(text)


def _number(text: str) -> float:
    """Read a number with a fraction or an exponent."""
    value = float(text)
    if not math.isfinite(value):
        raise JsonError(f'found the number {printable(text)}, expected a finite one')
    return value


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and infinity, which JSON does not have."""
    raise JsonError(f'found {text}, expected a finite number')
