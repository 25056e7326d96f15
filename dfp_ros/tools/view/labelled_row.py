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
"""Reader of labelled rows of numbers: the messages of ``~/decision`` and ``~/statistics``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.text.printable import printable

# Largest number of parts, and of numbers, of a row; a robot with 100 sources has fewer.
_MOST_PARTS, _MOST_NUMBERS = 2_000, 100_000

Row = Mapping[str, NDArray[np.float64]]


class LabelledRows:
    """Reader of the messages of one topic, whose layout rarely changes."""

    def __init__(self) -> None:
        """Start without a layout."""
        self._layout: tuple[tuple[str, int], ...] = ()
        self._parts: dict[str, slice] = {}
        self._size = 0

    def read(self, message: Any) -> Row | None:
        """
        Take a row apart.

        :param message: A std_msgs/Float64MultiArray, of rclpy or of rosbags.
        :return: Its numbers by label; None if it is not such a row.
        """
        dimensions = message.layout.dim
        if not 0 < len(dimensions) <= _MOST_PARTS or len(message.data) > _MOST_NUMBERS:
            return None
        layout = tuple((str(part.label), int(part.size)) for part in dimensions)
        if layout != self._layout:
            self._layout, self._parts, self._size = layout, {}, 0
            for label, size in layout:
                self._parts[label] = slice(self._size, self._size + size)
                self._size += size
        if len(message.data) != self._size:
            return None
        data = np.asarray(message.data, np.float64)
        return {label: data[part] for label, part in self._parts.items()}


def number(row: Row, label: str) -> float:
    """Return the number of a part; NaN if the row does not have it."""
    values = row.get(label)
    return float(values[0]) if values is not None and len(values) == 1 else float('nan')


def fields(row: Row, kind: str) -> dict[str, NDArray[np.float64]]:
    """Return the parts ``kind/FIELD`` by field, whose names anybody may publish."""
    begin = f'{kind}/'
    return {
        printable(label[len(begin):]): values for label, values in row.items()
        if label.startswith(begin)}
