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
Layout of LeRobot's datasets, version 3: folders, features, and ``meta/info.json``.

A dataset is a folder. ``data/chunk-000/file-000.parquet`` and so on hold the frames of all
episodes, a column for each feature; ``meta/`` describes features, tasks and episodes, and has the
statistics; ``videos/`` holds what cameras saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.text.printable import listed, printable, quoted
from training.data.transitions.errors import permitted
from training.data.transitions.transitions import DataError

VERSION = 'v3.0'
INFO, STATISTICS, TASKS = 'meta/info.json', 'meta/stats.json', 'meta/tasks.parquet'
DATA_FOLDER, EPISODES_FOLDER = 'data', 'meta/episodes'
#: Name of a file in either folder, as LeRobot formats it.
FILE = 'chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
VIDEOS = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
#: Most files of a chunk, and largest files in MB, as LeRobot writes them.
CHUNK_FILES, DATA_MEGABYTES, VIDEO_MEGABYTES = 1000, 100, 200

STATE, ACTION, REWARD = 'observation.state', 'action', 'next.reward'
DONE, SUCCESS, INTERVENTION = 'next.done', 'next.success', 'intervention'
#: Begin of the name of a feature that LeRobot's policies take for pictures.
PICTURES = 'observation.images.'
#: Types of pictures: frames of videos, or PNG files.
VIDEO, IMAGE = 'video', 'image'
#: Observation after a step: this package's own feature, which LeRobot's policies ignore.
SUCCESSOR = 'next.observation.state'
TIMESTAMP, FRAME, EPISODE, INDEX, TASK = (
    'timestamp', 'frame_index', 'episode_index', 'index', 'task_index')
#: Features that say where a frame is, rather than what was seen or done.
PLACES = (TIMESTAMP, FRAME, EPISODE, INDEX, TASK)

_NUMBERED = re.compile(r'chunk-(\d{3,9})/file-(\d{3,9})\.parquet')
_NUMBERS = re.compile(r'float(16|32|64)|u?int(8|16|32|64)|bool')
# Enough for thousands of names.
_LONGEST_JSON = 4_000_000
_MOST_FEATURES, _MOST_DIMENSIONS, _MOST_FILES = 1000, 8, 1_000_000


@dataclass(frozen=True)
class Feature:
    """
    A feature of a dataset.

    :param kind: Its ``dtype``: that of numbers, or ``video``, ``image``, ``string``.
    :param shape: Shape of its value in one frame.
    :param names: A name for each number; empty if the dataset has none, or not that many.
    :param is_depth: Whether it is a video of distances, which has 12 bits a pixel.
    """

    kind: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    is_depth: bool = False

    @property
    def is_row(self) -> bool:
        """Tell whether a frame has a number or a row of numbers of it."""
        return len(self.shape) == 1 and bool(_NUMBERS.fullmatch(self.kind)) and self.shape[0] > 0

    @property
    def is_number(self) -> bool:
        """Tell whether a frame has one number of it."""
        return self.is_row and self.shape == (1,)

    @property
    def is_pictures(self) -> bool:
        """Tell whether a frame has a picture of it."""
        return len(self.shape) == 3 and self.kind in (VIDEO, IMAGE) and not self.is_depth

    @property
    def pixels(self) -> tuple[int, ...]:
        """Return height, width and numbers of a pixel, which some datasets have first."""
        shape = self.shape
        return shape if shape[2] in (1, 3) else (*shape[1:], shape[0])

    def __str__(self) -> str:
        """Describe it, for what is left out."""
        size = ' x '.join(map(str, self.shape))
        return f'{printable(self.kind)} {size}' if size else printable(self.kind)


@dataclass(frozen=True)
class Info:
    """
    Contents of ``meta/info.json``.

    :param rate: Frames per second.
    :param features: Features by name.
    :param frames: Number of frames.
    :param episodes: Number of episodes.
    :param robot: Kind of robot; empty if not given.
    """

    rate: float
    features: dict[str, Feature]
    frames: int
    episodes: int
    robot: str


def is_dataset(path: Path) -> bool:
    """
    Tell whether a path is the folder of a dataset, of any version.

    :raises DataError: If this user may not look into it.
    """
    with permitted(path):
        return (path / INFO).is_file()


def read_text(path: Path, longest: int = _LONGEST_JSON) -> bytes:
    """
    Read a small file.

    :raises DataError: If it is missing, no regular file, or longer.
    """
    with permitted(path):
        if not path.is_file():
            raise DataError(
                f'{path}: found no such file, expected one, as in each LeRobot dataset; copy the '
                'dataset again')
        with path.open('rb') as file:
            content = file.read(longest + 1)
    if len(content) > longest:
        raise DataError(f'{path}: found more than {longest} bytes; copy the dataset again')
    return content


