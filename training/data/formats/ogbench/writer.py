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
Writer of OGBench's data format, for use with its loaders.

The format stores one observation per row and no reward. An episode has one row more than steps,
for the observation after the last step; ``ogbench.utils.load_dataset`` splits the rows again. The
simulator state (``qpos``, ``qvel``, ``button_states``), from which ``relabel_dataset`` computes
rewards, is written if it is known. A file without it serves algorithms that need no reward, or
that read ``rewards`` and ``masks``, which OGBench ignores. The observations of a visual data set
are pictures, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.common.files import atomic_path
from training.data.transitions import npz
from training.data.transitions.frames import as_rgb, Frames, make_room, require_whole
from training.data.transitions.transitions import DataError, Transitions

STATE = ('qpos', 'qvel', 'button_states')
# Pictures that are copied at a time.
_BLOCK = 64


def write(path: Path, data: Transitions, state: Mapping[str, np.ndarray] | None = None) -> None:
    """
    Write an ``.npz``.

    :param path: Ends in ``.npz``.
    :param data: Transitions to write.
    :param state: Some of :data:`STATE`, shape (steps + episodes, n), one row per row of the file.
    :raises DataError: If the successor of a step is not the observation of the next step, which
        the format cannot represent; or if the state has another number of rows; or if there are
        pictures of several cameras, or not of three colours.
    """
    seen = _require_one_camera(path, data)
    ends = np.flatnonzero(data.terminals)
    inner = np.flatnonzero(data.terminals[:-1] == 0)
    broken = inner[(data.next_observations[inner] != data.observations[inner + 1]).any(axis=1)]
    if len(broken):
        raise DataError(
            f'{path}: next_observations: found another observation after row {broken[0]} than in '
            f"row {broken[0] + 1} of the same episode, which OGBench's format cannot represent; "
            "end the episode there, or write Robomimic's format")
    rows = len(data) + len(ends)
    for key, values in (state or {}).items():
        if len(values) != rows:
            raise DataError(
                f'{path}: {key}: found {len(values)} rows, expected {rows}, one more per episode '
                'than steps')
    last = ends + np.arange(1, len(ends) + 1)
    terminals = np.zeros(rows, bool)
    terminals[last] = True

    def with_last(values: np.ndarray, after: np.ndarray | float) -> np.ndarray:
        room = np.empty((rows, *values.shape[1:]), values.dtype)
        room[~terminals], room[last] = values, after
        return room

    observations = with_last(data.observations, data.next_observations[ends]) if (
        seen is None) else _in_rows(path, data, seen, rows, last)
    with atomic_path(path) as partial:
        npz.write(partial, {
            'observations': observations,
            'actions': with_last(data.actions, 0), 'terminals': terminals,
            'rewards': with_last(data.rewards, 0), 'masks': with_last(data.masks, 1),
            **(state or {})}, mapped=() if seen is None else ('observations',))


def _require_one_camera(path: Path, data: Transitions) -> Frames | None:
    """Require pictures as OGBench has them, if there are some."""
    require_whole(path, data.frame, data.terminals, "OGBench's format")
    names = [str(frames.field) for frames in data.images]
    if len(names) > 1 or names and data.images[0].field.channels not in ('rgb', 'bgr'):
        raise DataError(
            f'{path}: found the pictures {", ".join(names)}, expected one camera in colour, as '
            "OGBench's observations are one picture; write Robomimic's format")
    return data.images[0] if names else None


def _in_rows(
        path: Path, data: Transitions, seen: Frames, rows: int, last: np.ndarray) -> np.ndarray:
    """Put pictures into the rows of a file: those of the steps, and one after each episode."""
    assert data.frame is not None
    frame = np.empty(rows, np.int64)
    is_last = np.zeros(rows, bool)
    is_last[last] = True
    frame[~is_last] = data.frame
    frame[last] = data.frame[np.flatnonzero(data.terminals)] + 1
    pixels = seen.pixels
    if seen.field.channels == 'rgb' and np.array_equal(frame, np.arange(len(pixels))):
        return pixels
    room = make_room((rows, *seen.field.shape), path)
    for start in range(0, rows, _BLOCK):
        room[start:start + _BLOCK] = as_rgb(seen.field, pixels[frame[start:start + _BLOCK]])
    return room
