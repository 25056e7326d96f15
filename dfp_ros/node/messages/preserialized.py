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
"""Preserialised messages (CDR templates), in which only numbers are patched."""

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

    Only the numbers differ, and they come last. For a message, rclpy would call a Python property
    for each field of the layout, which takes several times as long as sending.

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
        :raises ValueError: If their count differs from the layout.
        """
        if len(row) != self._size:
            raise ValueError(f'found a row of {len(row)} numbers, its layout has {self._size}')
        return self._layout + array('d', row).tobytes()


_NUMBER, _STAMP = struct.Struct('=d'), struct.Struct('=iI')
_SECOND = 1_000_000_000
# Marker for the stamp in the search: its bytes are not part of another number by chance.
_MARK = 1_234_567_890_123_456_789


class PreserializedNumbers:
    """
    Serializes messages by patching numbers in a template.

    For a message, rclpy would call a Python property for each field, which takes several times as
    long as sending.

    :param message: A serialized message.
    :param offsets: Byte offset of each number, and its index in a command.
    :param stamp: Byte offset of the header's stamp, None if there is none.
    """

    def __init__(
            self, message: bytes, offsets: Sequence[tuple[int, int]], stamp: int | None) -> None:
        """Store the template."""
        self._message = bytearray(message)
        self._offsets = tuple(offsets)
        self._stamp = stamp

    def serialize(self, numbers: Sequence[float], stamp: int) -> bytes:
        """
        Serialize one message.

        :param numbers: All numbers of a command, in the message's units.
        :param stamp: Time for the header, in ns.
        """
        message, put = self._message, _NUMBER.pack_into
        for offset, index in self._offsets:
            put(message, offset, numbers[index])
        if self._stamp is not None:
            _STAMP.pack_into(message, self._stamp, *divmod(stamp, _SECOND))
        return bytes(message)


def find_offsets(
        write: Callable[[NDArray[np.float64], int], Any], indices: Sequence[int], size: int,
        is_stamped: bool) -> PreserializedNumbers | None:
    """
    Find the byte offsets of the numbers in a message.

    :param write: Writes numbers of a command, and a stamp in ns, to the message.
    :param indices: Indices of the command's numbers in the message.
    :param size: Count of the numbers of a command.
    :param is_stamped: Whether its header has a stamp.
    :return: None if the offsets are ambiguous, as for rounded numbers, rotations or single
        precision.
    """
    marks = 1 / (3 + 2 * np.arange(size))
    message = serialize_message(write(marks, _MARK))
    offsets = [(_find(message, _NUMBER.pack(marks[i])), i) for i in indices]
    stamp = _find(message, _STAMP.pack(*divmod(_MARK, _SECOND))) if is_stamped else None
    if stamp == -1 or any(offset == -1 for offset, _ in offsets):
        return None
    found = PreserializedNumbers(message, offsets, stamp)
    others = -1 / marks
    wanted = write(others, 0)
    # Compared as messages, not as bytes: padding between fields is undefined.
    same = deserialize_message(found.serialize(others.tolist(), 0), type(wanted)) == wanted
    return found if same else None


def _find(message: bytes, part: bytes) -> int:
    """Find the offset of a part; -1 if it is missing or ambiguous."""
    offset = message.find(part)
    return offset if message.find(part, offset + 1) == -1 else -1
