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
"""Messages with rows of numbers that say what they are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from rclpy.serialization import serialize_message
from std_msgs.msg import Float64MultiArray, MultiArrayDimension


class LabelledRow:
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
