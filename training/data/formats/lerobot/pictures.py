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
Pictures of a LeRobot dataset: videos, or PNG files in a column of the frames.

Both have a picture for each frame of an episode, but none after its last step. Ours have that one,
too: it is one more frame of the episode's video, which LeRobot never asks for, or it is in a file
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
import io
from pathlib import Path

import numpy as np
from PIL import Image

from dfp_ros.core.pictures.decoding import require_whole
from dfp_ros.core.text.printable import printable
from dfp_ros.spec_bounds import SpecError
from dfp_ros.spec_images import check_images, ImageField
from training.data.formats.lerobot import layout, video
from training.data.formats.lerobot.layout import Info
from training.data.formats.lerobot.parquet import opened
from training.data.transitions.frames import as_rgb, field_of, Frames, make_room, sealed
from training.data.transitions.transitions import DataError

#: Pictures after the last step of each episode, for features of PNG files.
LAST = 'meta/dfp_ros_last/{name}.parquet'
_REMEDY = 'copy the dataset again'


class Place:
    """
    Where the pictures of a dataset go: one for each frame of an episode, and one after it.

    :param lengths: Number of frames of each episode.
    :param numbers: Number of each episode.
    :param chosen: Whether anything of it is read.
    """

    def __init__(self, lengths: np.ndarray, numbers: np.ndarray, chosen: np.ndarray) -> None:
        self.lengths, self.numbers, self.chosen = lengths, numbers, chosen
        rows = np.where(chosen, lengths + 1, 0)
        # Place of the first picture of each episode.
        self.first = np.cumsum(rows) - rows
        self.count = int(rows.sum())
        episode = np.repeat(np.arange(len(lengths)), lengths)
        starts = np.cumsum(lengths) - lengths
        # Place of the picture of each frame; -1 if it is not read.
        self.frame = np.where(
            chosen[episode], self.first[episode] + np.arange(len(episode)) - starts[episode], -1)

    def fill_last(self, pixels: np.ndarray) -> None:
        """Repeat the last picture of each episode, if nothing uses the one after it."""
        for end in (self.first + self.lengths)[self.chosen].tolist():
            pixels[end] = pixels[end - 1]


def field_named(folder: Path, info: Info, key: str) -> ImageField:
    """
    Describe the pictures of a feature.

    :raises DataError: If they are of a kind that no policy sees.
    """
    feature = info.features[key]
    name = key.removeprefix(layout.PICTURES).removeprefix('observation.')
    field = field_of(name, feature.pixels)
    try:
        if field is not None:
            check_images([field])
            return field
        reason = 'expected a height, a width, and 3 or 1 channels'
    except SpecError as error:
        reason = str(error)
    raise DataError(
        f'{folder / layout.INFO}: features: {printable(key)}: found {feature}, {reason}; name '
        'other --observation-keys')


def load(
        folder: Path, info: Info, key: str, field: ImageField, place: Place,
        has_last: bool) -> Frames:
    """
    Decode the pictures of a feature.

    :param folder: Folder of the dataset.
    :param key: Name of the feature.
    :param field: What they are.
    :param place: Where they go.
    :param has_last: Whether there is one after the last step of each episode, as in ours.
    :raises DataError: If one is missing or damaged.
    """
    if '/' in key or key.startswith('.'):
        raise DataError(
            f'{folder / layout.INFO}: features: found {printable(key)!r}, expected a name that '
            f'can be that of a folder; {_REMEDY}')
    pixels = make_room((place.count, *field.shape), folder / layout.INFO)
    if info.features[key].kind == 'video':
        _fill_from_videos(folder, info, key, field, place, has_last, pixels)
    else:
        _fill_from_files(folder, key, field, place, has_last, pixels)
    if not has_last:
        place.fill_last(pixels)
    return Frames(field, sealed(pixels))


def videos(folder: Path, key: str) -> dict[int, tuple[Path, float]]:
    """
    Find the video of each episode, and when it begins there, in s.

    :raises DataError: If the list of episodes does not say.
    """
    names = [f'videos/{key}/{part}' for part in ('chunk_index', 'file_index', 'from_timestamp')]
    found = {}
    for path in layout.files(folder, layout.EPISODES_FOLDER):
        with opened(path) as table:
            for _, block in table.blocks(dict.fromkeys((layout.EPISODE, *names), 1)):
                for number, chunk, file, begin in zip(
                        block[layout.EPISODE][:, 0].tolist(),
                        *(block[name][:, 0].tolist() for name in names), strict=True):
                    if not (0 <= chunk < 1e6 and 0 <= file < 1e6 and 0 <= begin < 1e7):
                        raise DataError(
                            f'{path}: videos/{printable(key)}: found file {file} of chunk '
                            f'{chunk} from {begin} s, expected a place of a video; {_REMEDY}')
                    found[int(number)] = folder / layout.VIDEOS.format(
                        video_key=key, chunk_index=int(chunk), file_index=int(file)), begin
    return found


