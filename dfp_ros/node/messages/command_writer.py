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
"""Command writer: conversion of commands to the messages of a topic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message

from dfp_ros.core.description.commands import CHUNK, CommandTopic, JOINT_NAMES, TRAJECTORY
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.rotations import COMMAND_ENCODINGS
from dfp_ros.node.messages.field_setters import (
    by_index,
    joint_names,
    make_setters,
    parent,
    require_fields,
)
from dfp_ros.node.messages.introspection import field_type, find_message_type, FLOATS, WHOLE
from dfp_ros.node.messages.preserialized import find_offsets, PreserializedNumbers
from dfp_ros.node.messages.trajectory_points import TrajectoryPoints
from dfp_ros.spec import PolicySpec


class CommandWriter:
    """
    Writes commands to the messages of one topic.

    :param topic: The topic.
    :param spec: The policy's specification, which has the slices of the action fields.
    :param tick: Time between two commands in ns; 0 for the policy's control period.
    :raises DescriptionError: If the message type or a message field does not exist, takes no
        numbers, is given twice, or is an array with missing elements; or if a message cannot be
        sent.
    """

    def __init__(self, topic: CommandTopic, spec: PolicySpec, tick: int = 0) -> None:
        """Make the message, and compile its setters."""
        self.message_type = find_message_type(topic.type, topic.where)
        self._message = self.message_type()
        self._header = getattr(self._message, 'header', None)
        self._is_stamped = topic.is_stamped and self._header is not None
        if self._header is not None:
            # Joint commands have no frame.
            if not topic.frame_id and topic.type not in JOINT_NAMES:
                raise DescriptionError(
                    f"{topic.where}: the key 'frame_id' is missing; {topic.type} has a header")
            self._header.frame_id = topic.frame_id
        elif topic.frame_id or not topic.is_stamped:
            key = 'frame_id' if topic.frame_id else 'stamp'
            raise DescriptionError(
                f'{topic.where}: found the key {key!r}, which has no place in {topic.type}: it '
                'has no header; leave the key out, or use a type with a header')
        slices = spec.action_slices
        self._scale, self._offset = np.ones(spec.action_size), np.zeros(spec.action_size)
        harmless = np.zeros(spec.action_size)
        for entry in topic.entries:
            part = slices[entry.action]
            if entry.scale:
                self._scale[part] = entry.scale
            if entry.offset:
                self._offset[part] = entry.offset
            if entry.rotation:
                # Four or six zeros are no rotation.
                harmless[part] = COMMAND_ENCODINGS[entry.rotation].identity
        self._fix(topic)
        names = joint_names(topic)
        if names:
            setattr(self._message, JOINT_NAMES[topic.type], list(names))
        self._points: TrajectoryPoints | None = None
        if topic.type == TRAJECTORY:
            self._points = TrajectoryPoints(topic, slices, spec.period, tick * 1e-9)
            self._setters = []
        else:
            entries = [by_index(entry, names) for entry in topic.entries]
            self._setters = make_setters(self._message, topic, entries, topic.type, slices)
        try:
            # An error that would occur later, while the robot moves, is raised now.
            serialize_message(self.write(harmless, 0))
        except Exception as error:
            raise DescriptionError(
                f'{topic.where}: a {topic.type} of zeros cannot be sent: '
                f'{type(error).__name__}: {error}') from error
        self._template: PreserializedNumbers | None = None
        if topic.type != TRAJECTORY or topic.trajectory != CHUNK:
            self._template = find_offsets(
                self._fill, [i for entry in topic.entries for i in _indices(slices[entry.action])],
                spec.action_size, self._is_stamped)

    def serialize(
            self, command: NDArray[np.float64], stamp: int,
            ahead: NDArray[np.float64] | None = None) -> Any:
        """
        Make the message like :meth:`write`, serialized if that is faster.

        :return: Bytes, or the message.
        """
        if self._template is None:
            return self.write(command, stamp, ahead)
        numbers = command * self._scale + self._offset
        return self._template.serialize(numbers.tolist(), stamp)

    def write(
            self, command: NDArray[np.float64], stamp: int,
            ahead: NDArray[np.float64] | None = None, lead: float = 0.0) -> Any:
        """
        Fill in the message, which is the same object each time.

        :param command: Shape (act_dim,), SI units.
        :param stamp: Time for the header, in ns.
        :param ahead: Planned commands after it, a control period apart, shape (m, act_dim), SI
            units; None if there are none.
        :param lead: Additional time for a trajectory of a single point in s.
        :raises ValueError: If a rotation has no direction.
        """
        if ahead is not None:
            ahead = ahead * self._scale + self._offset
        return self._fill(command * self._scale + self._offset, stamp, ahead, lead)

    def _fill(
            self, numbers: NDArray[np.float64], stamp: int,
            ahead: NDArray[np.float64] | None = None, lead: float = 0.0) -> Any:
        """Fill in numbers in the message's units."""
        if self._is_stamped:
            assert self._header is not None, 'only headers are stamped'
            self._header.stamp.sec, self._header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        if self._points is not None:
            self._message.points = self._points.write(numbers, ahead, lead)
            return self._message
        listed = numbers.tolist()
        for setter in self._setters:
            setter(listed)
        return self._message

    def _fix(self, topic: CommandTopic) -> None:
        """Write the constant fields of the message."""
        taken = {
            f'{entry.path}.{name}': 'a field' for entry in topic.entries
            for name in ('xyzw' if entry.rotation else entry.components)}
        taken |= {entry.path: 'a field' for entry in topic.entries}
        if topic.frame_id:
            taken['header.frame_id'] = 'frame_id'
        if self._is_stamped:
            taken |= dict.fromkeys(('header.stamp.sec', 'header.stamp.nanosec'), 'stamp')
        for path, value in topic.fixed.items():
            require_fields(path, topic.where)
            kind = field_type(self.message_type, topic.type, path, topic.where)
            if path in taken:
                raise DescriptionError(
                    f'{topic.where}: fixed: {path} is given by {taken[path]}, too')
            if not _is_of(kind, value):
                raise DescriptionError(
                    f'{topic.where}: fixed: found {value!r} for {path}, which is {kind}')
            holder, name = parent(self._message, path)
            setattr(holder, name, float(value) if kind in FLOATS else value)


def _indices(part: slice) -> range:
    """List the indices of an action field's numbers."""
    return range(part.start, part.stop)


def _is_of(kind: str, value: str | bool | int | float) -> bool:
    """Return whether a value is of a message field's type, which messages do not always check."""
    if kind in WHOLE:
        low, high = WHOLE[kind]
        return type(value) is int and low <= value <= high
    if kind in FLOATS:
        return type(value) in (int, float)
    return type(value) is {'string': str, 'boolean': bool}.get(kind)
