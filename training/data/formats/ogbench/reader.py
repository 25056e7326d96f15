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
Reader of OGBench's manipulation data: transitions for a single task.

The files are OGBench's ``.npz``; rewards and masks are computed by its ``relabel_dataset``.
"""

from __future__ import annotations

import functools
from pathlib import Path

import gymnasium
import numpy as np
from ogbench.relabel_utils import relabel_dataset

from dfp_ros.core.files.digest import sha256
from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.picture_names import CAMERA, VISUAL
from training.data.formats.ogbench.scenes import (
    ACTION,
    is_visual,
    observe_robot,
    PERIOD,
    scene_of,
    SCENES,
    VISUAL_ROBOT,
)
from training.data.transitions.frames import field_of, Frames, make_room, sealed
from training.data.transitions.npz import Archive, opened
from training.data.transitions.transitions import (
    action_fields,
    DataError,
    observation_fields,
    Transitions,
)


def load(
        path: Path, environment: str, success_timing: str = 'pre',
        rewarded: bool = True) -> Transitions:
    """
    Load a data file for a single-task environment.

    The last row of an episode has no successor, so it yields no transition, as in OGBench's
    loader. Arrays are read one by one, in blocks of rows, and the simulator state, from which the
    rewards are computed, is freed first: peak memory is little more than the transitions.

    :param path: An ``.npz`` in OGBench's format.
    :param environment: For example ``cube-single-singletask-task2-v0``.
    :param success_timing: ``pre`` if reward and mask are those of the state before a step, as in
        OGBench 1.2 and later; ``post`` if those of the state after it, as in 1.1.
    :param rewarded: Whether rewards are wanted, for which an environment is made; if not, they are
        0, the masks 1, and the source does not count the solved steps.
    :raises DataError: If the file is missing, truncated, lacks a key, does not match the
        dimensions of the environment, or contains a number that is not finite.
    """
    scene, sees = SCENES[scene_of(environment)], is_visual(environment)
    with opened(path) as file:
        missing = [key for key in ('terminals', *scene.widths) if key not in file]
        if missing:
            raise DataError(
                f'{path}: the key {missing[0]!r} is missing; found {", ".join(file)}, '
                f'expected terminals, {", ".join(scene.widths)}; name the environment of the '
                'file, or collect or copy it again')
        ends = _ends(path, file)
        before, everything = ~ends, np.ones_like(ends)
        after = np.concatenate([[False], before[:-1]])
        deciding: dict[str, np.ndarray] = {
            key: _rows(path, file, key, scene.widths[key], len(ends), everything)[0]
            for key in ('qpos', 'button_states') if key in scene.widths}
        rewards, masks = _judge(environment, deciding) if rewarded else (
            np.zeros(len(ends), np.float32), np.ones(len(ends), np.float32))
        del deciding
        (actions,) = _rows(path, file, 'actions', scene.widths['actions'], len(ends), before)
        images: tuple[Frames, ...] = ()
        if sees:
            proprioception = observe_robot(*(
                _rows(path, file, key, scene.widths[key], len(ends), everything)[0]
                for key in ('qpos', 'qvel')))
            observations, next_observations = proprioception[before], proprioception[after]
            images = (_frames(path, file, len(ends)),)
        else:
            _rows(path, file, 'qvel', scene.widths['qvel'], len(ends))
            observations, next_observations = _rows(
                path, file, 'observations', scene.widths['observations'], len(ends), before,
                after)
    decides = before if success_timing == 'pre' else after
    rewards, masks = rewards[decides], masks[decides]
    return Transitions(
        observations=observations, actions=actions, next_observations=next_observations,
        rewards=rewards, masks=masks, terminals=ends[after].astype(np.float32),
        observation_fields=observation_fields(
            VISUAL_ROBOT if sees else scene.observation, observations),
        action_fields=action_fields(ACTION, actions), period=PERIOD,
        source={
            'file': path.name, 'sha256': sha256(path), 'steps': len(actions),
            'episodes': int(ends.sum()),
            **({'solved_steps': int((masks == 0).sum())} if rewarded else {})},
        images=images, frame=np.flatnonzero(before) if sees else None).check(path)


def _frames(path: Path, file: Archive, count: int) -> Frames:
    """Read the pictures of a visual data set, which has one in each row."""
    shape, kind = file.header('observations')
    field = field_of(CAMERA, shape[1:])
    if kind != np.uint8 or field is None or len(shape) != 4:
        raise DataError(
            f'{path}: observations: found {kind} of shape {shape}, expected pictures, uint8 of '
            'shape (rows, height, width, 3), as the environment is visual; name the environment '
            'of the file')
    if shape[0] != count:
        raise DataError(
            f'{path}: observations: found {shape[0]} rows, expected {count} as in terminals; '
            'collect or copy the file again')
    pixels = file.mapped('observations')
    if pixels is None:
        pixels = make_room(shape, path)
        for start, block in file.blocks('observations'):
            pixels[start:start + len(block)] = block
        pixels = sealed(pixels)
    return Frames(field, pixels)


def load_unrewarded(path: Path) -> Transitions:
    """
    Load a file of an unknown scene; all rewards are 0.

    :raises DataError: If the file is missing or damaged, or its arrays differ in length.
    """
    with opened(path) as file:
        missing = [key for key in ('terminals', 'observations', 'actions') if key not in file]
        if missing:
            raise DataError(
                f'{path}: the key {missing[0]!r} is missing; found {", ".join(file) or "nothing"},'
                ' expected observations, actions and terminals; collect, convert or copy the file '
                'again')
        ends = _ends(path, file)
        before = ~ends
        after = np.concatenate([[False], before[:-1]])
        (actions,) = _rows(path, file, 'actions', _width(path, file, 'actions'), len(ends), before)
        sees = len(file.header('observations')[0]) == 4
        images = (_frames(path, file, len(ends)),) if sees else ()
        observations, next_observations = _unknown(
            path, file, len(ends), before, after) if sees else _rows(
            path, file, 'observations', _width(path, file, 'observations'), len(ends), before,
            after)
    zeros = np.zeros(len(actions), np.float32)
    return Transitions(
        observations=observations, actions=actions, next_observations=next_observations,
        rewards=zeros, masks=zeros + 1, terminals=ends[after].astype(np.float32),
        observation_fields=observation_fields(
            [('observation', observations.shape[1], '1')], observations),
        action_fields=action_fields([('action', actions.shape[1], '1', 1.0)], actions),
        period=PERIOD, source={'file': path.name}, images=images,
        frame=np.flatnonzero(before) if sees else None).check(path)


def _unknown(
        path: Path, file: Archive, count: int, *wanted: np.ndarray) -> list[np.ndarray]:
    """Read what there is beside the pictures of an unknown scene: the simulator's positions."""
    if 'qpos' not in file:
        raise DataError(
            f'{path}: the key \'qpos\' is missing; found {", ".join(file)}, expected it beside '
            'pictures; collect or copy the file again')
    return _rows(path, file, 'qpos', _width(path, file, 'qpos'), count, *wanted)


