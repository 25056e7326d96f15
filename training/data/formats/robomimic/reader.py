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
Reader of Robomimic's HDF5 files: numbers, and the pictures of cameras.

Each demonstration is an episode. The ends of episodes are those of demonstrations, not ``dones``:
that is 1 on every step that solves the task, and often on no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
import re
from typing import Any

import numpy as np

from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.files.digest import sha256
from dfp_ros.core.text.printable import listed, quoted
from dfp_ros.sim.simulation import robosuite_env
from dfp_ros.sim.simulation.robosuite_env import REWARD_SHIFT
from dfp_ros.sim.simulation.robosuite_joints import joint_range, JointRange
from dfp_ros.spec_bounds import SpecError
from dfp_ros.spec_images import check_images, ImageField
from training.config import NO_ENVIRONMENT
from training.data.formats.robomimic.layout import action_layout, observation_layout, RATE, reach
from training.data.transitions.frames import field_of, Frames, make_room, sealed
from training.data.transitions.hdf5 import File, opened
from training.data.transitions.transitions import (
    action_fields,
    DataError,
    observation_fields,
    Transitions,
)


def load(
        path: Path, environment: str, filter_key: str = '',
        keys: Sequence[str] = ()) -> Transitions:
    """
    Load a file of demonstrations.

    Rewards are the file's, 0 or 1, shifted by -1. Masks are the file's own if it has them, else 0
    for every step with the reward 0.

    :param path: An ``.hdf5`` in Robomimic's format.
    :param environment: For example ``lift-mh-low_dim``; ``none`` accepts any.
    :param filter_key: Name of a list of demonstrations under ``mask``; empty for all.
    :param keys: Parts of the observation, in order; empty for Robomimic's default ones. Those of
        cameras, such as ``agentview_image``, become pictures.
    :raises DataError: If the file is damaged, incomplete, of another environment, or contains
        values that are not finite numbers.
    """
    if not path.is_file():
        raise DataError(
            f'{path}: found no such file; make one with `python -m training.collect --scene lift` '
            "or `--scene can`, or copy Robomimic's there")
    with opened(path) as file:
        return _load(file, environment, filter_key, keys)


def environment_name(path: Path) -> str:
    """
    Name of the robosuite environment of a file, known or not.

    :raises DataError: If the file cannot be read or does not name it.
    """
    with opened(path) as file:
        return str(_env_args(file, NO_ENVIRONMENT)['env_name'])


def task_names() -> set[str]:
    """Names of the robosuite environments for evaluation."""
    return {task.env_name for task in robosuite_env.TASKS.values()}


