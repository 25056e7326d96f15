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
Pictures of an online phase, in files beside the checkpoint of the run.

A checkpoint has the numbers of the added steps, but it would take long to write all their pictures
each time. So these are appended to a file for each camera, and a checkpoint has their number and
their checksums; what was appended after it is cut off when the run resumes.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import zlib

import numpy as np
import torch

from dfp_ros.spec_images import ImageField
from training.learning import distributed
from training.learning.trainer.checkpoint_file import CheckpointError

#: Name of the file of a camera, by its place; other ranks than the first have their own.
FILE, RANKS_FILE = 'added-{camera}.frames', 'added-{camera}-rank-{rank}.frames'
# Bytes that are read at a time when a file is checked.
_BLOCK = 1 << 20


class AddedFrames:
    """
    Pictures of all cameras that were added, in order.

    :param folder: Folder of the run.
    :param fields: Their names, sizes and channels.
    """

    def __init__(self, folder: Path, fields: Sequence[ImageField]) -> None:
        self._fields = tuple(fields)
        self._paths = _paths(folder, len(fields))
        self._files = [path.open('w+b', buffering=0) for path in self._paths]
        self._sums = [0] * len(fields)
        self._count = 0

    def __len__(self) -> int:
        """Count the pictures of each camera."""
        return self._count

    def append(self, pictures: Sequence[np.ndarray]) -> int:
        """
        Add the pictures of an observation.

        :param pictures: Of each camera, shape (height, width, n), uint8.
        :return: Their index.
        :raises OSError: If the disk is full.
        """
        for i, (field, picture) in enumerate(zip(self._fields, pictures, strict=True)):
            if picture.shape != field.shape or picture.dtype != np.uint8:
                raise ValueError(
                    f'{field.name}: found a picture of {picture.dtype} and shape {picture.shape}, '
                    f'expected uint8 and {field.shape}, as the data have them')
            content = np.ascontiguousarray(picture).tobytes()
            place = self._count * len(content)
            written = 0
            while written < len(content):
                written += os.pwrite(self._files[i].fileno(), content[written:], place + written)
            self._sums[i] = zlib.crc32(content, self._sums[i])
        self._count += 1
        return self._count - 1

    def read(self, camera: int, rows: np.ndarray) -> np.ndarray:
        """
        Read pictures of a camera.

        :param camera: Its place.
        :param rows: Their indices, shape (count,).
        :return: Shape (count, height, width, n), uint8.
        """
        found = np.empty((len(rows), *self._fields[camera].shape), np.uint8)
        for place, row in zip(found, rows.tolist(), strict=True):
            os.preadv(self._files[camera].fileno(), [place.data], row * place.nbytes)
        return found

    def state(self) -> dict[str, torch.Tensor]:
        """State to save in a checkpoint, once the pictures are on the disk."""
        for file in self._files:
            os.fdatasync(file.fileno())
        return {'frames': torch.tensor(self._count), 'sums': torch.tensor(self._sums)}


def reopen(
        folder: Path, fields: Sequence[ImageField], state: dict[str, torch.Tensor]) -> AddedFrames:
    """
    Open the files of a run that resumes, and cut off what its checkpoint does not have.

    :param state: State that :meth:`AddedFrames.state` returned.
    :raises CheckpointError: If they are missing or were changed.
    """
    made = AddedFrames.__new__(AddedFrames)
    made._fields = tuple(fields)
    made._paths = _paths(folder, len(fields))
    made._count, made._sums = int(state['frames']), state['sums'].tolist()
    made._files = []
    for path, field, wanted in zip(made._paths, fields, made._sums, strict=True):
        size = made._count * int(np.prod(field.shape))
        try:
            file = path.open('r+b', buffering=0)
        except OSError as error:
            raise CheckpointError(
                f'{path}: cannot be opened ({error.strerror}), but has the pictures of the online '
                'phase; copy it there beside the checkpoint, or start another run') from error
        made._files.append(file)
        found, left = 0, size
        while left and (content := file.read(min(left, _BLOCK))):
            found, left = zlib.crc32(content, found), left - len(content)
        if left or found != wanted:
            raise CheckpointError(
                f'{path}: found {"fewer" if left else "other"} pictures than the {made._count} of '
                'the checkpoint; copy the whole folder of the run again, or start another run')
        file.truncate(size)
    return made


def _paths(folder: Path, cameras: int) -> list[Path]:
    rank = distributed.own()
    name = RANKS_FILE if rank else FILE
    return [folder / name.format(camera=i, rank=rank) for i in range(cameras)]
