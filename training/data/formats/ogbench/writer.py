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
that read ``rewards`` and ``masks``, which OGBench ignores.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.common.files import atomic_path
from training.data.transitions import npz
from training.data.transitions.transitions import DataError, Transitions

STATE = ('qpos', 'qvel', 'button_states')


def write(path: Path, data: Transitions, state: Mapping[str, np.ndarray] | None = None) -> None:
    """
    Write an ``.npz``.

    :param path: Ends in ``.npz``.
    :param data: Transitions to write.
    :param state: Some of :data:`STATE`, shape (steps + episodes, n), one row per row of the file.
    :raises DataError: If the successor of a step is not the observation of the next step, which
        the format cannot represent; or if the state has another number of rows.
    """
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

    with atomic_path(path) as partial:
        npz.write(partial, {
            'observations': with_last(data.observations, data.next_observations[ends]),
            'actions': with_last(data.actions, 0), 'terminals': terminals,
            'rewards': with_last(data.rewards, 0), 'masks': with_last(data.masks, 1),
            **(state or {})})
