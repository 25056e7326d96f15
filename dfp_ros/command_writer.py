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
"""From commands to the messages of a topic."""

from __future__ import annotations

from collections.abc import Callable
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message

from dfp_ros.command_description import CommandEntry, CommandTopic
from dfp_ros.message_types import field_type, find_message_type, FLOATS, is_array
from dfp_ros.spec import PolicySpec
from dfp_ros.yaml_section import DescriptionError


class CommandWriter:
    """
    Puts commands into the messages of one topic.

    :param topic: The topic.
    :param spec: The policy's specification, which says where in an action its fields are.
    :raises DescriptionError: Where the message type or a message field does not exist, takes no
        floating-point numbers, is given twice, or is an array of which a part is left out; or
        where a message of zeros cannot be sent.
    """

    def __init__(self, topic: CommandTopic, spec: PolicySpec) -> None:
        """Make the message, and look up what goes where."""
        self.message_type = find_message_type(topic.type, topic.where)
        self._message = self.message_type()
        self._header = getattr(self._message, 'header', None)
        if self._header is not None:
            if not topic.frame_id:
                raise DescriptionError(
                    f"{topic.where}: the key 'frame_id' is missing; {topic.type} has a header")
            self._header.frame_id = topic.frame_id
        start, places = 0, {}
        for member in spec.action:
            places[member.name] = range(start, start + member.size)
            start += member.size
        self._setters = _setters(self._message, topic, places)
        try:
            # Whatever would fail later, with the robot moving, fails now.
            serialize_message(self.write(np.zeros(spec.action_size), 0))
        except Exception as error:
            raise DescriptionError(
                f'{topic.where}: a {topic.type} of zeros cannot be sent: '
                f'{type(error).__name__}: {error}') from error

    def write(self, command: NDArray[np.float64], stamp: int) -> Any:
        """
        Fill in the message, which is the same object every time.

        :param command: Shape (act_dim,), SI units.
        :param stamp: Time for the header, in ns.
        """
        if self._header is not None:
            self._header.stamp.sec, self._header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        numbers = command.tolist()
        for setter in self._setters:
            setter(numbers)
        return self._message


def _setters(
        message: Any, topic: CommandTopic, places: dict[str, range]
) -> list[Callable[[list[float]], None]]:
    """Compile one function a message field: it takes the whole command."""
    setters: list[Callable[[list[float]], None]] = []
    arrays: dict[str, dict[int, int]] = {}
    kinds: dict[str, str] = {}
    given: set[str] = set()
    for entry in topic.entries:
        place = places[entry.action]
        if entry.indices:
            kinds[entry.path] = _require_kind(message, topic, entry, entry.path, array=True)
            array = arrays.setdefault(entry.path, {})
            for index, source in zip(entry.indices, place, strict=True):
                if index in array:
                    raise DescriptionError(
                        f'{entry.where}: {entry.path}[{index}] is given a second time')
                array[index] = source
            continue
        leaves = [f'{entry.path}.{name}' for name in entry.components] or [entry.path]
        for leaf, source in zip(leaves, place, strict=True):
            _require_kind(message, topic, entry, leaf, array=False)
            if leaf in given:
                raise DescriptionError(f'{entry.where}: {leaf} is given a second time')
            given.add(leaf)
            setters.append(_number_setter(*_parent(message, leaf), source))
    for path, array in arrays.items():
        if sorted(array) != list(range(len(array))):
            missing = min(set(range(max(array))) - set(array))
            raise DescriptionError(
                f'{topic.where}: {path}[{missing}] is given by no field, and must not be guessed')
        _check_size(topic, path, kinds[path], len(array))
        order = [array[index] for index in sorted(array)]
        setters.append(_array_setter(*_parent(message, path), order))
    return setters


def _check_size(topic: CommandTopic, path: str, kind: str, found: int) -> None:
    """
    See that an array has as many numbers as ``double[9]`` or ``sequence<double, 3>`` want.

    Nobody else does: of ``double[9]`` with two numbers, seven are sent from memory at random.
    """
    fixed, bounded = re.search(r'\[(\d+)\]$', kind), re.search(r', (\d+)>$', kind)
    if fixed and found != int(fixed[1]):
        raise DescriptionError(
            f'{topic.where}: {path} is {kind}, but the fields give {found} numbers, expected '
            f'{fixed[1]}; what is left out must not be guessed')
    if bounded and found > int(bounded[1]):
        raise DescriptionError(
            f'{topic.where}: {path} is {kind}, but the fields give {found} numbers, expected at '
            f'most {bounded[1]}')


def _require_kind(
        message: Any, topic: CommandTopic, entry: CommandEntry, path: str, *, array: bool) -> str:
    """See that a message field takes a floating-point number, or an array of them."""
    kind = field_type(type(message), topic.type, path, entry.where)
    if not (is_array(kind, FLOATS) if array else kind in FLOATS):
        expected = 'an array of floating-point numbers' if array else 'a floating-point number'
        raise DescriptionError(
            f'{entry.where}: {path} is {kind}, expected {expected}; use components for the '
            'members of a message, indices for the elements of an array')
    return kind


def _parent(message: Any, path: str) -> tuple[Any, str]:
    """Split a path into the object that holds its last name, and that name."""
    *parents, name = path.split('.')
    for parent in parents:
        message = getattr(message, parent)
    return message, name


def _number_setter(holder: Any, name: str, source: int) -> Callable[[list[float]], None]:
    """Set one number."""
    return lambda numbers: setattr(holder, name, numbers[source])


def _array_setter(holder: Any, name: str, order: list[int]) -> Callable[[list[float]], None]:
    """Set one array."""
    return lambda numbers: setattr(holder, name, [numbers[source] for source in order])