def read_info(folder: Path) -> Info:
    """
    Read ``meta/info.json``.

    :param folder: Folder of the dataset.
    :raises DataError: If it is missing, damaged, or of another version.
    """
    path = folder / INFO
    try:
        content = read_json(read_text(path), _LONGEST_JSON, infinite=True)
    except JsonError as error:
        raise DataError(f'{path}: {error}; copy the dataset again') from error
    if not isinstance(content, dict):
        raise DataError(f'{path}: found {quoted(content)}, expected keys and values; copy the '
                        'dataset again')
    version = content.get('codebase_version')
    if version != VERSION:
        remedy = (
            'convert it with LeRobot: `python -m lerobot.scripts.convert_dataset_v21_to_v30`'
            if str(version).startswith('v2') else 'copy the dataset again')
        raise DataError(
            f'{path}: codebase_version: found {quoted(version)}, expected {VERSION!r}; {remedy}')
    given = content.get('features')
    if not isinstance(given, dict) or len(given) > _MOST_FEATURES:
        raise DataError(
            f'{path}: features: found {quoted(given)}, expected at most {_MOST_FEATURES} '
            'features by name; copy the dataset again')
    robot = content.get('robot_type')
    return Info(
        _rate(path, content.get('fps')),
        {name: _feature(path, name, feature) for name, feature in given.items()},
        _count(path, content, 'total_frames'), _count(path, content, 'total_episodes'),
        printable(robot) if isinstance(robot, str) else '')


def files(folder: Path, part: str) -> list[Path]:
    """
    List the numbered files of a dataset, in their order.

    :param folder: Folder of the dataset.
    :param part: :data:`DATA_FOLDER` or :data:`EPISODES_FOLDER`.
    :raises DataError: If there is none, or one is no regular file.
    """
    found = dict(_numbered(folder / part))
    if not found:
        raise DataError(
            f'{folder / part}: found no file, expected chunk-000/file-000.parquet and so on; '
            'copy the dataset again')
    paths = [found[number] for number in sorted(found)]
    for path in paths:
        if not path.is_file():
            raise DataError(
                f'{path}: found no regular file, expected one; copy the dataset again')
    return paths


def _numbered(place: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    for count, path in enumerate(place.glob('chunk-*/file-*.parquet')):
        if count >= _MOST_FILES:
            raise DataError(
                f'{place}: found more than {_MOST_FILES} files; copy the dataset again')
        match = _NUMBERED.fullmatch(path.relative_to(place).as_posix())
        if match:
            yield (int(match[1]), int(match[2])), path


def _rate(path: Path, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 1000:
        raise DataError(
            f'{path}: fps: found {quoted(value)}, expected 1 to 1000 frames per second; copy the '
            'dataset again, or leave out frames of a faster one')
    return float(value)


def _count(path: Path, content: dict[str, Any], key: str) -> int:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(
            f'{path}: {key}: found {quoted(value)}, expected a count; copy the dataset again')
    return value


def _feature(path: Path, name: str, given: Any) -> Feature:
    shape = given.get('shape') if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(given.get('dtype'), str) or not (
            isinstance(shape, list) and len(shape) <= _MOST_DIMENSIONS and all(
                isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**31
                for size in shape)):
        raise DataError(
            f'{path}: features: {printable(name)}: found {quoted(given)}, expected dtype and '
            'shape; copy the dataset again')
    size = shape[0] if len(shape) == 1 else 0
    about = given.get('info')
    is_depth = isinstance(about, dict) and any(
        about.get(key) is True for key in ('is_depth_map', 'video.is_depth_map'))
    return Feature(given['dtype'], tuple(shape), _names(given.get('names'), size), is_depth)


def _names(given: Any, size: int) -> tuple[str, ...]:
    """Find a name for each number: LeRobot has lists, lists by kind, and indices by name."""
    found = given
    if isinstance(given, dict):
        values = list(given.values())
        if all(isinstance(value, list) for value in values):
            found = [name for value in values for name in value]
        elif sorted(values, key=str) == sorted(range(len(values)), key=str):
            found = sorted(given, key=lambda name: given[name])
    if not isinstance(found, list) or len(found) != size or not all(
            isinstance(name, str) and name and name.isprintable() for name in found):
        return ()
    return tuple(found) if len(set(found)) == size else ()


def require_row(folder: Path, info: Info, name: str, most: int, option: str = '') -> int:
    """
    Require a feature that is a row of numbers.

    :param most: Most numbers of it.
    :param option: Option that names other features.
    :return: Their number.
    :raises DataError: If there is none, or it is something else.
    """
    feature = info.features.get(name)
    if feature is None or not feature.is_row or feature.shape[0] > most:
        rows = [key for key, other in info.features.items() if other.is_row
                and key not in PLACES]
        found = 'nothing of that name' if feature is None else str(feature)
        raise DataError(
            f'{folder / INFO}: features: {printable(name)}: found {found}, expected a row of at '
            f'most {most} numbers; the dataset has {listed(rows) or "none"}'
            + (f'; name others with {option}' if option else ''))
    return feature.shape[0]


def picture_key(name: str) -> str:
    """Name the feature of a camera."""
    return PICTURES + re.sub(r'[^A-Za-z0-9_.-]', '_', name)


def split_keys(info: Info, keys: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Split the parts of an observation into rows of numbers and pictures.

    :param keys: Names of features; without a row of numbers, ``observation.state`` is one.
    """
    seen = tuple(
        key for key in keys if key in info.features and info.features[key].is_pictures)
    return tuple(key for key in keys if key not in seen) or (STATE,), seen
