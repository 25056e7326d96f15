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
Writer of Robomimic's HDF5 format: numbers, and the pictures of cameras.

Each field of the observation is written as a part, and so is each camera, in uint8. Robomimic's
rewards are 1 if a step solves the task, else 0, so ours are shifted by 1, in float64, where that
is exact. Joint targets are written in rad, as in ``env_args``. As in Robomimic, ``dones`` is 1 if
the task is solved and on the last step of an episode; ``masks``, which Robomimic ignores,
distinguishes the two. Simulator states and models are not known and not written, so the file is
suitable for training, but not for playback.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from dfp_ros.core.text.printable import printable
from dfp_ros.sim.simulation.robosuite_joints import joint_range
from training.common.files import atomic_path
from training.data.transitions.frames import as_rgb, Frames
from training.data.transitions.transitions import DataError, Transitions

# Shift of our rewards.
SHIFT = 1.0
# Pictures that are copied at a time.
_BLOCK = 64
# One in so many demonstrations is for validation.
VALID = 10


def write(path: Path, data: Transitions) -> None:
    """
    Write an ``.hdf5``.

    :param path: Ends in ``.hdf5``.
    :param data: Transitions to write.
    :raises DataError: If a camera has the name of another part, or HDF5 has no place for a name.
    """
    cameras = [(frames.field.name.replace('/', '_'), frames) for frames in data.images]
    parts = [name for name, _ in cameras] + [field.name for field in data.observation_fields]
    if twice := [name for name in parts if parts.count(name) > 1]:
        raise DataError(
            f'{path}: found several parts of the observation that are named {twice[0]!r}, '
            'expected different names; rename a camera or a field')
    _require_places(path, parts)
    env_args = data.source.get('env_args') or {
        'env_name': 'none', 'env_kwargs': {'control_freq': 1 / data.period}}
    ends = np.flatnonzero(data.terminals) + 1
    starts = np.concatenate([[0], ends[:-1]])
    with atomic_path(path) as partial, h5py.File(partial, 'w') as file:
        group = file.create_group('data')
        group.attrs['total'] = len(data)
        group.attrs['env_args'] = json.dumps(env_args)
        group.attrs['source'] = json.dumps(dict(data.source))
        actions = _actions(data)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            demo = group.create_group(f'demo_{i}')
            demo['actions'] = actions[start:end]
            rows = slice(int(start), int(end))
            _write_episode(demo, data, rows)
            for name, frames in cameras:
                _write_pictures(demo, name, frames, data, rows)
        names = np.array([f'demo_{i}' for i in range(len(ends))], dtype='S')
        valid = np.zeros(len(names), bool)
        chosen = np.random.default_rng(0).permutation(len(names))
        valid[chosen[:len(names) // VALID or len(names) > 1]] = True
        file['mask/train'], file['mask/valid'] = names[~valid], names[valid]


def _require_places(path: Path, parts: list[str]) -> None:
    """
    Require names that HDF5 can store, in which a slash is a step into a group.

    :raises DataError: If a name is none, or is that of a group of another one.
    """
    known = {tuple(name.split('/')): name for name in parts}
    for steps, name in known.items():
        if {'', '.'} & set(steps):
            raise DataError(
                f'{path}: found a part of the observation that is named {printable(name)!r}, '
                'expected words with single slashes between them; rename it')
        for i in range(1, len(steps)):
            if (other := known.get(steps[:i])) is not None:
                raise DataError(
                    f'{path}: found parts of the observation that are named {printable(other)!r} '
                    f'and {printable(name)!r}, of which HDF5 takes the first for a group; rename '
                    'one of them')


def _actions(data: Transitions) -> np.ndarray:
    """Convert actions to the units of the environment."""
    if 'env_args' not in data.source:
        return data.actions
    from dfp_ros.sim.simulation.robosuite_env import convert
    joints = joint_range(convert(data.source['env_args']))
    return joints.targets(data.actions) if joints else data.actions


def _write_episode(demo: h5py.Group, data: Transitions, rows: slice) -> None:
    demo.attrs['num_samples'] = rows.stop - rows.start
    demo['rewards'] = data.rewards[rows].astype(np.float64) + SHIFT
    demo['dones'] = np.maximum(1 - data.masks[rows], data.terminals[rows]).astype(np.int64)
    demo['masks'] = data.masks[rows]
    start = 0
    for field in data.observation_fields:
        columns = slice(start, start := start + field.size)
        demo[f'obs/{field.name}'] = data.observations[rows, columns]
        demo[f'next_obs/{field.name}'] = data.next_observations[rows, columns]


def _write_pictures(
        demo: h5py.Group, name: str, frames: Frames, data: Transitions, rows: slice) -> None:
    """Write the pictures of a camera: before each step, and after it."""
    assert data.frame is not None
    frame = data.frame[rows]
    for part, seen in (('obs', frame), ('next_obs', frame + 1)):
        stored = demo.create_dataset(
            f'{part}/{name}', (len(seen), *frames.field.shape), np.uint8)
        for start in range(0, len(seen), _BLOCK):
            stored[start:start + _BLOCK] = as_rgb(
                frames.field, frames.pixels[seen[start:start + _BLOCK]])