def _load(
        file: File, environment: str, filter_key: str, keys: Sequence[str]) -> Transitions:
    env_args = _env_args(file, environment)
    keys = tuple(keys) or robosuite_env.default_keys(len(robosuite_env.robot_names(env_args)))
    names = _demonstrations(file, filter_key)
    lengths = [_length(file, name) for name in names]
    if not any('next_obs' in list(file.group(f'data/{name}')) for name in names):
        raise DataError(
            f'{file.path}: has no next_obs, the observation after each step; make the file again '
            "with Robomimic's dataset_states_to_obs.py, without --exclude-next-obs")
    fields = _image_fields(file, names[0], keys)
    widths = {
        key: _width(file, f'data/{names[0]}/obs/{key}') for key in keys if key not in fields}
    if not widths:
        raise DataError(
            f'{file.path}: found {listed(keys)}, expected at least one key of numbers beside the '
            'pictures, such as robot0_eef_pos; add it to --observation-keys')
    act_dim = _width(file, f'data/{names[0]}/actions')
    joints = _joints(file, env_args, act_dim)
    size, obs_dim = sum(lengths), sum(widths.values())
    observations, following = (np.empty((size, obs_dim), np.float32) for _ in range(2))
    actions = np.empty((size, act_dim), np.float32)
    rewards, masks = (np.empty(size, np.float32) for _ in range(2))
    terminals = np.zeros(size, np.float32)
    # An episode has one frame more than steps.
    pixels = {
        key: make_room((size + len(names), *field.shape), file.path)
        for key, field in fields.items()}
    start = 0
    for episode, (name, length) in enumerate(zip(names, lengths, strict=True)):
        rows = slice(start, start + length)
        for key, room in pixels.items():
            _read_frames(file, name, key, room[start + episode:start + episode + length + 1])
        for part, table in (('obs', observations), ('next_obs', following)):
            column = 0
            for key, width in widths.items():
                table[rows, column:column + width] = _read(
                    file, f'data/{name}/{part}/{key}', (length, width))
                column += width
        actions[rows] = _read(file, f'data/{name}/actions', (length, act_dim))
        if joints:
            actions[rows] = joints.actions(actions[rows])
        given = _read(file, f'data/{name}/rewards', (length,), np.float64)
        # In float64, so that shifting and shifting back is exact.
        rewards[rows] = given + REWARD_SHIFT
        # Only files of training.write have masks.
        told = 'masks' in list(file.group(f'data/{name}'))
        masks[rows] = _read(file, f'data/{name}/masks', (length,)) if told else given < 1
        start += length
        terminals[start - 1] = 1
    before = np.cumsum(terminals, dtype=np.int64) - terminals.astype(np.int64)
    return Transitions(
        observations, actions, following, rewards, masks, terminals,
        observation_fields(observation_layout(env_args, widths), observations),
        action_fields(action_layout(env_args, act_dim), actions),
        period=1 / env_args['env_kwargs'].get('control_freq', RATE),
        source={
            'file': file.path.name, 'sha256': sha256(file.path), 'steps': size,
            'episodes': len(names), 'solved_steps': int((masks == 0).sum()),
            'filter_key': filter_key, 'observation_keys': list(keys),
            'env_args': env_args},
        images=tuple(Frames(fields[key], sealed(room)) for key, room in pixels.items()),
        frame=np.arange(size) + before if fields else None).check(file.path)


def _image_fields(file: File, name: str, keys: Sequence[str]) -> dict[str, ImageField]:
    """Describe the pictures among the parts of the observation."""
    fields = {}
    for key in keys:
        found = file.numbers(f'data/{name}/obs/{key}')
        if len(found.shape) != 4:
            continue
        field = field_of(key, found.shape[1:])
        if field is None or found.dtype != np.uint8:
            raise DataError(
                f'{file.path}: data/{name}/obs/{key}: found {found.dtype} of shape '
                f'{found.shape}, expected pictures, uint8 of shape (steps, height, width, 3 or '
                '1); leave it out of --observation-keys')
        fields[key] = field
    try:
        if fields:
            check_images(list(fields.values()))
    except SpecError as error:
        raise DataError(f'{file.path}: data/{name}/obs: {error}') from error
    return fields


def _read_frames(file: File, name: str, key: str, room: np.ndarray) -> None:
    """
    Read the pictures of a demonstration.

    :param room: Shape (steps + 1, height, width, n), uint8.
    """
    steps = len(room) - 1
    for part, place in (('obs', slice(steps)), ('next_obs', slice(steps, None))):
        where = f'data/{name}/{part}/{key}'
        found = file.numbers(where)
        expected = (steps, *room.shape[1:])
        if found.shape != expected or found.dtype != np.uint8:
            raise DataError(
                f'{file.path}: {where}: found {found.dtype} of shape {found.shape}, expected '
                f'uint8 of shape {expected} as in the other parts and demonstrations; leave the '
                'demonstration out with a filter_key')
        room[place] = found[steps - 1:] if part == 'next_obs' else found[()]


