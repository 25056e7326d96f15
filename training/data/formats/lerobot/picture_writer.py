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
Writers of the pictures of a LeRobot dataset: as videos, or as PNG files in the frames.

Either also writes the picture after the last step of each episode; see :mod:`.pictures`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.data.formats.lerobot import layout, video
from training.data.formats.lerobot.pictures import as_png, LAST
from training.data.formats.lerobot.statistics import measure_pictures, NAMES
from training.data.transitions.frames import as_rgb, channel_counts, Frames
from training.data.transitions.transitions import DataError, Transitions

# As LeRobot has a picture in Parquet.
_FILE = pa.struct([('bytes', pa.binary()), ('path', pa.string())])


class PictureWriter(ABC):
    """
    Pictures of all cameras of a dataset, episode after episode.

    :param folder: Folder of the dataset.
    :param data: What is written.
    :param rate: Frames per second.

    :ivar columns: Columns of the frames.
    :ivar episode_columns: Columns of the list of episodes.
    :raises DataError: If two cameras have the same name in LeRobot.
    """

    kind: str

    def __init__(self, folder: Path, data: Transitions, rate: int) -> None:
        self._folder, self._data, self._rate = folder, data, rate
        self._keys = [layout.picture_key(frames.field.name) for frames in data.images]
        if len(set(self._keys)) < len(self._keys):
            raise DataError(
                f'{folder}: found cameras whose names are the same in LeRobot, '
                f'{", ".join(self._keys)}; rename one')
        self._counts = {
            key: np.zeros((frames.pixels.shape[3], 256), np.int64)
            for key, frames in zip(self._keys, data.images, strict=True)}
        self.columns: list[tuple[str, pa.DataType]] = []
        channel = pa.list_(pa.list_(pa.list_(pa.float64())))
        self.episode_columns = [
            (f'stats/{key}/{name}', pa.list_(pa.int64()) if name == 'count' else channel)
            for key in self._keys for name in NAMES]

    def __enter__(self) -> PictureWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @abstractmethod
    def _close(self) -> None:
        """Complete the files."""

    @abstractmethod
    def write(self, start: int, end: int) -> tuple[list[pa.Array], dict[str, Any]]:
        """
        Write the pictures of an episode.

        :param start: Its first step.
        :param end: The step after its last one.
        :return: The columns of its frames, and further columns of it in the list of episodes.
        """

    def statistics(self) -> dict[str, Any]:
        """Compute the statistics of each feature, once all is written."""
        return {
            key: measure_pictures(counts, len(self._data)) for key, counts in self._counts.items()}

    def features(self) -> dict[str, Any]:
        """Describe the features, for ``meta/info.json``."""
        return {
            key: {
                'dtype': self.kind, 'shape': list(frames.field.shape),
                'names': ['height', 'width', 'channels'], **self._about(frames.field.shape)}
            for key, frames in zip(self._keys, self._data.images, strict=True)}

    def _about(self, shape: tuple[int, ...]) -> dict[str, Any]:
        return {}

    def _rows(self, start: int, end: int) -> np.ndarray:
        """Frames of an episode: that of each step, and the one after the last."""
        assert self._data.frame is not None
        return np.append(self._data.frame[start:end], self._data.frame[end - 1] + 1)

    def _measure(self, key: str, frames: Frames, rows: np.ndarray) -> dict[str, Any]:
        """Compute the statistics of an episode, without the picture after its last step."""
        counts = channel_counts(frames, rows[:-1])
        self._counts[key] += counts
        return {
            f'stats/{key}/{name}': values
            for name, values in measure_pictures(counts, len(rows) - 1).items()}


class Videos(PictureWriter):
    """A video of each camera, of which a new one begins when the last is large enough."""

    kind = layout.VIDEO

    def __init__(self, folder: Path, data: Transitions, rate: int) -> None:
        super().__init__(folder, data, rate)
        self._open: dict[str, video.VideoWriter] = {}
        self._number = dict.fromkeys(self._keys, 0)
        self.episode_columns += [
            (f'videos/{key}/{name}', kind) for key in self._keys for name, kind in (
                ('chunk_index', pa.int64()), ('file_index', pa.int64()),
                ('from_timestamp', pa.float64()), ('to_timestamp', pa.float64()))]

    def write(self, start: int, end: int) -> tuple[list[pa.Array], dict[str, Any]]:
        """Append an episode to the video of each camera."""
        found: dict[str, Any] = {}
        for key, frames in zip(self._keys, self._data.images, strict=True):
            rows = self._rows(start, end)
            file = self._file(key, frames.field.shape)
            chunk, number = divmod(self._number[key], layout.CHUNK_FILES)
            found |= self._measure(key, frames, rows) | {
                f'videos/{key}/chunk_index': chunk, f'videos/{key}/file_index': number,
                f'videos/{key}/from_timestamp': file.frames / self._rate,
                f'videos/{key}/to_timestamp': (file.frames + end - start) / self._rate}
            for row in rows.tolist():
                file.add(as_rgb(frames.field, frames.pixels[row]))
        return [], found

    def _close(self) -> None:
        for file in self._open.values():
            file.close()

    def _about(self, shape: tuple[int, ...]) -> dict[str, Any]:
        return {'info': video.info(shape, self._rate)}

    def _file(self, key: str, shape: tuple[int, ...]) -> video.VideoWriter:
        """Open the video of a camera that another episode belongs to."""
        file = self._open.get(key)
        if file is not None and file.size >= layout.VIDEO_MEGABYTES * 2**20:
            self._open.pop(key).close()
            self._number[key] += 1
            file = None
        if file is None:
            chunk, number = divmod(self._number[key], layout.CHUNK_FILES)
            file = self._open[key] = video.VideoWriter(
                self._folder / layout.VIDEOS.format(
                    video_key=key, chunk_index=chunk, file_index=number), shape, self._rate)
        return file


class Files(PictureWriter):
    """A PNG file for each picture, in a column of the frames."""

    kind = layout.IMAGE

    def __init__(self, folder: Path, data: Transitions, rate: int) -> None:
        super().__init__(folder, data, rate)
        self.columns = [(key, _FILE) for key in self._keys]
        self._last: dict[str, pq.ParquetWriter] = {}
        for key in self._keys:
            path = self._folder / LAST.format(name=key)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._last[key] = pq.ParquetWriter(
                path, pa.schema([(key, _FILE)]), compression='none', write_page_checksum=True)

    def _close(self) -> None:
        for file in self._last.values():
            file.close()

    def write(self, start: int, end: int) -> tuple[list[pa.Array], dict[str, Any]]:
        """Encode the pictures of an episode."""
        arrays: list[pa.Array] = []
        found: dict[str, Any] = {}
        for key, frames in zip(self._keys, self._data.images, strict=True):
            rows = self._rows(start, end)
            found |= self._measure(key, frames, rows)
            *files, last = (
                {'bytes': as_png(as_rgb(frames.field, frames.pixels[row])), 'path': None}
                for row in rows.tolist())
            arrays.append(pa.array(files, _FILE))
            self._last[key].write_table(pa.table({key: pa.array([last], _FILE)}))
        return arrays, found
