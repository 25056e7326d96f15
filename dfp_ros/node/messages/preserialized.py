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
"""Where numbers are in a serialized message, for messages that differ in nothing else."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Float64MultiArray, MultiArrayDimension


class PreserializedRow:
    """
    Serializes rows of one layout, each a std_msgs/Float64MultiArray.

    Only the numbers differ, and they come last. rclpy calls a Python property for each field of
    the layout of a message that it sends: several times what sending takes.

    :param parts: Label and size of each part of a row, in order.
    """

    def __init__(self, parts: Iterable[tuple[str, int]]) -> None:
        """Serialize the layout."""
        message = Float64MultiArray()
        message.layout.dim = [
            MultiArrayDimension(label=label, size=size, stride=size) for label, size in parts]
        self._size = sum(dimension.size for dimension in message.layout.dim)
        numbers = array('d', [0.0] * self._size)
        message.data = numbers
        self._layout = serialize_message(message).removesuffix(numbers.tobytes())

    def serialize(self, row: Sequence[float]) -> bytes:
        """
        Serialize one row.

        :param row: Its numbers.
        :raises ValueError: Where they are not as many as the layout says.
        """
        if len(row) != self._size:
            raise ValueError(f'found a row of {len(row)} numbers, its layout has {self._size}')
        return self._layout + array('d', row).tobytes()


_NUMBER, _STAMP = struct.Struct('=d'), struct.Struct('=iI')
_SECOND = 1_000_000_000
# Stands for the stamp while it is looked for: no digit of it is in another number by chance.
_MARK = 1_234_567_890_123_456_789


class PreserializedNumbers:
    """
    Serializes messages by putting numbers where they belong among bytes that stay the same.

    rclpy calls a Python property for each field of a message that it sends: several times what
    sending takes.

    :param message: A serialized message.
    :param places: Where in it numbers begin, and the index of each in a command.
    :param stamp: Where in it the header's stamp begins, None where there is none.
    """

    def __init__(
            self, message: bytes, places: Sequence[tuple[int, int]], stamp: int | None) -> None:
        """Keep the message."""
        self._message = bytearray(message)
        self._places = tuple(places)
        self._stamp = stamp

    def serialize(self, numbers: Sequence[float], stamp: int) -> bytes:
        """
        Serialize one message.

        :param numbers: All numbers of a command, as they are to be sent.
        :param stamp: Time for the header, in ns.
        """
        message, put = self._message, _NUMBER.pack_into
        for place, index in self._places:
            put(message, place, numbers[index])
        if self._stamp is not None:
            _STAMP.pack_into(message, self._stamp, *divmod(stamp, _SECOND))
        return bytes(message)


def find_offsets(
        write: Callable[[NDArray[np.float64], int], Any], indices: Sequence[int], size: int,
        is_stamped: bool) -> PreserializedNumbers | None:
    """
    Look for the numbers of a message.

    :param write: Puts numbers of a command, and a stamp in ns, into the message.
    :param indices: Which of a command's numbers it has.
    :param size: How many numbers a command has.
    :param is_stamped: Whether its header has a stamp.
    :return: None where they cannot be told apart, as they are rounded, turned or of single
        precision.
    """
    marks = 1 / (3 + 2 * np.arange(size))
    message = serialize_message(write(marks, _MARK))
    places = [(_find(message, _NUMBER.pack(marks[i])), i) for i in indices]
    stamp = _find(message, _STAMP.pack(*divmod(_MARK, _SECOND))) if is_stamped else None
    if stamp == -1 or any(place == -1 for place, _ in places):
        return None
    found = PreserializedNumbers(message, places, stamp)
    others = -1 / marks
    wanted = write(others, 0)
    # Not byte by byte: what is between the fields of a message may be anything.
    same = deserialize_message(found.serialize(others.tolist(), 0), type(wanted)) == wanted
    return found if same else None


def _find(message: bytes, part: bytes) -> int:
    """Find where a part is; -1 where that is nowhere, or not sure."""
    place = message.find(part)
    return place if message.find(part, place + 1) == -1 else -1