def _fill_from_videos(
        folder: Path, info: Info, key: str, field: ImageField, place: Place, has_last: bool,
        pixels: np.ndarray) -> None:
    """Decode each video once, and keep the frames of the chosen episodes."""
    where = videos(folder, key)
    parts: dict[Path, list[tuple[int, int]]] = {}
    for i in np.flatnonzero(place.chosen).tolist():
        if (number := int(place.numbers[i])) not in where:
            raise DataError(
                f'{folder / layout.EPISODES_FOLDER}: found no video of episode {number}; '
                f'{_REMEDY}')
        path, begin = where[number]
        parts.setdefault(path, []).append((round(begin * info.rate), i))
    counts = place.lengths + has_last
    is_there = np.zeros(place.count, bool)
    for path, episodes in parts.items():
        begins, order = (np.array(column) for column in zip(*sorted(episodes), strict=True))
        for number, picture in video.decoded(path, field.shape, info.rate):
            found = np.searchsorted(begins, number, 'right') - 1
            if found >= 0 and (offset := number - begins[found]) < counts[order[found]]:
                goal = place.first[order[found]] + offset
                pixels[goal], is_there[goal] = as_rgb(field, picture), True
        for begin, i in zip(begins.tolist(), order.tolist(), strict=True):
            first = place.first[i]
            missing = np.flatnonzero(~is_there[first:first + counts[i]])
            if len(missing):
                raise DataError(
                    f'{path}: found no frame at {(begin + missing[0]) / info.rate:g} s, expected '
                    f'{info.rate:g} frames per second for all of episode {place.numbers[i]}; '
                    f'{_REMEDY}')


def _fill_from_files(
        folder: Path, key: str, field: ImageField, place: Place, has_last: bool,
        pixels: np.ndarray) -> None:
    """Decode the PNG files in a column of the frames."""
    row = 0
    for path in layout.files(folder, layout.DATA_FOLDER):
        for file in _files(path, key):
            if place.frame[row] >= 0:
                pixels[place.frame[row]] = _decoded(path, key, file, field, row)
            row += 1
    if has_last:
        path = folder / LAST.format(name=key)
        ends = place.first + place.lengths
        found = 0
        for i, file in enumerate(_files(path, key)):
            if i < len(ends) and place.chosen[i]:
                pixels[ends[i]] = _decoded(path, key, file, field, i)
            found += 1
        if found != len(ends):
            raise DataError(
                f'{path}: found {found} pictures, expected {len(ends)}, one for each episode; '
                f'{_REMEDY}')


def _files(path: Path, key: str) -> Iterator[bytes]:
    with opened(path) as table:
        yield from table.binaries(f'{key}.bytes')


def _decoded(path: Path, key: str, file: bytes, field: ImageField, row: int) -> np.ndarray:
    """Decode a PNG file, after its size is known to be right."""
    try:
        # A size in the file that is too large would take much memory.
        with Image.open(io.BytesIO(file), formats=('PNG', 'JPEG')) as picture:
            if (picture.height, picture.width) != field.shape[:2]:
                raise DataError(
                    f'{path}: {printable(key)}: found a picture of {picture.height} x '
                    f'{picture.width} in row {row}, expected {field.height} x {field.width} as '
                    f'in {layout.INFO}; {_REMEDY}')
            require_whole(file, field.width, field.height)
            found = np.asarray(picture.convert('RGB' if field.shape[2] == 3 else 'L'))
            return as_rgb(field, found.reshape(field.shape))
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f'{path}: {printable(key)}: found a picture in row {row} that cannot be decoded '
            f'({printable(error, 200)}); {_REMEDY}') from error


def as_png(picture: np.ndarray) -> bytes:
    """Encode a picture, shape (height, width, n), uint8, without a loss."""
    file = io.BytesIO()
    picture = np.ascontiguousarray(picture)
    Image.fromarray(picture if picture.shape[2] == 3 else picture[..., 0]).save(file, 'PNG')
    return file.getvalue()
