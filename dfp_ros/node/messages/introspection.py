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
"""Introspection of message types: installed types and the types of their fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
import importlib
import re
from typing import Any

from ament_index_python import get_resource, get_resources

from dfp_ros.core.description.field_path import parse_path
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.text.errors import nearest

FLOATS = ('float', 'double')
#: Integer types, with the smallest and the largest number of each.
WHOLE = {
    **{f'int{bits}': (-2**(bits - 1), 2**(bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f'uint{bits}': (0, 2**bits - 1) for bits in (8, 16, 32, 64)}}
NUMBERS = (*FLOATS, 'boolean', *WHOLE)

# sequence<double>, sequence<double, 5> and double[6].
_ARRAY = re.compile(
    r'sequence<(?P<sequence>[^,>]+)(, (?P<bound>\d+))?>|(?P<element>[^\[]+)\[(?P<size>\d+)\]')


def find_message_type(name: str, where: str) -> Any:
    """
    Find the class of a message type.

    :param name: For example ``sensor_msgs/msg/JointState``.
    :param where: File, line and key, for the message of an error.
    :raises DescriptionError: If no such type is installed.
    """
    known = _known_message_types()
    if name not in known:
        raise DescriptionError(
            f'{where}: found the message type {name!r}, which is not installed; '
            f'{nearest(name, known)}')
    package, _, member = name.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), member)


@cache
def _known_message_types() -> tuple[str, ...]:
    """List all installed message types."""
    return tuple(
        f'{package}/{line.strip()[:-len(".msg")]}'
        for package in get_resources('rosidl_interfaces')
        for line in get_resource('rosidl_interfaces', package)[0].splitlines()
        if line.startswith('msg/') and line.strip().endswith('.msg'))


def field_type(message_type: Any, type_name: str, path: str, where: str) -> str:
    """
    Follow a dotted path through nested message types.

    :param message_type: Class of the message.
    :param type_name: Its name, for example ``sensor_msgs/msg/JointState``.
    :param path: The path, for example ``pose.position``.
    :param where: File, line and key, for the message of an error.
    :return: The type of the field, for example ``sequence<double>``.
    :raises DescriptionError: If there is no such field, or no field can have that path.
    """
    kind = type_name
    try:
        steps = parse_path(path)
    except ValueError as error:
        raise DescriptionError(f'{where}: {error}') from error
    for step in steps:
        if isinstance(step, int):
            kind = _element(kind, step, path, where)
            continue
        if '/' not in kind or _ARRAY.fullmatch(kind):
            raise DescriptionError(
                f'{where}: found the path {path!r}, but {kind} before {step!r} has no fields')
        if kind != type_name:
            package, member = kind.split('/')[0], kind.split('/')[-1]
            message_type = getattr(importlib.import_module(f'{package}.msg'), member)
        fields = message_type.get_fields_and_field_types()
        if step not in fields:
            raise DescriptionError(
                f'{where}: found the path {path!r}, but {kind} has no field {step!r}; '
                f'{nearest(step, fields)}')
        kind = fields[step]
    return str(kind)


def _element(kind: str, index: int, path: str, where: str) -> str:
    """Return the type of an array's elements."""
    array = _ARRAY.fullmatch(kind)
    if array is None:
        raise DescriptionError(
            f'{where}: found the path {path!r}, but {kind} before [{index}] is no array')
    size = array['size'] or array['bound']
    if size and index >= int(size):
        raise DescriptionError(
            f'{where}: found the path {path!r}, but {kind} has no element {index}; they are '
            'counted from 0')
    return array['sequence'] or array['element']


def is_array(kind: str, numbers: Sequence[str]) -> bool:
    """Return whether a type is an array of numbers: ``sequence<double>``, ``double[6]``."""
    return any(kind.startswith((f'sequence<{number}', f'{number}[')) for number in numbers)
