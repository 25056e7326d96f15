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
"""Strict reading of YAML: every value has its file, line and key, for error messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import math
import os
from pathlib import Path
import re
from typing import Any

import yaml

from dfp_ros.core.description.unfilled import explain_unfilled, find_unfilled
from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.files.bounded_yaml import compose_yaml, convert_node, YamlError
from dfp_ros.core.files.missing import explain_missing
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.text.printable import listed, printable, quoted

#: Bounds of numbers, whole numbers and texts: larger ones are mistakes, or an attack.
LARGEST, LARGEST_WHOLE, MOST, LONGEST_TEXT = 1e12, 2**64, 100_000, 1000
_OCTAL = re.compile(r'([-+]?)(0[0-7]+)')


class DescriptionError(ValueError):
    """A description file is missing, malformed or contradictory; the message has file and line."""


class Section:
    """
    One value of a YAML file, with its file, line and key.

    :param node: The parsed node.
    :param file: File that it was read from.
    :param key: Keys and indices that lead to it, for example ``observation[2].path``.
    """

    def __init__(self, node: yaml.Node, file: Path, key: str = '') -> None:
        """Store the location."""
        self._node = node
        self._file = file
        self._key = key

    @property
    def where(self) -> str:
        """File, line and key."""
        line = self._node.start_mark.line + 1
        return f'{self._file}:{line}: {self._key}' if self._key else f'{self._file}:{line}'

    def error(self, message: str) -> DescriptionError:
        """Make an error that points here."""
        return DescriptionError(f'{self.where}: {message}')

    def entries(self) -> dict[str, Section]:
        """Read the value as a mapping with keys of any name."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f'found {self._kind()}, expected keys with values')
        found: dict[str, Section] = {}
        for key_node, value_node in self._node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise Section(key_node, self._file, self._key).error(
                    'found a list or keys in the place of a key')
            key = str(key_node.value)
            name = printable(key)
            section = Section(value_node, self._file, f'{self._key}.{name}' if self._key else name)
            if key in found:
                raise section.error('found this key a second time; keep one of the two')
            found[key] = section
        return found

    def mapping(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Section]:
        """
        Read the value as a mapping with known keys.

        :param required: Keys that must be there.
        :param optional: Keys that may be there.
        :raises DescriptionError: At a key that is unknown, missing or there twice.
        """
        found = self.entries()
        known = (*required, *optional)
        for key, section in found.items():
            if key not in known:
                raise section.error(f'found an unknown key; {nearest(key, known)}')
        for key in required:
            if key not in found:
                raise self.error(f'the key {key!r} is missing; found {listed(found) or "nothing"}')
        return found

    def at_most_one(self, keys: Mapping[str, Section], exclusive: Sequence[str]) -> None:
        """
        Refuse keys that contradict each other.

        :param keys: Result of :meth:`mapping` here.
        :param exclusive: Keys that exclude each other.
        """
        found = [key for key in exclusive if key in keys]
        if len(found) > 1:
            raise self.error(f'found {" and ".join(found)}, expected at most one of them')

    def items(self) -> list[Section]:
        """Read the value as a list that is not empty."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f'found {self._kind()}, expected a list')
        if not self._node.value:
            raise self.error('found an empty list, expected at least one item')
        return [
            Section(node, self._file, f'{self._key}[{i}]')
            for i, node in enumerate(self._node.value)]

    def text(self) -> str:
        """Read the value as text."""
        value = self._scalar()
        if not isinstance(value, str) or not value:
            raise self.error(
                f'found {value!r}, expected text (in quotes, if it looks like a number)')
        if not value.isprintable():
            raise self.error(f'found {quoted(value)}, expected printable characters')
        return value

    @property
    def is_text(self) -> bool:
        """Whether the value is text, not a number, a list or keys."""
        return isinstance(self._node, yaml.ScalarNode) and isinstance(self._scalar(), str)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is keys with values."""
        return isinstance(self._node, yaml.MappingNode)

    def scalar(self) -> str | bool | int | float:
        """Read the value as text, as a truth value, or as a finite number."""
        value = self._scalar()
        if isinstance(value, bool | int):
            return value
        return value if isinstance(value, str) and value else (
            self.text() if isinstance(value, str) else self.number())

    def choice(self, known: Iterable[str]) -> str:
        """Read the value as one of some known words."""
        value, known = self.text(), list(known)
        if value not in known:
            raise self.error(f'found {value!r}; {nearest(value, known)}')
        return value

    def number(self) -> float:
        """Read the value as a finite number."""
        value = self._scalar()
        if isinstance(value, str):
            raise self.error(
                f'found the text {value!r}, expected a number (YAML 1.1 wants a point before an '
                'exponent, and a sign in it: 1.0e-3, 1.0e+3)')
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f'found {value!r}, expected a number')
        if not math.isfinite(value):
            raise self.error(f'found {value!r}, expected a finite number')
        if abs(value) > LARGEST:
            raise self.error(f'found {value:g}, expected at most {LARGEST:g} either way')
        return float(value)

    def factors(self, size: int) -> tuple[float, ...]:
        """Read one factor for all numbers, or one for each; none of them removes a number."""
        values = self.numbers(size)
        for value in values:
            if abs(value) < 1 / LARGEST:
                raise self.error(
                    f'found {value:g}, which makes every number {0 if not value else "almost 0"}; '
                    f'expected at least {1 / LARGEST:g} either way')
        return values

    def positive(self, most: float = LARGEST) -> float:
        """Read the value as a number above zero that is not too large."""
        value = self.number()
        if value <= 0:
            raise self.error(f'found {shown(value)}, expected a number above 0')
        if value > most:
            raise self.error(f'found {value:g}, expected at most {most:g}')
        return value

    def truth(self) -> bool:
        """Read the value as true or false."""
        value = self._scalar()
        if not isinstance(value, bool):
            raise self.error(f'found {value!r}, expected true or false')
        return value

    def index(self) -> int:
        """Read the value as an index, counted from 0."""
        value = self._scalar()
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f'found {value!r}, expected an index: 0, 1, 2, ...')
        if value > MOST:
            raise self.error(f'found {value}, expected an index up to {MOST}')
        return value

    def count(self, least: int = 1, most: int = MOST) -> int:
        """Read the value as a whole number within bounds."""
        value = self._scalar()
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.error(f'found {value!r}, expected a whole number from {least} on')
        if value > most:
            raise self.error(f'found {value}, expected at most {most}')
        return value

    def texts(self) -> tuple[str, ...]:
        """Read the value as a list of different texts."""
        return tuple(self._distinct([(item, item.text()) for item in self.items()]))

    def indices(self) -> tuple[int, ...]:
        """Read the value as a list of different indices."""
        return tuple(self._distinct([(item, item.index()) for item in self.items()]))

    def numbers(self, size: int | None = None) -> tuple[float, ...]:
        """Read the value as one number for all, or as a list of ``size`` (any, by default)."""
        if isinstance(self._node, yaml.ScalarNode):
            return (self.number(),) * (size or 1)
        values = tuple(item.number() for item in self.items())
        if size is not None and len(values) != size:
            raise self.error(
                f'found {len(values)} numbers, expected {size}, or one for all of them')
        return values

    def _distinct(self, values: list[tuple[Section, Any]]) -> list[Any]:
        """Refuse duplicates in a list."""
        seen: set[Any] = set()
        for section, value in values:
            if value in seen:
                raise section.error(f'found {value!r} a second time in the list')
            seen.add(value)
        return [value for _, value in values]

    def _scalar(self) -> Any:
        """Convert a scalar as YAML does."""
        if not isinstance(self._node, yaml.ScalarNode):
            raise self.error(f'found {self._kind()}, expected a single value')
        try:
            value = convert_node(self._node)
        except ValueError as error:
            raise self.error(
                f'found {quoted(self._node.value)}, which is no value: {printable(error, 200)}'
            ) from error
        if fault := _base_fault(self._node.value, value):
            raise self.error(fault)
        if isinstance(value, str | bytes) and len(value) > LONGEST_TEXT:
            raise self.error(
                f'found a text of {len(value)} characters, expected at most {LONGEST_TEXT}')
        if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
            raise self.error(
                f'found the number {printable(self._node.value)}, expected at most '
                f'{LARGEST_WHOLE} either way')
        return value

    def _kind(self) -> str:
        """Name the kind of the value, for messages."""
        if isinstance(self._node, yaml.MappingNode):
            return 'keys with values'
        return 'a list' if isinstance(self._node, yaml.SequenceNode) else quoted(self._node.value)