def _width(path: Path, file: Archive, key: str) -> int:
    """Read the number of values per row."""
    shape, _ = file.header(key)
    if len(shape) != 2 or not shape[1]:
        raise DataError(
            f'{path}: {key}: found shape {shape}, expected rows of numbers; collect, convert or '
            'copy the file again')
    return shape[1]


def _ends(path: Path, file: Archive) -> np.ndarray:
    """Find the rows that end an episode."""
    terminals = file.array('terminals')
    numbers = terminals.ndim == 1 and terminals.dtype.kind in 'biuf'
    if not numbers or not np.isin(terminals, (0, 1)).all():
        raise DataError(
            f'{path}: terminals: found {terminals.dtype} of shape {terminals.shape}, expected one '
            'column of 0 and 1; write 1 in the last row of an episode, or collect or copy the '
            'file again')
    ends = terminals.astype(bool)
    if not ends[-1:].any():
        raise DataError(
            f'{path}: terminals: found no end of an episode in the last of {len(ends)} rows, '
            'expected 1; the file may be truncated: collect or copy it again')
    empty = np.flatnonzero(ends & np.concatenate([[True], ends[:-1]]))
    if len(empty):
        raise DataError(
            f'{path}: terminals: found an episode of a single row, row {empty[0]}, expected at '
            'least two: an action and the next observation; leave it out, or collect or copy the '
            'file again')
    return ends


def _rows(
        path: Path, file: Archive, key: str, width: int, count: int,
        *wanted: np.ndarray) -> list[np.ndarray]:
    """
    Read selected rows of an array, and validate all of it.

    :param width: Number of values per row.
    :param count: Number of rows in the file.
    :param wanted: Boolean masks of rows; one array is returned for each.
    """
    (*shape,), kind = file.header(key)
    expected = [count, width]
    if shape[1:] == expected[1:] and shape != expected:
        raise DataError(
            f'{path}: {key}: found {shape[0]} rows, expected {count} as in terminals; collect or '
            'copy the file again')
    if shape != expected:
        raise DataError(
            f'{path}: {key} has shape {tuple(shape)}, the environment needs {tuple(expected)}; '
            'name the environment of the file')
    counted = key == 'button_states'
    if not counted:
        if not np.issubdtype(kind, np.floating):
            raise DataError(
                f'{path}: {key}: found {kind}, expected float32; write it as such, or collect or '
                'copy the file again')
        kind = np.dtype(np.float32)
    taken = [np.empty((np.count_nonzero(mask), shape[1]), kind) for mask in wanted]
    filled = [0] * len(wanted)
    for start, block in file.blocks(key):
        with np.errstate(over='ignore'):  # float32 overflow gives inf, which is rejected below
            values = block.astype(kind, copy=False)
        fine = np.isin(values, (0, 1)) if counted else np.isfinite(values)
        if not fine.all():
            odd = 'other than 0 and 1' if counted else 'that is not finite'
            row = start + int(np.argwhere(~fine)[0][0])
            raise DataError(
                f'{path}: {key} holds a number {odd}, in row {row}; leave its episode out, or '
                'collect or copy the file again')
        for i, mask in enumerate(wanted):
            rows = values[mask[start:start + len(values)]]
            taken[i][filled[i]:filled[i] + len(rows)] = rows
            filled[i] += len(rows)
    return taken


def _judge(environment: str, state: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Compute reward and mask of each row, for the task of the environment."""
    # Rewards are of the state; without pictures, nothing is drawn.
    environment = environment.removeprefix(VISUAL)
    # OGBench derives from the environment's name which state to compute the reward from.
    relabel_dataset(environment, _make_judge(environment), state)
    return state['rewards'], state['masks']


@functools.lru_cache(maxsize=1)
def _make_judge(environment: str) -> gymnasium.Env:
    """Make an environment, which takes longer than to read a file, for all files of a task."""
    return make_env(environment)
