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
Message definitions carried by a recording, validated before use.

rosbags generates Python code from a definition and runs it, so every name must be an identifier;
and it reads as many elements as an array declares, so every element must take at least a byte.
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

# Largest size of a definition in bytes; the largest in use have some 40,000.
_LONGEST = 1 << 17
_LINE = '=' * 80 + '\n'
_TYPE = re.compile(r'[A-Za-z]\w*(/[A-Za-z]\w*){1,2}', re.ASCII)
_FIELD = re.compile(r'[A-Za-z]\w*', re.ASCII)
_SIZES = {
    'bool': 1, 'byte': 1, 'char': 1, 'octet': 1, 'wchar': 2, 'string': 4, 'wstring': 4,
    **{f'{kind}{bits}': bits // 8 for kind in ('int', 'uint') for bits in (8, 16, 32, 64)},
    'float32': 4, 'float64': 8, 'float128': 16}


class DefinitionError(ValueError):
    """A definition cannot be used; the message continues "found the type ...,"."""


@cache
def known_types() -> Typestore:
    """Return the message types of ROS 2 itself, for recordings without definitions."""
    return get_typestore(Stores.ROS2_JAZZY)


def add_definition(store: Typestore, kind: str, language: str, text: str) -> None:
    """
    Add a message type to a type store.

    :param store: The type store.
    :param kind: Name of the type, such as ``sensor_msgs/msg/JointState``.
    :param language: ``ros2msg`` or ``ros2idl``; if there is no definition, the type is looked up
        among those of ROS 2.
    :param text: Its definition, including the nested types.
    :raises DefinitionError: If the definition is missing or invalid.
    """
    if not _TYPE.fullmatch(kind):
        raise DefinitionError('which is not the name of a type')
    if not text and kind not in known_types().fielddefs:
        raise DefinitionError(
            'which is unknown, and the recording has no definition of it; convert it with `ros2 '
            'bag convert` on a machine that has the type, to storage mcap')
    try:
        store.register(_read(kind, language, text))
    except (Exception, RecursionError) as error:  # malformed text raises any kind of error
        raise DefinitionError(
            f'whose definition cannot be used: {printable(error, 300)}') from error


@lru_cache(maxsize=100)
def _read(kind: str, language: str, text: str) -> dict[str, Any]:
    """Parse a definition; cached, because parsing is slow and bags repeat definitions."""
    if len(text) > _LONGEST:
        raise DefinitionError(f'found {len(text)} characters, expected at most {_LONGEST}')
    found = _parse(kind, language, text) if text else _needed(kind)
    _check(kind, found)
    return found


def is_usual(store: Typestore, kind: str) -> bool:
    """Tell whether a type equals that of ROS 2, or is not part of ROS 2 at all."""
    ours, theirs = known_types().fielddefs.get(kind), store.fielddefs.get(kind)
    return ours is None or theirs is None or list(ours[1]) == list(theirs[1])


def _parse(kind: str, language: str, text: str) -> dict[str, Any]:
    """Parse a definition; constants are dropped, because reading does not need them."""
    found: dict[str, Any] = {}
    if language == 'ros2msg':
        found.update(get_types_from_msg(text, kind))
    elif language in ('ros2idl', 'omgidl'):
        # rosbag2 concatenates the IDL of several files.
        parts = [part.split('\n', 1)[1] for part in text.split(_LINE)[1:]] if text.startswith(
            f'{_LINE}IDL: ') else [text]
        for part in parts:
            found.update(get_types_from_idl(part))
    else:
        raise DefinitionError(
            f'found a definition in {quoted(language)}, expected ros2msg or ros2idl')
    return {name: ([], fields) for name, (_, fields) in found.items()}


def _needed(kind: str) -> dict[str, Any]:
    """Collect a ROS 2 type and its nested types."""
    found: dict[str, Any] = {}
    wanted = [kind]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = ([], known_types().fielddefs[name][1])
            wanted += [inner for _, field in found[name][1] for inner in _inner(field)]
    return found


def _inner(field: Any) -> list[str]:
    """Return the nested message type of a field, if it has one."""
    node, content = field
    if node == Nodetype.NAME:
        return [content]
    return _inner(content[0]) if node in (Nodetype.ARRAY, Nodetype.SEQUENCE) else []


def _check(kind: str, found: dict[str, Any]) -> None:
    """Check that names are identifiers, and that array elements are not of zero size."""
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
    """Return the smallest size in bytes of a serialised message of a type."""
    if name in sizes:
        return sizes[name]
    if name in within or len(within) > 50:
        raise DefinitionError(f'{quoted(name)} contains itself')
    if name not in found:
        raise DefinitionError(f'{within[-1]} contains {quoted(name)}, which is not defined')

    def least(field: Any) -> int:
        node, content = field
        if node == Nodetype.NAME:
            return _least(content, found, sizes, (*within, name))
        if node == Nodetype.BASE:
            if content[0] not in _SIZES:
                raise DefinitionError(f'{name}: found {quoted(content[0])}, which is not a type')
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
