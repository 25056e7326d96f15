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
"""Format of the pictures of a source: encoding and size, as its messages have to have them."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.description.yaml_section import Section

#: Message types that have pictures.
IMAGE, COMPRESSED_IMAGE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
PICTURE_TYPES = (IMAGE, COMPRESSED_IMAGE)
_COLOURS = ('rgb', 'bgr', 'gray')
#: Encodings of raw pictures, with the bytes of a pixel.
RAW = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'mono8': 1, '16UC1': 2, '32FC1': 4}
#: Encodings of compressed pictures.
JPEG, PNG = 'jpeg', 'png'
#: Channels that a policy can get from each encoding.
CHANNELS_OF = {
    'rgb8': _COLOURS, 'bgr8': _COLOURS, 'rgba8': _COLOURS, 'mono8': ('gray',),
    '16UC1': ('depth',), '32FC1': ('depth',), JPEG: _COLOURS, PNG: (*_COLOURS, 'depth')}
#: Largest width and height of a picture of a camera, and its largest number of pixels.
LARGEST_EDGE, MOST_PIXELS = 16_384, 1 << 25
# A compressed picture is larger than a raw one only by headers; rows of a raw one may be padded.
_MOST_PADDING, _HEADERS = 4, 1 << 20


@dataclass(frozen=True)
class PictureFormat:
    """
    Format of the pictures of a source.

    :param encoding: One of :data:`CHANNELS_OF`.
    :param width: Pixels in a row.
    :param height: Rows.
    """

    encoding: str
    width: int
    height: int

    @property
    def is_compressed(self) -> bool:
        """Whether its messages are compressed."""
        return self.encoding not in RAW

    @property
    def largest(self) -> int:
        """Largest size of a message in bytes; a larger one is refused unread."""
        return self.width * self.height * RAW.get(self.encoding, 4) * _MOST_PADDING + _HEADERS


def read_picture_format(section: Section, type_name: str) -> PictureFormat:
    """
    Read the format of the pictures of a source.

    :param section: Its keys.
    :param type_name: Message type of the source.
    :raises DescriptionError: At the first error.
    """
    if type_name not in PICTURE_TYPES:
        raise section.error(
            f'found this for {type_name}, which has no pictures; {IMAGE} and {COMPRESSED_IMAGE} '
            'do')
    keys = section.mapping(('encoding', 'width', 'height'))
    known = [name for name in CHANNELS_OF if (name in RAW) == (type_name == IMAGE)]
    found = PictureFormat(
        keys['encoding'].choice(known), keys['width'].count(most=LARGEST_EDGE),
        keys['height'].count(most=LARGEST_EDGE))
    if found.width * found.height > MOST_PIXELS:
        raise section.error(
            f'found {found.width} x {found.height} pixels, expected at most {MOST_PIXELS} in all; '
            'have the camera publish smaller pictures')
    return found
