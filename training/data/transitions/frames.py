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
Frames: the pictures of a camera beside the numbers of transitions, a byte per number.

Successive transitions share a frame: an episode of ``n`` steps has ``n + 1``. What does not fit
into memory is in a file that the system reads back as it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
import os
from pathlib import Path
import tempfile

import numpy as np

from dfp_ros.spec_images import ImageField
from training.common.free_memory import free_memory
from training.data.transitions.errors import DataError

# Largest share of the free memory for the frames of one camera.
_SHARE = 0.25
# Pictures whose values are counted at a time.
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Frames:
    """
    Pictures of one camera.

    :param field: Their name, size and channels.
    :param pixels: Shape (count, height, width, n), uint8, read-only; in memory, or a mapped file.
    """

    field: ImageField
    pixels: np.ndarray

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.pixels)


def make_room(shape: Sequence[int], beside: Path) -> np.ndarray:
    """
    Make an array of bytes for frames, in memory if a quarter of what is free is enough.

    Otherwise it is in a file without a name, which is gone once the array is.

    :param shape: Its shape.
    :param beside: A file in whose folder that file is made, if that can be written to.
    :raises DataError: If there is no space on the disk.
    """
    size = math.prod(shape)
    if not size or size <= _SHARE * free_memory():
        return np.empty(shape, np.uint8)
    faults = []
    for folder in (beside.parent, Path(tempfile.gettempdir())):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                # Space that is missing would end the process only when a frame is written.
                os.posix_fallocate(file.fileno(), 0, size)
                # The mapping has a descriptor of its own.
                return np.memmap(file, np.uint8, 'r+', shape=tuple(shape))
        except OSError as error:
            faults.append(f'{folder}: {error.strerror}')
    raise DataError(
        f'{beside}: found pictures of {size / 1e9:.3g} GB, which are more than a quarter of the '
        f'free memory, and no space for a temporary file ({", ".join(faults)}); set TMPDIR to a '
        'folder with space, or split the episodes into numbered files')


def sealed(pixels: np.ndarray) -> np.ndarray:
    """Make frames read-only, once they are complete."""
    pixels = np.asarray(pixels)
    pixels.flags.writeable = False
    return pixels


def field_of(name: str, shape: Sequence[int]) -> ImageField | None:
    """
    Describe the pictures of a camera, by the shape of their pixels; None if they are none.

    :param name: Name of the camera.
    :param shape: Height, width and numbers of a pixel.
    """
    channels = {3: 'rgb', 1: 'gray'}.get(shape[-1]) if len(shape) == 3 else None
    return None if channels is None else ImageField(name, shape[0], shape[1], channels)


def require_whole(
        where: object, frame: np.ndarray | None, terminals: np.ndarray, form: str) -> None:
    """
    Require that the frame after each step is that of the next one, within episodes.

    :param where: Path of what is written, for the error.
    :param frame: Frame of each step; None without pictures.
    :param terminals: 1 on the last step of an episode.
    :param form: Format that has no place for others.
    :raises DataError: If one is not.
    """
    if frame is None:
        return
    odd = np.flatnonzero((np.diff(frame) != 1) & (terminals[:-1] == 0))
    if len(odd):
        raise DataError(
            f'{where}: found a gap in the pictures of an episode, after step {odd[0]}, which '
            f'{form} has no place for; write own')


def as_rgb(field: ImageField, pixels: np.ndarray) -> np.ndarray:
    """
    Order the colours as other formats have them: red first.

    :param field: What the pictures are.
    :param pixels: Shape (..., n), uint8.
    """
    return pixels[..., ::-1] if field.channels == 'bgr' else pixels


def channel_counts(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """
    Count how often each channel of pictures has each value, a few pictures at a time.

    :param frames: The pictures; of colours, red is counted first.
    :param rows: Which of them.
    :return: Shape (n, 256), int64.
    """
    counts = np.zeros((frames.pixels.shape[3], 256), np.int64)
    for start in range(0, len(rows), _BLOCK):
        block = as_rgb(frames.field, frames.pixels[rows[start:start + _BLOCK]])
        for channel, found in enumerate(counts):
            found += np.bincount(block[..., channel].reshape(-1), minlength=256)
    return counts


def require_same(
        where: object, found: Sequence[Frames], expected: Sequence[ImageField]) -> None:
    """
    Require the cameras of other data.

    :param where: Path of the file, for the error.
    :raises DataError: If they differ.
    """
    theirs, ours = [str(frames.field) for frames in found], [str(field) for field in expected]
    if theirs != ours:
        raise DataError(
            f'{where}: found the pictures {", ".join(theirs) or "none"}, expected '
            f'{", ".join(ours) or "none"} as in the other data')
