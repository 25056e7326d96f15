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
"""Pictures of a recording in temporary files, as those of an hour do not fit into memory."""

from __future__ import annotations

from dataclasses import replace
import os
import tempfile

import numpy as np

from dfp_ros.core.arrays import PixelArray
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.pictures.picture import Picture

# Bytes of a file.
_CHUNK = 32 << 20


class SpillError(ValueError):
    """The disk has no space for pictures; the message says where."""


class PictureSpill:
    """
    Moves pictures into temporary files, which the system reads back when they are used.

    The files are deleted once no picture refers to them.
    """

    def __init__(self) -> None:
        """Start without a file."""
        self._chunk: PixelArray = np.empty(0, np.uint8)
        self._used = 0

    def keep(self, sample: Sample) -> Sample:
        """
        Return a sample whose pictures are in a file.

        :raises SpillError: If there is no space for it.
        """
        return replace(sample, values={
            name: self._move(value) if isinstance(value, Picture) else value
            for name, value in sample.values.items()})

    def _move(self, picture: Picture) -> Picture:
        """Move the pixels of a picture."""
        size = picture.pixels.nbytes
        if self._used + size > len(self._chunk):
            self._chunk, self._used = _make_chunk(max(_CHUNK, size)), 0
        place = self._chunk[self._used:self._used + size]
        self._used += size
        place[:] = picture.pixels.reshape(-1)
        pixels = np.asarray(place).reshape(picture.pixels.shape)
        pixels.flags.writeable = False
        return replace(picture, pixels=pixels)


def _make_chunk(size: int) -> PixelArray:
    """
    Make a file without a name, mapped into memory.

    :raises SpillError: If there is no space for it.
    """
    try:
        with tempfile.TemporaryFile() as file:
            # Space that is missing would end the process only when a picture is written.
            os.posix_fallocate(file.fileno(), 0, size)
            # The mapping has a descriptor of its own.
            return np.memmap(file, np.uint8, 'r+', shape=(size,))
    except OSError as error:
        raise SpillError(
            f'the pictures of a recording need {size / 1e6:.0f} MB of temporary space, and '
            f'{tempfile.gettempdir()} has none ({error.strerror}); set TMPDIR to a folder with '
            'space') from error