def _env_args(file: File, environment: str) -> dict[str, Any]:
    """Read the file's ``env_args``, and compare its environment with the requested one."""
    text = file.group('data').attrs.get('env_args')
    try:
        found = read_json(text, infinite=True)
        name, rate = found['env_name'], found['env_kwargs'].get('control_freq', RATE)
        robots = robosuite_env.robot_names(found)
        sound = 0 < rate < np.inf and robots and all(
            isinstance(text, str) for text in (name, *robots))
        reach(found)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise _no_env_args(file, text) from error
    if not sound:
        raise _no_env_args(file, text)
    task = robosuite_env.find_task(environment)
    if environment != NO_ENVIRONMENT and (task is None or task.env_name != name):
        fitting = [key for key, task in robosuite_env.TASKS.items() if task.env_name == name]
        raise DataError(
            f'{file.path}: found data of {quoted(name)}, not of the environment '
            f'{environment!r}; name '
            f'{f"{fitting[0]}-mh-low_dim" if fitting else NO_ENVIRONMENT!r}')
    return dict(found)


def _no_env_args(file: File, text: object) -> DataError:
    return DataError(
        f'{file.path}: data: env_args: found {quoted(text)}, expected JSON text with env_name and '
        'env_kwargs, as Robomimic writes it; copy them from another file of the same robot')


def _joints(file: File, env_args: Mapping[str, Any], act_dim: int) -> JointRange | None:
    """Range of the actions if they are joint targets, else None."""
    try:
        found = joint_range(robosuite_env.convert(env_args))
    except ValueError as error:
        raise DataError(f'{file.path}: data: {error}') from error
    if found and len(found.low) != act_dim:
        raise DataError(
            f'{file.path}: data: found {act_dim} actions, expected {len(found.low)}, the joints '
            'and the gripper in env_args; collect or copy the file again')
    return found


def _demonstrations(file: File, filter_key: str) -> list[str]:
    """List the selected demonstrations, in numerical (not alphabetical) order."""
    wanted = there = list(file.group('data'))
    if filter_key:
        masks = list(file.group('mask')) if 'mask' in list(file.file) else []
        if filter_key not in masks:
            raise DataError(
                f'{file.path}: filter_key: found {filter_key!r}, expected one of '
                f'{", ".join(masks) or "none, as the file has no masks"}')
        wanted = file.names(f'mask/{filter_key}')
    for name in wanted:
        if not re.fullmatch(r'demo_\d+', name) or name not in there:
            raise DataError(
                f'{file.path}: found the demonstration {name!r}, expected demo_NUMBER, one of '
                'those under data; select others with a filter_key')
    for name, count in Counter(wanted).items():
        if count > 1:
            raise DataError(
                f'{file.path}: filter_key: found the demonstration {name} {count} times in '
                f'mask/{filter_key}, which would count as often; name each once, or select others')
    if not wanted:
        raise DataError(
            f'{file.path}: data: found no demonstration, expected at least one; name another '
            'filter_key, or collect some')
    return sorted(wanted, key=lambda name: int(name.removeprefix('demo_')))


def _length(file: File, name: str) -> int:
    """Count a demonstration's steps."""
    steps = len(file.numbers(f'data/{name}/actions'))
    told = file.group(f'data/{name}').attrs.get('num_samples', steps)
    if not steps or not np.array_equal(steps, told):
        raise DataError(
            f'{file.path}: data/{name}: found {steps} actions, expected '
            f'{told if np.any(told) else "at least one"}; '
            'leave the demonstration out with a filter_key, or collect it again')
    return steps


def _width(file: File, key: str) -> int:
    shape = file.numbers(key).shape
    if len(shape) != 2:
        raise DataError(
            f'{file.path}: {key}: found shape {shape}, expected a row of numbers per step, or '
            'pictures; name other keys with --observation-keys')
    return int(shape[1])


def _read(
        file: File, key: str, shape: tuple[int, ...], kind: type = np.float32) -> np.ndarray:
    """Read numbers, and check their shape and that they are finite."""
    found = file.numbers(key)
    if found.shape != shape:
        raise DataError(
            f'{file.path}: {key}: found shape {found.shape}, expected {shape} as in the other '
            'parts and demonstrations; leave the demonstration out with a filter_key')
    with np.errstate(over='ignore'):  # float32 overflow gives inf, which is rejected below
        values: np.ndarray = np.asarray(found[()], kind)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise DataError(
            f'{file.path}: {key}: found a number that is not finite, in row {row}; leave the '
            'demonstration out with a filter_key')
    return values
