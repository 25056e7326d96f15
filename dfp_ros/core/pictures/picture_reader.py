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
"""Conversion of the messages of a camera to samples, live and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
import warnings

import numpy as np

from dfp_ros.core.description.images import ImageEntry
from dfp_ros.core.description.sources import Source
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_reader import FRAME
from dfp_ros.core.pictures.decoding import decode, describe_too_large, PictureError
from dfp_ros.core.pictures.picture import hash_bytes, Picture
from dfp_ros.core.pictures.scaling import scale


class PictureReader:
    """
    Makes the pictures of the observation from the messages of one camera.

    It has no state, so it may be used by any thread.

    :param source: The camera.
    :param images: The pictures that are made from it.
    :param stamped: Whether the stamps in the headers are used.
    :raises DescriptionError: If Pillow is not installed.
    """

    def __init__(self, source: Source, images: Sequence[ImageEntry], stamped: bool) -> None:
        """Store the description."""
        assert source.picture is not None, 'a camera has pictures'
        _require_pillow(source.where)
        self._format = source.picture
        self._images = tuple(images)
        self._stamped = stamped
        self._framed = bool(source.frame_id)
        self._lasts = source.is_latched
        self._is_watched = any(image.changes_within for image in images)

    @property
    def largest(self) -> int:
        """Largest size of a message in bytes; a larger one need not be taken apart."""
        return self._format.largest

    def head(self, message: Any, received: int) -> Sample:
        """
        Read the header of a message only.

        :param message: A sensor_msgs/Image or CompressedImage, or any object with its fields.
        :param received: Arrival time in ns.
        """
        stamp = message.header.stamp
        return Sample(
            stamp.sec * 1_000_000_000 + stamp.nanosec if self._stamped else None, received,
            {FRAME: message.header.frame_id} if self._framed else {}, lasts=self._lasts)

    def read(self, message: Any, received: int) -> Sample:
        """
        Convert a message; one without the expected picture has a problem.

        :param message: As for :meth:`head`.
        :param received: Arrival time in ns.
        """
        head = self.head(message, received)
        values, problem = dict(head.values), ''
        try:
            values |= self._make(message)
        except PictureError as error:
            problem = str(error)
        return Sample(
            head.stamp, received, values, problem=problem, lasts=self._lasts)

    def refuse(self, size: int, stamp: int, received: int) -> Sample:
        """
        Make the sample of a message that is too large to be taken apart.

        :param size: Its size in bytes.
        :param stamp: Its header stamp in ns.
        :param received: Arrival time in ns.
        """
        return Sample(
            stamp if self._stamped else None, received, {},
            problem=describe_too_large(size, self._format), lasts=self._lasts)

    def _make(self, message: Any) -> dict[str, Picture]:
        """Make all pictures."""
        pixels = decode(message, self._format)
        # Not of the message: a frozen picture may have a counter beside it, or other padding.
        original = hash_bytes(np.ascontiguousarray(pixels)) if self._is_watched else 0
        made = {}
        for image in self._images:
            scaled = scale(pixels, image)
            made[image.name] = Picture(scaled, hash_bytes(scaled), original)
        return made


def _require_pillow(where: str) -> None:
    """Import Pillow and its decoders, which takes too long beside a running loop."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DescriptionError(
            f'{where}: found a camera, whose pictures need Pillow, which is not installed; '
            'install the package python3-pil, or `pip install pillow`') from error
    Image.preinit()
    # What a damaged file has beside its picture is no warning of the node's, one for each file.
    warnings.filterwarnings('ignore', module=r'PIL\.')
