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
Make OGBench-format data with OGBench's own scripted oracles.

``play`` and ``noisy`` follow the recipe of the official data sets (OGBench, arXiv 2410.20092,
section on data collection). ``demo`` is ours: the Markov oracle solves one task, and only solved
episodes are kept; it is to OGBench what proficient-human data is to Robomimic.

Every episode draws from a generator of its own, seeded by the seed and the episode's number, so a
file does not depend on how many workers made it.
"""

# The oracles draw from NumPy's global generator, so one seed of that decides a whole episode.
# ruff: noqa: NPY002

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
import multiprocessing
from pathlib import Path
import sys
from typing import Any
import warnings

import numpy as np
from ogbench.manipspace.oracles.markov.cube_markov import CubeMarkovOracle
from ogbench.manipspace.oracles.plan.cube_plan import CubePlanOracle
from tqdm import tqdm

from dfp_ros.robots.ogbench_env import make_env
from training.provenance import atomic_path, commit, sha256, versions, write_json

KINDS = ('play', 'noisy', 'demo')
ROWS_AN_EPISODE = 1001
NOISE_SHAPE = np.array([1.0, 1.0, 1.0, 3.0, 10.0])
RANDOM_ACTION_PROBABILITY = 0.1
# Range of an episode's probability of stacking a cube on another, as in the official data.
STACKING = {
    'cube-single': (0.0, 0.0),
    'cube-double': (0.0, 0.25),
    'cube-triple': (0.05, 0.35),
    'cube-quadruple': (0.1, 0.5),
    'cube-octuple': (0.0, 0.35),
}

Episode = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """
    What is to be collected.

    :param scene: One of :data:`STACKING`, for example ``cube-single``.
    :param kind: One of :data:`KINDS`.
    :param task: Task number of a demonstration, 1 to 5; unused by play and noisy.
    :param seed: Seed of the whole file.
    """

    scene: str
    kind: str
    task: int
    seed: int

    @property
    def name(self) -> str:
        """Return the file's name without its ending, after OGBench's pattern."""
        task = f'-task{self.task}' if self.kind == 'demo' else ''
        return f'{self.scene}-{self.kind}{task}-v0'


def collect_episode(env: Any, recipe: Recipe, number: int) -> Episode | None:
    """
    Collect one episode.

    :param env: What :func:`make_recipe_env` made.
    :param recipe: What to collect.
    :param number: Number of the episode; with the recipe's seed it decides everything.
    :returns: Arrays by OGBench key, one row a step, or None where a demonstration failed.
    """
    words = np.random.SeedSequence([recipe.seed, number]).generate_state(2)
    np.random.seed(words[0])
    observation, info = env.reset(seed=int(words[1]))
    if recipe.kind == 'demo':
        return _demonstrate(env, observation, info)
    return _play(env, recipe, observation, info)


def make_recipe_env(recipe: Recipe) -> Any:
    """Make the environment that a recipe collects from."""
    if recipe.kind == 'demo':
        return make_env(f'{recipe.scene}-singletask-task{recipe.task}-v0')
    return make_env(
        f'{recipe.scene}-v0', terminate_at_goal=False, mode='data_collection',
        max_episode_steps=ROWS_AN_EPISODE)


def _play(env: Any, recipe: Recipe, observation: np.ndarray, info: dict[str, Any]) -> Episode:
    stacking = np.random.uniform(*STACKING[recipe.scene])
    noise = np.random.uniform(0, 0.1) if recipe.kind == 'noisy' else 0.0
    oracle: Any = (
        CubePlanOracle(env=env, noise=0.1, noise_smoothing=0.5) if recipe.kind == 'play'
        else CubeMarkovOracle(env=env, min_norm=0.4))
    oracle.reset(observation, info)
    rows = _Rows()
    done = False
    while not done:
        if recipe.kind == 'noisy' and np.random.rand() < RANDOM_ACTION_PROBABILITY:
            action = np.random.uniform(-1, 1, size=5)
        else:
            action = np.array(oracle.select_action(observation, info))
            if recipe.kind == 'noisy':
                action = action + np.random.normal(0, noise, size=5) * NOISE_SHAPE
        action = np.clip(action, -1, 1)
        following, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        rows.add(observation, action, done, info['prev_qpos'], info['prev_qvel'])
        observation = following
        if oracle.done:
            observation, info = env.unwrapped.set_new_target(p_stack=stacking)
            oracle.reset(observation, info)
    return rows.arrays()


def _demonstrate(env: Any, observation: np.ndarray, info: dict[str, Any]) -> Episode | None:
    noise = np.random.uniform(0, 0.1)
    oracle = CubeMarkovOracle(env=env, min_norm=0.4)
    # What data-collection mode would tell the oracle of the target.
    target = {
        'privileged/target_block': 0,
        'privileged/target_block_pos': env.unwrapped.data.mocap_pos[0].copy(),
        'privileged/target_block_yaw': np.zeros(1),
    }
    oracle.reset(observation, info | target)
    rows = _Rows()
    done = False
    while not done:
        action = np.array(oracle.select_action(observation, info | target))
        action = np.clip(action + np.random.normal(0, noise, size=5) * NOISE_SHAPE, -1, 1)
        observation_before = observation
        observation, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        rows.add(observation_before, action, False, info['prev_qpos'], info['prev_qvel'])
    # Loaders drop an episode's last row; this one keeps the transition that solved the task.
    rows.add(observation, np.zeros(5), True, info['qpos'], info['qvel'])
    return rows.arrays() if info['success'] else None


class _Rows:
    """Rows of an episode under OGBench's keys and types."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {
            key: [] for key in ('observations', 'actions', 'terminals', 'qpos', 'qvel')}

    def add(self, *row: Any) -> None:
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)

    def arrays(self) -> Episode:
        return {
            key: np.array(column, dtype=bool if key == 'terminals' else np.float32)
            for key, column in self._columns.items()}


