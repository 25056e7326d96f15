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

from pathlib import Path
import re
import zipfile
import zlib

import numpy as np
from ogbench.relabel_utils import relabel_dataset
from ogbench.utils import load_dataset

from dfp_ros.robots.ogbench_env import make_env
from training.provenance import sha256
from training.transitions import action_fields, DataError, observation_fields, Transitions

KEYS = ('observations', 'actions', 'terminals', 'qpos', 'qvel')
CUBES = {'single': 1, 'double': 2, 'triple': 3, 'quadruple': 4, 'octuple': 8}
PERIOD = 0.05
# Numbers of an observation: of the robot, and of each cube.
ROBOT_NUMBERS, CUBE_NUMBERS = 19, 9
# Names, sizes and physical ranges of the relative end-effector action (ManipSpaceEnv): at most
# 0.05 m, 0.3 rad and one whole gripper opening a step of 0.05 s.
ACTION = (
    ('effector_linear_velocity', 3, 'm/s', 1.0),
    ('effector_yaw_rate', 1, 'rad/s', 6.0),
    ('gripper_rate', 1, '1/s', 20.0))


def load(path: Path, environment: str) -> Transitions:
    """
    Load a data file for a single-task environment.

    :param path: An ``.npz`` in OGBench's format.
    :param environment: For example ``cube-single-singletask-task2-v0``.
    :raises DataError: Where the file is missing, truncated, lacks a key, has other dimensions
        than the environment, or holds a number that is not finite.
    """
    layout = observation_layout(environment)
    _check(path, sum(size for _, size, _ in layout))
    data = load_dataset(str(path), add_info=True)
    env = make_env(environment)
    # OGBench wants the environment's name to know which state decides the reward.
    relabel_dataset(environment, env, data)
    env.close()
    episodes = int(data['terminals'].sum())
    return Transitions(
        observations=data['observations'], actions=data['actions'],
        next_observations=data['next_observations'], rewards=data['rewards'],
        masks=data['masks'], terminals=data['terminals'],
        observation_fields=observation_fields(layout, data['observations']),
        action_fields=action_fields(ACTION, data['actions']), period=PERIOD,
        source={
            'file': path.name, 'sha256': sha256(path), 'steps': len(data['actions']),
            'episodes': episodes, 'solved_steps': int((data['masks'] == 0).sum())}).check(path)


def observation_layout(environment: str) -> list[tuple[str, int, str]]:
    """
    Name, size and unit of each part of an environment's observation, in order.

    :raises DataError: For environments other than the cube scenes' single tasks.
    """
    match = re.fullmatch(r'cube-(\w+)-singletask(-task[1-5])?-v0', environment)
    if match is None or match[1] not in CUBES:
        raise DataError(
            f'environment: found {environment!r}, expected cube-N-singletask[-taskK]-v0 with N '
            f'one of {", ".join(CUBES)} and K from 1 to 5')
    layout = [
        ('joint_positions', 6, 'rad'), ('joint_velocities', 6, 'rad/s'),
        ('effector_position', 3, '0.1 m'), ('effector_yaw', 2, '1'),
        ('gripper_opening', 1, '1/3'), ('gripper_contact', 1, '1')]
    for i in range(CUBES[match[1]]):
        layout += [
            (f'cube_{i}_position', 3, '0.1 m'), (f'cube_{i}_quaternion', 4, '1'),
            (f'cube_{i}_yaw', 2, '1')]
    return layout


def _check(path: Path, observation_size: int) -> None:
    if not path.is_file():
        raise DataError(
            f'{path}: found no such file; make one with `python -m training.collect`, or copy '
            "OGBench's there")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in KEYS if key not in file]
            if missing:
                raise DataError(
                    f'{path}: the key {missing[0]!r} is missing; found {", ".join(file)}, '
                    f'expected {", ".join(KEYS)}')
            arrays = {key: file[key] for key in KEYS}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f'{path}: found a file that is damaged or not .npz ({error}); '
            'collect or copy it again') from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{path}: found contents that are not plain arrays ({error})') from error
    rows = len(arrays['actions'])
    cubes = (observation_size - ROBOT_NUMBERS) // CUBE_NUMBERS
    widths = {
        'observations': observation_size, 'actions': 5, 'qpos': 14 + 7 * cubes,
        'qvel': 14 + 6 * cubes}
    for key, width in widths.items():
        if arrays[key].shape != (rows, width):
            raise DataError(
                f'{path}: {key} has shape {arrays[key].shape}, the environment needs '
                f'({rows}, {width})')
        if not np.isfinite(arrays[key]).all():
            row = int(np.flatnonzero(~np.isfinite(arrays[key]).all(axis=1))[0])
            raise DataError(f'{path}: {key} holds a number that is not finite, in row {row}')
    if arrays['terminals'].shape != (rows,) or not arrays['terminals'][-1:].any():
        raise DataError(
            f'{path}: terminals has shape {arrays["terminals"].shape} and does not end an episode '
            f'on the last of {rows} rows; the file may be cut off')

