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
Make demonstrations of robosuite's Lift or Can, in exactly the format of Robomimic's files.

    python -m training.collect_robosuite --task lift --demonstrations 200

Scripted operators of several skills take turns, as in Robomimic's multi-human data. Every
demonstration draws from a generator of its own, seeded by the seed and its number, so a file does
not depend on how many workers made it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
import json
import multiprocessing
from pathlib import Path
import sys
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from training.environments import headless
from training.provenance import atomic_path, commit, sha256, versions, write_json

TASKS = ('lift', 'can')
# Operators are slow rather than hasty: they may take longer than a policy.
PATIENCE = 2
# Steps that follow success, as people let go a moment later.
LINGER = 5
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Demonstration:
    """
    One solved episode under Robomimic's keys.

    :param operator: Who drove.
    :param skill: How well they do.
    :param model_file: MuJoCo's model as XML.
    :param columns: ``actions``, ``rewards``, ``dones``, ``states``, ``obs/KEY``, ``next_obs/KEY``.
    """

    operator: str
    skill: str
    model_file: str
    columns: dict[str, np.ndarray]


def demonstrate(env: Any, seed: int, number: int) -> Demonstration:
    """
    Solve one episode; failed attempts are thrown away.

    :param env: What :func:`make_task_env` made.
    :param seed: The file's.
    :param number: The demonstration's; with the seed it decides everything.
    """
    from training.robosuite_operators import OPERATORS, Script
    operator = OPERATORS[number % len(OPERATORS)]
    attempt = 0
    while True:
        generator = np.random.default_rng([seed, number, attempt])
        env.reset(seed=int(generator.integers(2**31)))
        columns = _attempt(env, Script(env, operator, generator))
        if columns is not None:
            return Demonstration(
                operator.name, operator.skill, env.suite.sim.model.get_xml(), columns)
        attempt += 1


def make_task_env(task: str) -> Any:
    """Make the environment that a task's demonstrations come from."""
    headless()
    from dfp_ros.robots.robosuite_env import make_env
    env = make_env(f'{task}-mh-low_dim')
    env.limit *= PATIENCE
    return env


def _attempt(env: Any, script: Any) -> dict[str, np.ndarray] | None:
    """Record an attempt, and some steps more; None where it failed."""
    rows: dict[str, list[Any]] = {key: [] for key in ('actions', 'rewards', 'dones', 'states')}
    observations = [_observation(env)]
    left, success = LINGER, False
    while left:
        action = script.action()
        rows['states'].append(env.suite.sim.get_state().flatten())
        _, reward, success, truncated, _ = env.step(action)
        left -= bool(success or left < LINGER)
        if truncated and left == LINGER:
            return None
        rows['actions'].append(action)
        # The file holds robosuite's own reward, 0 or 1, which the environment shifts.
        rows['rewards'].append(reward + 1)
        rows['dones'].append(int(success or not left))
        observations.append(_observation(env))
    if not success:
        return None
    columns = {key: np.array(values) for key, values in rows.items()}
    for key in observations[0]:
        values = np.array([observation[key] for observation in observations])
        columns[f'obs/{key}'], columns[f'next_obs/{key}'] = values[:-1], values[1:]
    return columns


def _observation(env: Any) -> dict[str, np.ndarray]:
    """Copy what Robomimic keeps: all that the robot measures, and the object."""
    return {
        key: value.copy() for key, value in env.parts.items()
        if key.startswith('robot') or key == 'object'}


_env: Any = None
_seed = 0


def _start_worker(task: str, seed: int) -> None:
    global _env, _seed
    _env, _seed = make_task_env(task), seed


def _work(number: int) -> Demonstration:
    return demonstrate(_env, _seed, number)


def collect(task: str, count: int, seed: int, workers: int) -> Iterator[Demonstration]:
    """
    Yield demonstrations in the order of their numbers, made by ``workers`` processes.

    :param task: One of :data:`TASKS`.
    :param count: How many.
    :param seed: The file's.
    :param workers: Processes; the result does not depend on it.
    """
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, _start_worker, (task, seed)) as pool:
        yield from pool.imap(_work, range(count))


def write(path: Path, task: str, count: int, seed: int, workers: int) -> None:
    """
    Collect demonstrations into a file, with a ``.json`` beside it that says how.

    ``mask/train`` and ``mask/valid`` part them; ``mask/better``, ``mask/okay`` and ``mask/worse``
    list those of operators of a skill.
    """
    from dfp_ros.robots import robosuite_env
    made_by = commit()
    masks: dict[str, list[str]] = {}
    total = 0
    bar = tqdm(total=count, desc=path.name, unit='demonstration', disable=None)
    valid = np.random.default_rng([seed, count]).permutation(count)[
        :round(VALIDATION_SHARE * count)]
    with atomic_path(path) as partial, h5py.File(partial, 'w') as file, bar:
        data = file.create_group('data')
        for number, demonstration in enumerate(collect(task, count, seed, workers)):
            name = f'demo_{number}'
            total += _write(data.create_group(name), demonstration)
            for mask in ('valid' if number in valid else 'train', demonstration.skill,
                         demonstration.operator):
                masks.setdefault(mask, []).append(name)
            bar.update()
        data.attrs['total'] = total
        data.attrs['env_args'] = json.dumps(
            robosuite_env.default_env_args(robosuite_env.TASKS[task]), indent=4)
        for mask, names in sorted(masks.items()):
            file[f'mask/{mask}'] = np.array(names, dtype='S')
    write_json(path.with_suffix('.json'), {
        'name': path.name, 'task': task, 'seed': seed, 'demonstrations': count, 'steps': total,
        'masks': {mask: len(names) for mask, names in masks.items()}, 'sha256': sha256(path),
        'commit': made_by, 'versions': versions()})
    print(f'{path}: {count} demonstrations, {total} steps')


def _write(group: h5py.Group, demonstration: Demonstration) -> int:
    """Write a demonstration; tell its steps."""
    steps = len(demonstration.columns['actions'])
    group.attrs['num_samples'] = steps
    group.attrs['model_file'] = demonstration.model_file
    for key, values in demonstration.columns.items():
        group.create_dataset(key, data=values)
    return steps


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.collect_robosuite',
        description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--task', choices=TASKS, default='lift', help='what they show')
    made.add_argument('--demonstrations', type=int, default=200,
                      help='how many (default: %(default)s)')
    made.add_argument('--seed', type=int, default=0, help='seed (default: %(default)s)')
    made.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    made.add_argument('--out', type=Path,
                      help='file to write (default: data/robomimic/TASK/mh/low_dim_v15.hdf5)')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Collect a file of demonstrations."""
    made = parser()
    asked = made.parse_args(arguments)
    if min(asked.demonstrations, asked.workers) < 1 or asked.seed < 0:
        made.error('--demonstrations and --workers take 1 or more, --seed 0 or more')
    path = asked.out or Path(f'data/robomimic/{asked.task}/mh/low_dim_v15.hdf5')
    try:
        write(path, asked.task, asked.demonstrations, asked.seed, asked.workers)
    except KeyboardInterrupt:
        made.exit(130, 'interrupted; nothing was written\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