_env: Any = None
_recipe: Recipe


def _start_worker(recipe: Recipe) -> None:
    global _env, _recipe
    warnings.filterwarnings('ignore', module='gymnasium')
    _recipe = recipe
    _env = make_recipe_env(recipe)


def _work(number: int) -> Episode | None:
    return collect_episode(_env, _recipe, number)


def collect(recipe: Recipe, episodes: int, first: int, workers: int) -> Iterator[Episode]:
    """
    Yield episodes in the order of their numbers, made by ``workers`` processes.

    :param recipe: What to collect.
    :param episodes: How many episodes to yield; failed demonstrations do not count.
    :param first: Number of the first episode.
    :param workers: Processes; the result does not depend on it.
    """
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, _start_worker, (recipe,)) as pool:
        missing, number = episodes, first
        while missing:
            batch = range(number, number + missing)
            number += missing
            for episode in pool.imap(_work, batch):
                if episode is not None:
                    missing -= 1
                    yield episode


def write(recipe: Recipe, path: Path, episodes: int, first: int, workers: int) -> None:
    """Collect episodes into an ``.npz`` file, with a ``.json`` beside it that says how."""
    made = tqdm(
        collect(recipe, episodes, first, workers), total=episodes, desc=path.stem,
        unit='episode', disable=None)
    rows = list(made)
    arrays = {key: np.concatenate([episode[key] for episode in rows]) for key in rows[0]}
    with atomic_path(path) as partial:
        np.savez_compressed(partial, **arrays)
    write_json(path.with_suffix('.json'), {
        'name': path.stem, 'kind': recipe.kind, 'seed': recipe.seed, 'first_episode': first,
        'episodes': episodes, 'rows': len(arrays['actions']), 'sha256': sha256(path),
        'commit': commit(), 'versions': versions()})
    print(f'{path}: {episodes} episodes, {len(arrays["actions"])} rows')


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.collect', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--scene', choices=STACKING, default='cube-single', help='which environment')
    made.add_argument('--kind', choices=KINDS, default='demo', help='which recipe')
    made.add_argument('--task', type=int, choices=range(1, 6), default=2,
                      help='task that a demonstration solves (default: %(default)s)')
    made.add_argument('--episodes', type=int, default=400,
                      help='training episodes (default: %(default)s)')
    made.add_argument('--val-episodes', type=int, default=None,
                      help='validation episodes (default: a tenth of the training episodes)')
    made.add_argument('--seed', type=int, default=0, help='seed (default: %(default)s)')
    made.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    made.add_argument('--out', type=Path, default=Path('data'),
                      help='folder to write to (default: %(default)s)')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Collect a training and a validation file."""
    made = parser()
    asked = made.parse_args(arguments)
    validation = asked.val_episodes
    if validation is None:
        validation = max(1, asked.episodes // 10)
    if min(asked.episodes, validation, asked.workers) < 1 or asked.seed < 0:
        made.error('--episodes, --val-episodes and --workers take 1 or more, --seed 0 or more')
    if asked.kind == 'demo' and asked.scene != 'cube-single':
        made.error(
            f'--kind demo: found --scene {asked.scene}, expected cube-single: the oracle moves '
            'one cube, and other tasks need more')
    recipe = Recipe(asked.scene, asked.kind, asked.task, asked.seed)
    write(recipe, asked.out / f'{recipe.name}.npz', asked.episodes, 0, asked.workers)
    # Far from the training episodes' numbers, however many of those failed and were replaced.
    write(recipe, asked.out / f'{recipe.name}-val.npz', validation, 10_000_000, asked.workers)
    return 0


if __name__ == '__main__':
    sys.exit(main())
