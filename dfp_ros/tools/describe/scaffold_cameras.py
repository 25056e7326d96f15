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
"""Cameras of a scaffolded description: the format of their pictures, and the policy's pictures."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from dfp_ros.core.description.picture_format import (
    CHANNELS_OF,
    IMAGE,
    JPEG,
    PICTURE_TYPES,
    PNG,
    RAW,
)
from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.text.printable import printable
from dfp_ros.spec_images import DEPTH
from dfp_ros.tools.describe.scaffold_text import line, pair
from dfp_ros.tools.describe.survey import PublishedTopic

# Last parts of the topics of image_transport, which do not name the camera.
_TRANSPORT = ('compressed', 'image')


def is_camera(topic: PublishedTopic) -> bool:
    """Tell whether a topic has pictures."""
    return topic.type in PICTURE_TYPES


def name_camera(topic: str) -> str:
    """Return the part of a topic's name that names the camera, such as ``wrist/image_raw``."""
    parts = topic.strip('/').split('/')
    while len(parts) > 1 and parts[-1].startswith(_TRANSPORT):
        parts.pop()
    return parts[-1]


def write_picture(topic: PublishedTopic) -> list[str]:
    """Write the format of the pictures of a source, as its newest message has it."""
    if topic.message is None:
        return pair(
            4, 'picture', MARK, '{encoding, width, height}: no message was received')
    encoding, size, comment = _find_format(topic)
    return pair(4, 'picture', {
        'encoding': encoding, **dict(zip(('width', 'height'), size, strict=True))}, comment)


def write_images(sources: Mapping[str, PublishedTopic]) -> list[str]:
    """Write a picture for the policy from each camera; nothing without cameras."""
    cameras = {name: topic for name, topic in sources.items() if is_camera(topic)}
    if not cameras:
        return []
    lines = ['', '# Pictures of the policy, in this order.', *line(0, 'images:')]
    for name, topic in cameras.items():
        encoding = MARK if topic.message is None else _find_format(topic)[0]
        channels = CHANNELS_OF.get(encoding, (MARK,))[0]
        lines += [
            *pair(2, '- name', name), *pair(4, 'source', name),
            *pair(4, 'height', MARK, 'rows for the policy, such as 64: its encoder takes time'),
            *pair(4, 'width', MARK, 'pixels in a row, such as 64'),
            *pair(4, 'channels', channels, '' if channels != MARK else 'rgb, bgr, gray or depth')]
        if channels == DEPTH:
            lines += pair(4, 'range', [MARK, MARK], 'm: the nearest and the farthest depth')
    return lines


def _find_format(topic: PublishedTopic) -> tuple[str, tuple[Any, Any], str]:
    """Return encoding, width and height of a message's picture, and a comment."""
    message: Any = topic.message
    if topic.type == IMAGE:
        size = message.width, message.height
        if message.encoding in RAW:
            return message.encoding, size, ''
        return MARK, size, (
            f'its encoding is {printable(message.encoding, 40)!r}, which is not read; have the '
            f'driver publish one of {", ".join(RAW)}')
    from PIL import Image
    try:
        with Image.open(BytesIO(bytes(message.data)), formats=('JPEG', 'PNG')) as opened:
            return {'JPEG': JPEG, 'PNG': PNG}[str(opened.format)], opened.size, ''
    except Exception:  # decoders raise anything at foreign data
        return MARK, (MARK, MARK), f'its pictures are no {JPEG} and no {PNG}, which are read'