def _base_fault(text: str, value: Any) -> str:
    """
    Explain that YAML reads a number to another base than ten; empty if it does not.

    Zeros in front, as in a column of numbers, make it octal, and 1:30 is 90. What begins with 0x
    or 0b is meant so.

    :param text: The number as it is written.
    :param value: The number that YAML reads.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ''
    found = f'found {quoted(text)}, which YAML 1.1 reads as {value}, to base'
    if ':' in text:
        return f'{found} 60; write {value}, or quotes around a text'
    octal = _OCTAL.fullmatch(text.replace('_', ''))
    if octal and int(octal[2]) != abs(value):
        return f'{found} 8; write {octal[1]}{octal[2].lstrip("0")}, or quotes around a text'
    return ''


def read_text(path: str | os.PathLike[str]) -> bytes:
    """
    Read a short file.

    :raises DescriptionError: If it is missing or cannot be read.
    """
    file = Path(path)
    try:
        return read_regular(file, LARGEST_TEXT)
    except FileNotFoundError as error:
        raise DescriptionError(
            f'{file}: {explain_missing(file, (".yaml", ".yml"))}') from error
    except OSError as error:
        raise DescriptionError(f'{file}: cannot be read: {error.strerror}') from error


def read_yaml(path: str | os.PathLike[str], content: bytes | None = None) -> Section:
    """
    Read a YAML file.

    :param path: The file.
    :param content: Its content, if it has been read already.
    :raises DescriptionError: If it is missing, unreadable, not YAML, or empty.
    """
    file = Path(path)
    if content is None:
        content = read_text(file)
    try:
        node = compose_yaml(content.decode())
    except YamlError as error:
        line = '' if error.line is None else f':{error.line}'
        raise DescriptionError(f'{file}{line}: {error}') from error
    except UnicodeDecodeError as error:
        hint = (
            '; this looks like a policy file, which is the parameter policy'
            if file.suffix == '.onnx' else '')
        raise DescriptionError(f'{file}: found text that is not YAML: {error}{hint}') from error
    if node is None:
        raise DescriptionError(f'{file}: found an empty file')
    unfilled = find_unfilled(node)
    if unfilled:
        raise DescriptionError(f'{file}:{explain_unfilled(unfilled)}')
    return Section(node, file)
