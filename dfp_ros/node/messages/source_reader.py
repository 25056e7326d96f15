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
"""Source reader: conversion of the messages of a source to samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import HEADER, RECEIVE, Source
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.observation.tf_reader import TfReader
from dfp_ros.core.pictures.picture_reader import PictureReader
from dfp_ros.node.messages.introspection import field_type, find_message_type, is_array, NUMBERS

#: Message type whose fields the samples of transforms have.
TRANSFORM = 'geometry_msgs/msg/TransformStamped'


class SourceReader:
    """
    Converts the messages of one source to samples.

    :param source: The source.
    :param robot: Its description, with the field selectors.
    :param in_order: Whether stamps decide which of two transforms is the newer one, instead of
        their arrival.

    :ivar message_type: Class of its messages.
    :ivar read_static: As :meth:`read`, for static transforms.
    :ivar pictures: Of a camera: reads its messages, which takes too long for the thread of the
        ticks; None for any other source.

    :raises DescriptionError: If the message type or a message field does not exist, or is not
        numeric.
    """

    def __init__(
            self, source: Source, robot: RobotDescription, in_order: bool = True) -> None:
        """Resolve all paths once, so that a message costs a few attribute accesses."""
        readings = robot.readings(source.name)
        stamped = source.time != RECEIVE
        self.pictures: PictureReader | None = None
        self._read: Callable[[Any, int], Sample | None]
        if source.child:
            self.message_type = _find_transforms(source)
            _check_readings(TRANSFORM, source.where, readings)
            transforms = TfReader(
                source.parent, source.child, readings, stamped,
                source.max_age * 1e9 if in_order else 0.0)
            self._read = transforms.read
            self.read_static = partial(transforms.read, is_static=True)
            return
        self.message_type = find_message_type(source.type, source.where)
        if source.picture is not None:
            self.pictures = PictureReader(source, robot.images_of(source.name), stamped)
            self._read = self.pictures.read
            return
        _check_readings(source.type, source.where, readings)
        has_header = 'header' in self.message_type.get_fields_and_field_types()
        if source.time == HEADER and not has_header:
            raise DescriptionError(
                f'{source.where}: found time: header, but {source.type} has no header; use '
                'time: receive')
        if source.frame_id and not has_header:
            raise DescriptionError(
                f'{source.where}: found frame_id, but {source.type} has no header that names one')
        self._read = SampleReader(
            readings, has_header and stamped, bool(source.frame_id), source.is_latched).read

    def read(self, message: Any, received: int) -> Sample | None:
        """
        Convert a message.

        :param message: Message of this source's type.
        :param received: Arrival time in ns.
        :return: A sample; None for transforms that are not needed.
        """
        return self._read(message, received)


def _find_transforms(source: Source) -> Any:
    """Return the message type of transforms, which not every installation has."""
    try:
        return find_message_type(source.type, source.where)
    except DescriptionError as error:
        raise DescriptionError(
            f'{source.where}: found type: tf, which needs the package tf2_msgs; install it '
            '(ros-<distribution>-tf2-msgs)') from error


def _check_readings(type_name: str, where: str, readings: Iterable[FieldSelector]) -> None:
    """Require that all numbers can be read from a message type."""
    message_type = find_message_type(type_name, where)
    for reading in readings:
        _check_reading(message_type, type_name, reading)


def _check_reading(message_type: Any, type_name: str, reading: FieldSelector) -> None:
    """Require that the numbers of a selector can be read from a message type."""
    kinds = [field_type(message_type, type_name, leaf, reading.where) for leaf in reading.leaves]
    if reading.joints and kinds[0] != 'sequence<string>':
        raise DescriptionError(
            f'{reading.where}: {reading.names} is {kinds[0]}, expected a list of joint names; say '
            'where they are with names, or use indices')
    if reading.joints or reading.indices:
        if not is_array(kinds[-1], NUMBERS):
            raise DescriptionError(
                f'{reading.where}: {reading.path} is {kinds[-1]}, expected an array of numbers')
        return
    for leaf, kind in zip(reading.leaves, kinds, strict=True):
        if kind not in NUMBERS:
            raise DescriptionError(
                f'{reading.where}: {leaf} is {kind}, expected a number; say which of its numbers '
                'with components, joints or indices')
