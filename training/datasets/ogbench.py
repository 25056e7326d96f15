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
OGBench's manipulation data, for a single task, as transitions.

The files are OGBench's own ``.npz``; rewards and masks come from its ``relabel_dataset``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import zipfile
import zlib

import numpy as np
from ogbench.relabel_utils import relabel_dataset

from dfp_ros.robots.ogbench_env import make_env
from training.datasets.ogbench_scenes import ACTION, PERIOD, Scene, scene_of, SCENES
from training.provenance import sha256
from training.transitions import action_fields, DataError, observation_fields, Transitions


def load(path: Path, environment: str, success_timing: str = 'pre') -> Transitions:
    """
    Load a data file for a single-task environment.

    An episode's last row has no successor, so it gives no transition, as in OGBench's loader.
    Each array is dropped before the next one is read: what is held at once is never much more
    than the transitions themselves.

    :param path: An ``.npz`` in OGBench's format.
    :param environment: For example ``cube-single-singletask-task2-v0``.
    :param success_timing: ``pre`` where the state before a step decides its reward and mask, as
        in OGBench from 1.2 on; ``post`` where the state after it does, as in 1.1.
    :raises DataError: Where the file is missing, cut off, lacks a key, has other dimensions
        than the environment, or holds a number that is not finite.
    """
    scene = SCENES[scene_of(environment)]
    with _opened(path) as file:
        missing = [key for key in ('terminals', *scene.widths) if key not in file]
        if missing:
            raise DataError(
                f'{path}: the key {missing[0]!r} is missing; found {", ".join(file)}, '
                f'expected terminals, {", ".join(scene.widths)}')
        ends = _ends(path, file)
        rewards, masks = _judge(environment, {
            key: _rows(path, file, key, scene, len(ends))
            for key in ('qpos', 'button_states') if key in scene.widths})
        _rows(path, file, 'qvel', scene, len(ends))
        before = ~ends
        after = np.concatenate([[False], before[:-1]])
        actions = _rows(path, file, 'actions', scene, len(ends))[before]
        observations = _rows(path, file, 'observations', scene, len(ends))
        next_observations = observations[after]
        observations = observations[before]
    decides = before if success_timing == 'pre' else after
    rewards, masks = rewards[decides], masks[decides]
    return Transitions(
        observations=observations, actions=actions, next_observations=next_observations,
        rewards=rewards, masks=masks, terminals=ends[after].astype(np.float32),
        observation_fields=observation_fields(scene.observation, observations),
        action_fields=action_fields(ACTION, actions), period=PERIOD,
        source={
            'file': path.name, 'sha256': sha256(path), 'steps': len(actions),
            'episodes': int(ends.sum()), 'solved_steps': int((masks == 0).sum())}).check(path)


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an ``.npz``, and say of whatever cannot be read in it what is wrong."""
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f'{path}: found a single array, expected .npz')
        with file:
            yield file
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f'{path}: found a file that is damaged or not .npz ({error}); '
            'collect or copy it again') from error
    except ValueError as error:
        raise DataError(f'{path}: found contents that are not plain arrays ({error})') from error


def _ends(path: Path, file: np.lib.npyio.NpzFile) -> np.ndarray:
    """Tell which rows end an episode."""
    terminals = file['terminals']
    if terminals.ndim != 1 or not np.isin(terminals, (0, 1)).all():
        raise DataError(
            f'{path}: terminals: found {terminals.dtype} of shape {terminals.shape}, expected one '
            'column of 0 and 1')
    ends = terminals.astype(bool)
    if not ends[-1:].any():
        raise DataError(
            f'{path}: terminals: found no end of an episode on the last of {len(ends)} rows; the '
            'file may be cut off')
    empty = np.flatnonzero(ends & np.concatenate([[True], ends[:-1]]))
    if len(empty):
        raise DataError(
            f'{path}: terminals: found an episode of a single row, row {empty[0]}, expected at '
            'least two: an action and where it led')
    return ends


def _rows(
        path: Path, file: np.lib.npyio.NpzFile, key: str, scene: Scene, count: int) -> np.ndarray:
    """Read an array and make sure that it fits the scene."""
    values = file[key]
    width = scene.widths[key]
    if values.shape != (count, width):
        raise DataError(
            f'{path}: {key} has shape {values.shape}, the environment needs ({count}, {width})')
    if key == 'button_states':
        if not np.isin(values, (0, 1)).all():
            raise DataError(f'{path}: {key}: found other numbers than 0 and 1')
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(f'{path}: {key}: found {values.dtype}, expected float32')
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise DataError(
            f'{path}: {key} holds a number that is not finite, in row '
            f'{int(np.flatnonzero(~finite)[0])}')
    return values.astype(np.float32, copy=False)


def _judge(environment: str, state: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Give each row its reward and mask, as the environment's task has them."""
    env = make_env(environment)
    # OGBench wants the environment's name to know which state decides the reward.
    relabel_dataset(environment, env, state)
    env.close()
    return state['rewards'], state['masks']
