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
"""Scaling of pictures: the same numbers as independent arithmetic, to the last bit."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest

pytest.importorskip('PIL')

from dfp_ros.core.description.images import ImageEntry
from dfp_ros.core.pictures.decoding import PictureError
from dfp_ros.core.pictures.scaling import scale
from dfp_ros.spec_images import ImageField
from testing.fixtures.cameras import depths, scene

COLOURS = scene(1, (48, 64, 3))
GRAY = scene(2, (48, 64))


def image(
        height: int, width: int, channels: str = 'rgb', crop: tuple[int, ...] = (0, 0, 64, 48),
        low: float = 0.0, high: float = 255.0) -> ImageEntry:
    """Describe a picture."""
    left, top, wide, high_ = crop
    return ImageEntry(
        ImageField('it', height, width, channels, low, high), 'camera', 'robot.yaml:1',
        (left, top, wide, high_))


def box(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Average whole blocks of pixels: the columns of each row, then the rows, each rounded."""
    rows, columns = len(pixels) // height, pixels.shape[1] // width

    def mean(sums: NDArray[Any], count: int) -> NDArray[Any]:
        # Half is rounded up, as Pillow does in whole numbers.
        return (2 * sums + count) // (2 * count)

    across = mean(
        pixels.reshape(len(pixels), width, columns, -1).astype(np.int64).sum(2), columns)
    return mean(across.reshape(height, rows, width, -1).sum(1), rows).astype(np.uint8)


@pytest.mark.parametrize(('height', 'width', 'crop'), [
    (48, 64, (0, 0, 64, 48)), (24, 32, (0, 0, 64, 48)), (12, 16, (0, 0, 64, 48)),
    (6, 4, (0, 0, 64, 48)), (12, 12, (8, 0, 48, 48)), (1, 1, (5, 7, 9, 11)),
    (10, 20, (3, 5, 60, 40))])
@pytest.mark.parametrize('channels', ['rgb', 'bgr', 'gray'])
def test_colours_are_averaged(
        height: int, width: int, crop: tuple[int, ...], channels: str) -> None:
    """Each pixel is the mean of the block that it covers; bgr is rgb in reverse."""
    left, top, wide, high = crop
    part = COLOURS[top:top + high, left:left + wide]
    if channels == 'gray':
        red, green, blue = np.moveaxis(part.astype(np.int64), 2, 0)
        part = ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)
    expected = box(part, height, width)
    found = scale(COLOURS, image(height, width, channels, crop))
    # As bgr8 is decoded: a view in reverse.
    reverse = COLOURS[..., ::-1].copy()[..., ::-1]
    np.testing.assert_array_equal(found, scale(reverse, image(height, width, channels, crop)))
    count = 1 if channels == 'gray' else 3
    assert (found.dtype, found.shape) == (np.uint8, (height, width, count))
    assert found.flags.c_contiguous
    assert not found.flags.writeable
    difference = np.abs(
        (found[..., ::-1] if channels == 'bgr' else found).astype(int) - expected)
    # Pillow's weights have 22 bits: a mean that is exactly half of a number may go either way.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_scaling_is_the_same_everywhere() -> None:
    """These numbers were computed once; another machine or Pillow has to have the same."""
    found = scale(COLOURS, image(7, 9))
    assert hashlib.sha256(found.tobytes()).hexdigest().startswith('fa3f8800ccdb1a8b')


def test_a_gray_camera() -> None:
    """Its picture has one number a pixel, which is no colour."""
    np.testing.assert_array_equal(
        scale(GRAY, image(12, 16, 'gray'))[..., 0], box(GRAY, 12, 16)[..., 0])
    with pytest.raises(PictureError, match='a picture has gray, the robot description says rgb'):
        scale(GRAY, image(12, 16))


def test_a_picture_does_not_keep_its_message() -> None:
    """Otherwise a small picture would keep the memory of a large one."""
    found = scale(COLOURS, image(48, 64))
    assert not np.shares_memory(found, COLOURS)


DEPTH = image(1, 9, 'depth', (0, 0, 9, 1), 0.5, 1.5)
METRES = np.array([[0.0, math.nan, -math.inf, 0.1, 0.5, 1.0, 1.5, 9.0, math.inf]], np.float32)


def test_depths_are_numbers_of_their_range() -> None:
    """From 1 to 255; 0 is no measurement. Infinite ones are too near or too far (REP 117)."""
    expected = [0, 0, 1, 1, 1, 128, 255, 255, 255]
    assert scale(METRES, DEPTH).ravel().tolist() == expected
    millimetres = np.array([[0, 0, 1, 100, 500, 1000, 1500, 9000, 65535]], np.uint16)
    assert scale(millimetres, DEPTH).ravel().tolist() == [0, 0, *expected[2:]]
    assert scale(millimetres.astype('>u2'), DEPTH).ravel().tolist() == [0, 0, *expected[2:]]


def test_depths_are_taken_from_the_nearest_pixel() -> None:
    """Never from between a near and a far one, where nothing is."""
    found = depths(5, (24, 32))
    entry = image(6, 8, 'depth', (0, 0, 32, 24), 0.1, 1.4)
    whole = replace(entry, field=replace(entry.field, height=24, width=32))
    np.testing.assert_array_equal(scale(found, entry), scale(found, whole)[2::4, 2::4])
    with pytest.raises(PictureError, match='a picture has depths, the robot description says rgb'):
        scale(found, image(6, 8, 'rgb', (0, 0, 32, 24)))
