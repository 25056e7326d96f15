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
"""Pictures of a policy specification: inputs of the graph beside the observation vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfp_ros.core.text.printable import printable
from dfp_ros.spec_bounds import (
    LARGEST_DEPTH,
    LARGEST_SIDE,
    MOST_IMAGES,
    MOST_PIXEL_BYTES,
    require_fields,
    require_within,
    SpecError,
)

#: Numbers of a pixel, by the channels of a picture.
CHANNELS = {'rgb': 3, 'bgr': 3, 'gray': 1, 'depth': 1}
DEPTH = 'depth'
#: Inputs and outputs of a graph besides its pictures, whose inputs have the names of their fields.
INPUTS, OUTPUTS = ('observation', 'noise'), ('action_chunk', 'value', 'spread')
#: Input and output of a graph whose policy has a recurrent state.
STATE, NEXT_STATE = 'state', 'next_state'
_TAKEN = (*INPUTS, STATE, *OUTPUTS, NEXT_STATE)


@dataclass(frozen=True)
class ImageField:
    """
    A picture of the observation: an input of the graph of shape (1, height, width, n), uint8.

    :param name: Its name, which is that of the input, for example ``wrist``.
    :param height: Rows.
    :param width: Pixels in a row.
    :param channels: Meaning of the n numbers of a pixel, one of :data:`CHANNELS`.
    :param low: Smallest value: 0 of colours; of ``depth``, the distance in m that 1 stands for.
    :param high: Largest value: 255 of colours; of ``depth``, the distance in m that 255 stands
        for. A depth of 0 is a pixel without a measurement.
    """

    name: str
    height: int
    width: int
    channels: str
    low: float = 0.0
    high: float = 255.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and numbers of a pixel."""
        return self.height, self.width, CHANNELS[self.channels]

    def __str__(self) -> str:
        """Describe it in a few words."""
        depth = f' from {self.low:g} to {self.high:g} m' if self.channels == DEPTH else ''
        return f'{self.name} ({self.height} x {self.width} {self.channels}{depth})'


def check_images(images: Sequence[ImageField]) -> None:
    """
    Require pictures of bounded size, with names of their own.

    :raises SpecError: At the first that is not.
    """
    require_within('images: number of pictures', len(images), 1, MOST_IMAGES)
    require_fields('images', [image.name for image in images], [''] * len(images))
    for image in images:
        where = f'image {image.name}'
        if image.name in _TAKEN:
            raise SpecError(
                f'{where}: found the name of another input or output of the graph; expected '
                f'none of {", ".join(_TAKEN)}')
        for side, size in (('height', image.height), ('width', image.width)):
            require_within(f'{where}: {side}', size, 1, LARGEST_SIDE)
        if image.channels not in CHANNELS:
            raise SpecError(
                f'{where}: found the channels {printable(image.channels)!r}, expected one of '
                + ', '.join(CHANNELS))
        if image.channels != DEPTH:
            if (image.low, image.high) != (0.0, 255.0):
                raise SpecError(
                    f'{where}: found the range {image.low:g} to {image.high:g}, expected 0 to '
                    '255 for colours')
            continue
        require_within(f'{where}: low', image.low, 0, LARGEST_DEPTH)
        require_within(f'{where}: high', image.high, 0, LARGEST_DEPTH)
        if image.low >= image.high:
            raise SpecError(f'{where}: found low {image.low:g}, expected less than high '
                            f'{image.high:g}')
    require_within(
        'images: bytes of all pictures',
        sum(height * width * count for height, width, count in (
            image.shape for image in images)), 1, MOST_PIXEL_BYTES)
