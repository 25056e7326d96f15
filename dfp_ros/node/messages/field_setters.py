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
"""Field setters: compiled functions that write the numbers of a command to message fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import re
from typing import Any

from dfp_ros.core.description.commands import CommandEntry, CommandTopic, JOINT_NAMES
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.rotations import COMMAND_ENCODINGS
from dfp_ros.node.messages.introspection import field_type, FLOATS, is_array, WHOLE

#: Sets a message field from all numbers of a command, in the message's units.
Setter = Callable[[list[float]], None]


def joint_names(topic: CommandTopic) -> tuple[str, ...]:
    """
    List the joints of a topic's messages, in their order.

    :raises DescriptionError: If its messages have no list of joint names.
    """
    names = dict.fromkeys(joint for entry in topic.entries for joint in entry.joints)
    if names and topic.type not in JOINT_NAMES:
        first = next(entry for entry in topic.entries if entry.joints)
        raise DescriptionError(
            f'{first.where}: {topic.type} has no list of joint names; use indices')
    return tuple(names)


def by_index(entry: CommandEntry, names: Sequence[str]) -> CommandEntry:
    """Replace the joints of a field by their indices in the message's arrays."""
    indices = tuple(names.index(joint) for joint in entry.joints)
    return replace(entry, indices=indices) if indices else entry


def make_setters(
        message: Any, topic: CommandTopic, entries: Sequence[CommandEntry], type_name: str,
        slices: Mapping[str, slice]) -> list[Setter]:
    """
    Compile one setter for each message field.

    :param message: The message, or the part of it that the entries' paths start from.
    :param topic: Its topic.
    :param entries: The action fields and their message fields.
    :param type_name: The message's type.
    :param slices: Slice of each action field in a command.
    :raises DescriptionError: If a message field does not exist, takes no numbers, is given
        twice, or is an array with missing elements.
    """
    setters: list[Setter] = []
    arrays: dict[str, dict[int, int]] = {}
    kinds: dict[str, str] = {}
    given: set[str] = set()
    for entry in entries:
        require_fields(entry.path, entry.where)
        positions = range(slices[entry.action].start, slices[entry.action].stop)
        if entry.indices:
            kinds[entry.path] = _require_kind(message, type_name, entry, entry.path, array=True)
            array = arrays.setdefault(entry.path, {})
            for index, source in zip(entry.indices, positions, strict=True):
                if index in array:
                    raise DescriptionError(
                        f'{entry.where}: {entry.path}[{index}] is given a second time')
                array[index] = source
            continue
        leaves = [f'{entry.path}.{name}' for name in entry.components] or [entry.path]
        if entry.rotation:
            leaves = [f'{entry.path}.{name}' for name in 'xyzw']
        for leaf in leaves:
            if leaf in given:
                raise DescriptionError(f'{entry.where}: {leaf} is given a second time')
            given.add(leaf)
        whole = [_require_kind(message, type_name, entry, leaf, array=False) for leaf in leaves]
        if entry.rotation:
            setters.append(_rotation_setter(message, entry, positions))
            continue
        for leaf, kind, source in zip(leaves, whole, positions, strict=True):
            setters.append(_number_setter(*parent(message, leaf), source, WHOLE.get(kind)))
    for path, array in arrays.items():
        if sorted(array) != list(range(len(array))):
            missing = min(set(range(max(array))) - set(array))
            raise DescriptionError(
                f'{topic.where}: {path}[{missing}] is given by no field, and must not be guessed')
        _check_size(topic, path, kinds[path], len(array))
        order = [array[index] for index in sorted(array)]
        setters.append(_array_setter(*parent(message, path), order))
    return setters


def require_fields(path: str, where: str) -> None:
    """
    Require a path without elements of arrays: those of a message to be sent are empty.

    :raises DescriptionError: If it has one.
    """
    before, bracket, after = path.partition('[')
    if bracket:
        remedy = (
            f'for a number in an array, give path: {before} with indices: [{after[:-1]}]'
            if after[:-1].isdigit() else 'an array of messages cannot be commanded')
        raise DescriptionError(
            f'{where}: found the path {path!r}, expected names without brackets; {remedy}')


def parent(message: Any, path: str) -> tuple[Any, str]:
    """Split a path into the object that holds its last name, and that name."""
    *parents, name = path.split('.')
    for each in parents:
        message = getattr(message, each)
    return message, name


def _check_size(topic: CommandTopic, path: str, kind: str, found: int) -> None:
    """
    Require the number of elements of an array type, such as ``double[9]``.

    The message does not check it: of a ``double[9]`` with two numbers, seven would be sent from
    uninitialised memory. Bounded sequences, such as ``sequence<double, 3>``, are checked, too.
    """
    fixed, bounded = re.search(r'\[(\d+)\]$', kind), re.search(r', (\d+)>$', kind)
    if fixed and found != int(fixed[1]):
        raise DescriptionError(
            f'{topic.where}: {path} is {kind}, but the fields give {found} numbers, expected '
            f'{fixed[1]}; missing numbers must not be guessed')
    if bounded and found > int(bounded[1]):
        raise DescriptionError(
            f'{topic.where}: {path} is {kind}, but the fields give {found} numbers, expected at '
            f'most {bounded[1]}')


def _require_kind(
        message: Any, type_name: str, entry: CommandEntry, path: str, *, array: bool) -> str:
    """Require that a message field takes a number, or an array of floating-point numbers."""
    kind = field_type(type(message), type_name, path, entry.where)
    if not (is_array(kind, FLOATS) if array else kind in (*FLOATS, *WHOLE)):
        expected = 'an array of floating-point numbers' if array else 'a number'
        raise DescriptionError(
            f'{entry.where}: {path} is {kind}, expected {expected}; use components for the '
            'members of a message, indices or joints for the elements of an array')
    return kind


def _number_setter(
        holder: Any, name: str, source: int, whole: tuple[int, int] | None) -> Setter:
    """Set one number; an integer is rounded, and clipped to the range of its type."""
    if whole is None:
        return lambda numbers: setattr(holder, name, numbers[source])
    low, high = whole
    return lambda numbers: setattr(holder, name, min(max(round(numbers[source]), low), high))


def _array_setter(holder: Any, name: str, order: list[int]) -> Setter:
    """Set one array."""
    return lambda numbers: setattr(holder, name, [numbers[source] for source in order])


def _rotation_setter(message: Any, entry: CommandEntry, positions: range) -> Setter:
    """Set one quaternion."""
    holder, name = parent(message, entry.path)
    quaternion = getattr(holder, name)
    decode = COMMAND_ENCODINGS[entry.rotation].decode

    def set_rotation(numbers: list[float]) -> None:
        quaternion.w, quaternion.x, quaternion.y, quaternion.z = decode(
            numbers[positions.start:positions.stop])
    return set_rotation
