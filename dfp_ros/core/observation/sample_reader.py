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
"""Conversion of messages to samples, for live and for recorded messages."""

from __future__ import annotations

from collections.abc import Iterable
import math
from typing import Any

from dfp_ros.core.description.field_path import parse_path, path_getter
from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.description.joint_layout import joint_layout
from dfp_ros.core.observation.joint_reader import JointReader
from dfp_ros.core.observation.sample import Sample

# Fields of a std_msgs/*MultiArray with its numbers and with their layout.
_NUMBERS, _LAYOUT = 'data', 'layout'
# Largest number of dimensions that is checked, and number of sizes shown in messages.
_DIMENSIONS, _SHOWN = 16, 10

#: Path of the frame of a message.
FRAME = 'header.frame_id'


class SampleReader:
    """
    Extracts the fields of one source from its messages.

    :param readings: All field selectors of the source.
    :param stamped: Whether its messages have a header whose stamp is used.
    :param framed: Whether the frame in the header is read.
    :param lasts: Whether a message is valid until another one replaces it.
    """

    def __init__(
            self, readings: Iterable[FieldSelector], stamped: bool, framed: bool = False,
            lasts: bool = False) -> None:
        """Resolve all paths once, so that a message costs a few attribute accesses."""
        readings = tuple(readings)
        self._getters = {
            leaf: path_getter(leaf) for reading in readings for leaf in reading.leaves}
        if framed:
            self._getters[FRAME] = path_getter(FRAME)
        self._stamped = stamped
        self._lasts = lasts
        layout = joint_layout(readings)
        self._joints = None if layout is None else JointReader(layout)
        self._is_array = any(parse_path(leaf)[0] == _NUMBERS for leaf in self._getters)

    def read(self, message: Any, received: int) -> Sample:
        """
        Convert a message.

        :param message: Message of the source's type, or any object with its fields as attributes.
        :param received: Arrival time in ns.
        """
        stamp = None
        if self._stamped and message.header is not None:
            header_stamp = message.header.stamp
            stamp = header_stamp.sec * 1_000_000_000 + header_stamp.nanosec
        sample = Sample(
            stamp, received, {leaf: get(message) for leaf, get in self._getters.items()},
            None, _problem(message) if self._is_array else '', self._lasts)
        return sample if self._joints is None else self._joints.read(sample)


def _problem(message: Any) -> str:
    """Describe a layout that does not fit the numbers; most messages leave the layout empty."""
    layout = getattr(message, _LAYOUT, None)
    if layout is None or not hasattr(layout, 'dim'):
        return ''
    if layout.data_offset:
        return (
            f'its layout.data_offset is {layout.data_offset}, expected 0: elements are counted '
            'from the first number of data')
    if not layout.dim:
        return ''
    sizes, count = [part.size for part in layout.dim], len(message.data)
    # Dimensions of a table, or parts of a row one after the other.
    if count in (math.prod(sizes[:_DIMENSIONS]), sum(sizes)):
        return ''
    return (
        f'data has {count} numbers, and its layout says {sizes[:_SHOWN]}'
        + (' and more' if len(sizes) > _SHOWN else ''))
