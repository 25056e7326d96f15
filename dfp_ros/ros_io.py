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
"""Between ROS messages and plain data: message types, field paths, quality of service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
import importlib
import re
from typing import Any

from ament_index_python import get_resource, get_resources
import numpy as np
from numpy.typing import NDArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message

from dfp_ros.observation import Sample
from dfp_ros.robot_description import (
    CommandEntry,
    CommandTopic,
    DescriptionError,
    ObservationEntry,
    RobotDescription,
    Source,
)
from dfp_ros.sample_reader import SampleReader
from dfp_ros.spec import PolicySpec
from dfp_ros.yaml_section import nearest

# What sensors publish matches this, reliable or not.
SENSOR_QOS = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
# Lockstep waits for every sample, so none may be lost; its publishers must be reliable.
LOCKSTEP_QOS = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# Controllers subscribe reliably, and only the newest command is worth having.
COMMAND_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# A recorder may fall behind for a moment, and wants all of them.
DECISION_QOS = QoSProfile(
    depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)

_FLOATS = ('float', 'double')
_NUMBERS = (
    *_FLOATS, 'boolean', 'octet', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64',
    'uint64')


class SourceReader:
    """
    Turns the messages of one source into samples.

    :param source: The source.
    :param robot: The description that it is from, which says what is read.
    :raises DescriptionError: Where the message type or a message field does not exist, or is not
        made of numbers.
    """

    def __init__(self, source: Source, robot: RobotDescription) -> None:
        """Look everything up once, so that a message costs a few attribute accesses."""
        self.message_type = find_message_type(source.type, source.where)
        entries = [entry for entry in robot.observation if entry.source == source.name]
        for entry in entries:
            _check_observation_entry(self.message_type, source.type, entry)
        self._reader = SampleReader(
            entries, 'header' in self.message_type.get_fields_and_field_types())

    def read(self, message: Any, received: int) -> Sample:
        """
        Convert a message.

        :param message: Message of this source's type.
        :param received: When it arrived, in ns.
        """
        return self._reader.read(message, received)


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


def find_message_type(name: str, where: str) -> Any:
    """
    Find the class of a message type.

    :param name: For example ``sensor_msgs/msg/JointState``.
    :param where: File, line and key, for the message of an error.
    :raises DescriptionError: Where no such type is installed.
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
    """List all message types that are installed."""
    return tuple(
        f'{package}/{line.strip()[:-len(".msg")]}'
        for package in get_resources('rosidl_interfaces')
        for line in get_resource('rosidl_interfaces', package)[0].splitlines()
        if line.startswith('msg/') and line.strip().endswith('.msg'))


def _field_type(message_type: Any, type_name: str, path: str, where: str) -> str:
    """Follow a dotted path through nested message types; return the type at its end."""
    kind = type_name
    for name in path.split('.'):
        if '/' not in kind or kind.startswith('sequence') or '[' in kind:
            raise DescriptionError(
                f'{where}: found the path {path!r}, but {kind} before {name!r} has no fields')
        if kind != type_name:
            package, member = kind.split('/')[0], kind.split('/')[-1]
            message_type = getattr(importlib.import_module(f'{package}.msg'), member)
        fields = message_type.get_fields_and_field_types()
        if name not in fields:
            raise DescriptionError(
                f'{where}: found the path {path!r}, but {kind} has no field {name!r}; '
                f'{nearest(name, fields)}')
        kind = fields[name]
    return str(kind)


def _is_array(kind: str, numbers: Sequence[str]) -> bool:
    """Tell whether a field type is an array of numbers: ``sequence<double>``, ``double[6]``."""
    return any(kind.startswith((f'sequence<{number}', f'{number}[')) for number in numbers)


def _check_observation_entry(message_type: Any, type_name: str, entry: ObservationEntry) -> None:
    """See that a field of the observation can be read from a message type."""
    kinds = [_field_type(message_type, type_name, leaf, entry.where) for leaf in entry.leaves]
    if entry.joints and kinds[0] != 'sequence<string>':
        raise DescriptionError(
            f'{entry.where}: {type_name} has no list of joint names; use indices')
    if entry.joints or entry.indices:
        if not _is_array(kinds[-1], _NUMBERS):
            raise DescriptionError(
                f'{entry.where}: {entry.path} is {kinds[-1]}, expected an array of numbers')
        return
    for leaf, kind in zip(entry.leaves, kinds, strict=True):
        if kind not in _NUMBERS:
            raise DescriptionError(
                f'{entry.where}: {leaf} is {kind}, expected a number; say which of its numbers '
                'with components, joints or indices')


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
    kind = _field_type(type(message), topic.type, path, entry.where)
    if not (_is_array(kind, _FLOATS) if array else kind in _FLOATS):
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
