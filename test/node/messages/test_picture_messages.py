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
"""Messages of cameras: the same fields as rclpy's, without a copy of the data."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message
from rosbags.serde import SerdeError
from sensor_msgs.msg import CompressedImage, Image

from dfp_ros.node.messages import picture_messages
from dfp_ros.node.messages.picture_messages import PictureMessages

FIELDS = {
    Image: ('height', 'width', 'encoding', 'is_bigendian', 'step'), CompressedImage: ('format',)}


def filled(kind: Any, frame: str) -> Any:
    """Make a message with something in every field."""
    message = kind(data=array('B', range(200)))
    message.header.stamp.sec, message.header.stamp.nanosec = 12, 345
    message.header.frame_id = frame
    for i, name in enumerate(FIELDS[kind]):
        setattr(message, name, 'rgb8; jpeg' if name in ('encoding', 'format') else i + 1)
    return message


@pytest.mark.parametrize('frame', ['', 'a', 'wrist', 'caméra'])
@pytest.mark.parametrize('kind', FIELDS)
@pytest.mark.parametrize('is_known', [True, False])
def test_fields_are_those_of_rclpy(
        kind: Any, frame: str, is_known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the alignment, and also if the middleware serialises in another way."""
    if not is_known:
        def refuse(*_: object) -> None:
            raise SerdeError('unknown')

        monkeypatch.setattr(
            picture_messages, '_find_types',
            lambda: (SimpleNamespace(deserialize_cdr=refuse), SerdeError))
    messages = PictureMessages(kind, f'sensor_msgs/msg/{kind.__name__}')
    content = serialize_message(filled(kind, frame))
    found, expected = messages.read(content), deserialize_message(content, kind)
    assert (found.header.stamp.sec, found.header.stamp.nanosec) == (12, 345)
    assert found.header.frame_id == frame
    for name in FIELDS[kind]:
        assert getattr(found, name) == getattr(expected, name)
    assert bytes(found.data) == bytes(expected.data)
    if is_known:
        assert np.shares_memory(found.data, np.frombuffer(content, np.uint8))


@pytest.mark.parametrize('content', [b'', b'\0\1\0\0'])
def test_no_message(content: bytes) -> None:
    """An error, not a picture."""
    messages = PictureMessages(Image, 'sensor_msgs/msg/Image')
    with pytest.raises(Exception, match='.'):
        messages.read(content + b'x' * 9)
