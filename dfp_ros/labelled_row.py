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

from collections.abc import Iterable

from std_msgs.msg import Float64MultiArray, MultiArrayDimension


def make_row(parts: Iterable[tuple[str, int]]) -> Float64MultiArray:
    """
    Make a message for rows of one layout; its ``data`` is still empty.

    :param parts: Label and size of each part of a row, in order.
    """
    message = Float64MultiArray()
    message.layout.dim = [
        MultiArrayDimension(label=label, size=size, stride=size) for label, size in parts]
    return message
