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
Videos of a LeRobot dataset, with PyAV.

As LeRobot does, AV1 with half as many numbers of colour in both directions; but H.264 with all of
them for pictures that AV1's encoder does not take, which are small or of an odd size. PyAV is
needed for videos alone.
"""

from __future__ import annotations

from collections.abc import Iterator
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from dfp_ros.core.text.printable import printable
from training.common.scheduling import kept_scheduling
from training.data.transitions.transitions import DataError

# Smallest side that the encoder of AV1 takes.
_AV1_SIDE = 64
# Every second frame is whole, so that a frame is decoded with at most one other.
_OPTIONS = {'g': '2'}
_AV1 = 'libsvtav1', 'yuv420p', {**_OPTIONS, 'crf': '30', 'preset': '8'}
_H264 = 'libx264', 'yuv444p', {**_OPTIONS, 'crf': '10', 'preset': 'fast'}
_NAMES = {'libsvtav1': 'av1', 'libx264': 'h264'}
_REMEDY = 'copy the dataset again'


def _library(path: Path) -> Any:
    """
    Import PyAV.

    :param path: A video, or a folder of them, for the error.
    :raises DataError: If it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise DataError(
            f'{path}: videos need PyAV, which is not installed; install it with `pip install av`'
        ) from error
    # What it has to say is raised, too. The encoder of AV1 prints its settings otherwise.
    av.logging.set_level(av.logging.PANIC)
    os.environ.setdefault('SVT_LOG', '1')
    return av


class VideoWriter:
    """
    A video that is written frame by frame.

    :param path: The file to write.
    :param shape: Height, width and numbers of a pixel.
    :param rate: Frames per second.
    :raises DataError: If PyAV is not installed.

    :ivar frames: Number of frames so far.
    :ivar size: Number of bytes so far.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], rate: int) -> None:
        self._library = _library(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames = self.size = 0
        self._kind = 'rgb24' if shape[2] == 3 else 'gray'
        codec, layout, options = _encoding(shape)
        self._file = self._library.open(str(path), 'w')
        self._stream = self._file.add_stream(codec, rate=rate, options=options)
        self._stream.height, self._stream.width = shape[:2]
        self._stream.pix_fmt = layout
        # SVT-AV1 gives itself the highest real-time priority if it runs as root.
        with kept_scheduling():
            self._stream.codec_context.open()

    def add(self, picture: np.ndarray) -> None:
        """Append a frame, shape (height, width, n), uint8."""
        if self._kind == 'gray':
            picture = picture[..., 0]
        frame = self._library.VideoFrame.from_ndarray(
            np.ascontiguousarray(picture), format=self._kind)
        frame.pts = self.frames
        self._pass(frame)
        self.frames += 1

    def close(self) -> None:
        """Write what is left, and the index."""
        if self.frames:
            self._pass(None)
        self._file.close()

    def _pass(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self.size += packet.size
            self._file.mux(packet)


def info(shape: tuple[int, ...], rate: int) -> dict[str, Any]:
    """Describe a video as ``meta/info.json`` does."""
    codec, layout, _ = _encoding(shape)
    return {
        'video.height': shape[0], 'video.width': shape[1], 'video.codec': _NAMES[codec],
        'video.pix_fmt': layout, 'video.fps': rate, 'video.channels': 3, 'has_audio': False,
        'is_depth_map': False}


def decoded(
        path: Path, shape: tuple[int, ...], rate: float) -> Iterator[tuple[int, np.ndarray]]:
    """
    Decode a video, one frame after the other.

    :param path: The file.
    :param shape: Height, width and numbers of a pixel, as they should be.
    :param rate: Frames per second.
    :return: For each frame, its number by its time, and its pixels, uint8.
    :raises DataError: If PyAV is not installed, or the file is damaged or of another size.
    """
    library = _library(path)
    if not path.is_file():
        raise DataError(f'{path}: found no such video, expected one; {_REMEDY}')
    try:
        with library.open(str(path)) as file:
            if not file.streams.video:
                raise DataError(f'{path}: found no video in it; {_REMEDY}')
            stream = file.streams.video[0]
            _require_size(path, stream.codec_context, shape)
            for frame in file.decode(stream):
                # The size may change within a video.
                _require_size(path, frame, shape)
                if frame.pts is None:
                    raise DataError(f'{path}: found a frame without a time; {_REMEDY}')
                seconds = float(frame.pts * frame.time_base)
                if frame.is_corrupt:
                    # Concealed with what is around it.
                    raise DataError(
                        f'{path}: found a damaged frame at {seconds:g} s, expected a whole one; '
                        f'{_REMEDY}, or leave out its episode')
                pixels = frame.to_ndarray(format='rgb24' if shape[2] == 3 else 'gray')
                yield math.floor(seconds * rate + 0.5), pixels.reshape(shape)
    except (library.FFmpegError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f'{path}: found a video that cannot be decoded ({printable(error, 200)}); {_REMEDY}'
        ) from error


def _encoding(shape: tuple[int, ...]) -> tuple[str, str, dict[str, str]]:
    """Choose codec, layout of pixels and options."""
    height, width = shape[:2]
    is_small = min(height, width) < _AV1_SIDE
    return _H264 if is_small or height % 2 or width % 2 else _AV1


def _require_size(path: Path, found: Any, shape: tuple[int, ...]) -> None:
    if (found.height, found.width) != tuple(shape[:2]):
        raise DataError(
            f'{path}: found frames of {found.height} x {found.width}, expected {shape[0]} x '
            f'{shape[1]}, as in meta/info.json; {_REMEDY}')
