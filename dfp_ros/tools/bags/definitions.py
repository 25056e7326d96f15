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
Definitions of message types as a recording carries them, made safe to use.

rosbags writes Python code from a definition and runs it, so names have to be names; and it reads
as many elements as a definition says, so these have to be there.
"""

from __future__ import annotations

from functools import cache, lru_cache
import re
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

from dfp_ros.core.text.printable import printable, quoted
from dfp_ros.tools.bags.mcap_records import LARGEST

# Bytes of a definition; the largest in use have some 40,000.
_LONGEST = 1 << 17
_LINE = '=' * 80 + '\n'
_TYPE = re.compile(r'[A-Za-z]\w*(/[A-Za-z]\w*){1,2}', re.ASCII)
_FIELD = re.compile(r'[A-Za-z]\w*', re.ASCII)
_SIZES = {
    'bool': 1, 'byte': 1, 'char': 1, 'octet': 1, 'wchar': 2, 'string': 4, 'wstring': 4,
    **{f'{kind}{bits}': bits // 8 for kind in ('int', 'uint') for bits in (8, 16, 32, 64)},
    'float32': 4, 'float64': 8, 'float128': 16}


class DefinitionError(ValueError):
    """A definition cannot be used; the message says why, in a relative clause."""


@cache
def known_types() -> Typestore:
    """Return the types of ROS 2 itself, for recordings without definitions."""
    return get_typestore(Stores.ROS2_JAZZY)


def add_definition(store: Typestore, kind: str, language: str, text: str) -> None:
    """
    Add a message type to those that can be read.

    :param store: Where it is added to.
    :param kind: Its name, such as ``sensor_msgs/msg/JointState``.
    :param language: ``ros2msg``, or ``ros2idl``; without a definition, the type is looked up among
        those of ROS 2.
    :param text: Its definition, with those of the types that it is made of.
    :raises DefinitionError: Where that cannot be.
    """
    if not _TYPE.fullmatch(kind):
        raise DefinitionError('which is not the name of a type')
    if not text and kind not in known_types().fielddefs:
        raise DefinitionError(
            'which is unknown, and the recording has no definition of it; convert it with `ros2 '
            'bag convert` on a machine that has the type, to storage mcap')
    try:
        store.register(_read(kind, language, text))
    except (Exception, RecursionError) as error:  # a parser fails as a text may be wrong
        raise DefinitionError(
            f'whose definition cannot be used: {printable(error, 300)}') from error


@lru_cache(maxsize=100)
def _read(kind: str, language: str, text: str) -> dict[str, Any]:
    """Read a definition; the parser takes its time, and bags have the same ones."""
    if len(text) > _LONGEST:
        raise DefinitionError(f'found {len(text)} characters, expected at most {_LONGEST}')
    found = _parse(kind, language, text) if text else _needed(kind)
    _check(kind, found)
    return found


def is_usual(store: Typestore, kind: str) -> bool:
    """Tell whether a type is as ROS 2 has it, or one that ROS 2 itself does not have."""
    ours, theirs = known_types().fielddefs.get(kind), store.fielddefs.get(kind)
    return ours is None or theirs is None or list(ours[1]) == list(theirs[1])


def _parse(kind: str, language: str, text: str) -> dict[str, Any]:
    """Parse a definition; constants do not matter for reading."""
    found: dict[str, Any] = {}
    if language == 'ros2msg':
        found.update(get_types_from_msg(text, kind))
    elif language in ('ros2idl', 'omgidl'):
        # rosbag2 puts the IDL together from several files.
        parts = [part.split('\n', 1)[1] for part in text.split(_LINE)[1:]] if text.startswith(
            f'{_LINE}IDL: ') else [text]
        for part in parts:
            found.update(get_types_from_idl(part))
    else:
        raise DefinitionError(
            f'found a definition in {quoted(language)}, expected ros2msg or ros2idl')
    return {name: ([], fields) for name, (_, fields) in found.items()}


def _needed(kind: str) -> dict[str, Any]:
    """Collect a type of ROS 2 and those that it is made of."""
    found: dict[str, Any] = {}
    wanted = [kind]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = ([], known_types().fielddefs[name][1])
            wanted += [inner for _, field in found[name][1] for inner in _inner(field)]
    return found


def _inner(field: Any) -> list[str]:
    """Name the type of a field where that is a message too."""
    node, content = field
    if node == Nodetype.NAME:
        return [content]
    return _inner(content[0]) if node in (Nodetype.ARRAY, Nodetype.SEQUENCE) else []


def _check(kind: str, found: dict[str, Any]) -> None:
    """See that names are names, and that no number of elements takes no bytes."""
    if kind not in found:
        raise DefinitionError(f'it does not define {kind}')
    for name, (_, fields) in found.items():
        if not _TYPE.fullmatch(name):
            raise DefinitionError(f'found {quoted(name)}, which is not the name of a type')
        for field, _ in fields:
            if not _FIELD.fullmatch(field):
                raise DefinitionError(
                    f'{name}: found {quoted(field)}, which is not the name of a field')
    sizes: dict[str, int] = {}
    for name in found:
        _least(name, found, sizes, ())


def _least(
        name: str, found: dict[str, Any], sizes: dict[str, int], within: tuple[str, ...]) -> int:
    """Count the bytes that a message of a type has at least."""
    if name in sizes:
        return sizes[name]
    if name in within or len(within) > 50:
        raise DefinitionError(f'{quoted(name)} is made of itself')
    if name not in found:
        raise DefinitionError(f'{within[-1]} is made of {quoted(name)}, which is not defined')

    def least(field: Any) -> int:
        node, content = field
        if node == Nodetype.NAME:
            return _least(content, found, sizes, (*within, name))
        if node == Nodetype.BASE:
            if content[0] not in _SIZES:
                raise DefinitionError(f'{name}: found {quoted(content[0])}, which is no type')
            return _SIZES[content[0]]
        inner, count = content
        size = least(inner)
        if size == 0 or (node == Nodetype.ARRAY and size * count > LARGEST):
            raise DefinitionError(
                f'{name}: found an array of {count if node == Nodetype.ARRAY else "any number of"}'
                f' elements of {size} bytes or more, which no message can have')
        return size * count if node == Nodetype.ARRAY else 4

    sizes[name] = sum(least(field) for _, field in found[name][1])
    return sizes[name]
