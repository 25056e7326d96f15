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
"""Preserialised messages with patched numbers."""

import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message
from std_msgs.msg import Float64MultiArray

from dfp_ros.node.messages.preserialized import PreserializedRow


@pytest.mark.parametrize('labels', [('a', 'bc'), ('ticks', 'sent/arm')])
def test_a_row_is_the_message_that_it_stands_for(labels: tuple[str, str]) -> None:
    """The patched message equals a serialised one, at any offset of the numbers, repeatedly."""
    layout = PreserializedRow(zip(labels, (1, 2), strict=True))
    for numbers in ([1.0, -2.0, 1e300], [0.0, 0.0, 0.0]):
        content = layout.serialize(numbers)
        message = deserialize_message(content, Float64MultiArray)
        assert list(message.data) == numbers
        assert [(part.label, part.size) for part in message.layout.dim] == [
            (labels[0], 1), (labels[1], 2)]
    with pytest.raises(ValueError, match='2 numbers, its layout has 3'):
        layout.serialize([1.0, 2.0])
