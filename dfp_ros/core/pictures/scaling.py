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
"""
Scaling of decoded pictures: crop, size, channels and depth range of the robot description.

Everything is defined to the last bit, so that a picture gives the same action everywhere. Colours
and gray are scaled by Pillow with its box filter, first the rows, then the columns, each rounded
to whole numbers: a pixel becomes the mean of those pixels whose centres it covers. Gray is
``(19595 R + 38470 G + 7471 B + 32768) // 65536`` before that, Pillow's mode L. A depth is taken
from the nearest pixel, as the mean of a near and a far one is where nothing is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import PixelArray
from dfp_ros.core.description.images import ImageEntry
from dfp_ros.core.pictures.decoding import PictureError
from dfp_ros.spec_images import DEPTH, ImageField

# Depths of 16 bits are in mm (REP 118).
_MILLIMETRES = 1000.0
# Numbers of a depth: none was measured; the nearest; steps from there to the farthest.
_NEAREST, _STEPS = 1.0, 254.0


def scale(pixels: NDArray[Any], image: ImageEntry) -> PixelArray:
    """
    Make a picture of the observation.

    :param pixels: A picture as decoded.
    :param image: Its description.
    :return: Shape (height, width, n), uint8, contiguous and not writable.
    :raises PictureError: If it has no such channels.
    """
    field = image.field
    left, top, width, height = image.crop
    part = pixels[top:top + height, left:left + width]
    is_depth = part.dtype.itemsize > 1
    if is_depth != (field.channels == DEPTH) or (
            part.ndim == 2 and field.channels in ('rgb', 'bgr')):
        found = 'depths' if is_depth else 'colours' if part.ndim == 3 else 'gray'
        raise PictureError(f'a picture has {found}, the robot description says {field.channels}')
    made = _scale_depth(part, field) if is_depth else _scale_light(part, field)
    made = np.ascontiguousarray(made.reshape(field.shape))
    made.flags.writeable = False
    return made


def _scale_light(part: NDArray[np.uint8], field: ImageField) -> NDArray[np.uint8]:
    """Scale colours or gray."""
    is_mixed = part.ndim == 3 and field.channels == 'gray'
    found: NDArray[np.uint8] = part
    if is_mixed or part.shape[:2] != (field.height, field.width):
        from PIL import Image
        picture = Image.fromarray(_in_order(part))
        if is_mixed:
            picture = picture.convert('L')
        found = np.asarray(
            picture.resize((field.width, field.height), Image.Resampling.BOX))
    # A copy, as the data of the message would be kept by a view.
    return found[..., ::-1].copy() if field.channels == 'bgr' else found.copy()


def _in_order(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels as they are in memory; colours that are a reversed view by channel, fast."""
    if part.strides[-1] >= 0:
        return np.ascontiguousarray(part)
    made = np.empty(part.shape, np.uint8)
    for channel in range(part.shape[2]):
        made[..., channel] = part[..., channel]
    return made


def _scale_depth(part: NDArray[Any], field: ImageField) -> NDArray[np.uint8]:
    """Scale depths, and express them as 1 to 255; 0 is no measurement."""
    rows, columns = (
        (2 * np.arange(count) + 1) * size // (2 * count)
        for size, count in zip(part.shape, (field.height, field.width), strict=True))
    depth = part[rows[:, None], columns].astype(np.float64)
    if part.dtype.kind == 'u':
        depth /= _MILLIMETRES
    # REP 117: too near is -inf and too far +inf, which numbers express; NaN is no measurement.
    is_measured = (depth > 0) | np.isneginf(depth)
    with np.errstate(invalid='ignore'):
        numbers = (depth.clip(field.low, field.high) - field.low) * (
            _STEPS / (field.high - field.low)) + (_NEAREST + 0.5)
    return np.where(is_measured, numbers, 0.0).astype(np.uint8)
