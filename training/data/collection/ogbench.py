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
Collection with OGBench's scripted oracles, in OGBench's format.

``play`` and ``noisy`` follow the recipe of the official data sets (OGBench, arXiv 2410.20092,
section on data collection). ``demo`` is our own: the Markov oracle solves one task, and only
successful episodes are kept, like the proficient-human data of Robomimic.

Every episode has its own random generator, seeded by the seed and the number of the episode.
"""

# The oracles use NumPy's global random generator, so its seed determines a whole episode.
# ruff: noqa: NPY002

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ogbench.manipspace.oracles.markov.button_markov import ButtonMarkovOracle
from ogbench.manipspace.oracles.markov.cube_markov import CubeMarkovOracle
from ogbench.manipspace.oracles.markov.drawer_markov import DrawerMarkovOracle
from ogbench.manipspace.oracles.markov.window_markov import WindowMarkovOracle
from ogbench.manipspace.oracles.plan.button_plan import ButtonPlanOracle
from ogbench.manipspace.oracles.plan.cube_plan import CubePlanOracle
from ogbench.manipspace.oracles.plan.drawer_plan import DrawerPlanOracle
from ogbench.manipspace.oracles.plan.window_plan import WindowPlanOracle

from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.picture_names import VISUAL
from dfp_ros.sim.simulation.state_pictures import SHADOW_MAP, StatePictures
from training.common.files import atomic_path
from training.data.collection.engine import CollectionError, Episode
from training.data.formats.ogbench.scenes import SCENES
from training.data.transitions import npz

ROWS_AN_EPISODE = 1001
NOISE_SHAPE = np.array([1.0, 1.0, 1.0, 3.0, 10.0])
# Range of an episode's probability of stacking a cube on another, as in the official data.
STACKING = {
    'cube-single': (0.0, 0.0),
    'cube-double': (0.0, 0.25),
    'cube-triple': (0.05, 0.35),
    'cube-quadruple': (0.1, 0.5),
    'cube-octuple': (0.0, 0.35),
}
STACKING_ELSEWHERE = 0.5
PLAN: dict[str, Any] = {
    'cube': CubePlanOracle, 'button': ButtonPlanOracle, 'drawer': DrawerPlanOracle,
    'window': WindowPlanOracle}
MARKOV: dict[str, Any] = {
    'cube': CubeMarkovOracle, 'button': ButtonMarkovOracle, 'drawer': DrawerMarkovOracle,
    'window': WindowMarkovOracle}
# Impossible cube positions, behind the window or in the drawer's walls: a simulation failure.
HIGHEST_Y, LOWEST_Y, DRAWER_Z = 0.29, -0.3, (0.06, 0.08)


@dataclass(frozen=True)
class Recipe:
    """
    Recipe of a collection in OGBench's environments.

    :param scene: One of :data:`SCENES`, for example ``cube-single``.
    :param kind: ``play``, ``noisy`` or ``demo``.
    :param task: Task number of a demonstration, 1 to 5; unused by play and noisy.
    :param seed: Seed of the whole file.
    :param length: Rows of a play or noisy episode; the official data have 1001.
    :param failures: Whether failed demonstrations are kept.
    :param visual: Whether the observations are pictures, as in OGBench's visual data sets.
    :raises CollectionError: If there is no oracle for the scene and kind.
    """

    scene: str
    kind: str
    task: int
    seed: int
    length: int = ROWS_AN_EPISODE
    suffix: str = '.npz'
    failures: bool = False
    visual: bool = False
    parted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse combinations without an oracle."""
        if self.kind == 'demo' and self.scene != 'cube-single':
            raise CollectionError(
                f'--kind demo: found --scene {self.scene}, expected cube-single: the oracle moves '
                'one object, and tasks of other scenes need more; collect play or noisy')

    @property
    def name(self) -> str:
        """Return the file's name without its ending, after OGBench's pattern."""
        task = f'-task{self.task}' if self.kind == 'demo' else ''
        failures = '-with-failures' if self.failures else ''
        visual = VISUAL if self.visual else ''
        return f'{visual}{self.scene}-{self.kind}{task}{failures}-v0'

    def settings(self) -> dict[str, Any]:
        """Return all settings that determine an episode besides its number."""
        found = asdict(self)
        for name in ('failures', 'visual'):
            if not found[name]:
                # Files of earlier releases do not have it.
                del found[name]
        if self.visual:
            found['shadow_map'] = SHADOW_MAP
        return found

    def make_env(self) -> Any:
        """Create the environment."""
        if self.kind == 'demo':
            return make_env(f'{self.scene}-singletask-task{self.task}-v0')
        return make_env(
            f'{self.scene}-v0', terminate_at_goal=False, mode='data_collection',
            max_episode_steps=self.length)

    def collect(self, env: Any, number: int) -> Episode | None:
        """
        Collect one episode.

        :param env: Environment from :meth:`make_env`.
        :param number: Number of the episode; with the recipe it determines everything.
        :return: Arrays by OGBench key, one row per step, or None if the demonstration or the
            simulation failed.
        """
        words = np.random.SeedSequence([self.seed, number]).generate_state(2)
        np.random.seed(words[0])
        observation, info = env.reset(seed=int(words[1]))
        episode: Episode | None
        if self.kind == 'demo':
            episode = _demonstrate(env, observation, info, self.failures)
        else:
            episode = _play(env, self, observation, info)
            if self.scene == 'scene' and not healthy(episode):
                episode = None
        if episode is None or not self.visual:
            return episode
        pictures = _pictures(f'{VISUAL}{self.scene}-v0')
        buttons = episode.get('button_states', [None] * len(episode['qpos']))
        return {**episode, 'observations': np.stack([
            pictures.draw(*row) for row in zip(episode['qpos'], buttons, strict=True)])}

    def write(self, path: Path, episodes: list[Episode]) -> int:
        """Write episodes to an ``.npz``, concatenated."""
        arrays = {
            key: np.concatenate([episode[key] for episode in episodes]) for key in episodes[0]}
        with atomic_path(path) as partial:
            # Pictures are mapped when they are read, and hardly compress.
            npz.write(partial, arrays, mapped=('observations',) if self.visual else ())
        return len(arrays['actions'])


@cache
def _pictures(environment: str) -> StatePictures:
    """Make the renderer of this process."""
    return StatePictures(environment)


def healthy(episode: Episode) -> bool:
    """Tell whether all positions of the cube of ``scene``, from ``qpos``, are possible."""
    _, y, z = episode['qpos'][:, 14:17].T
    through = (y <= LOWEST_Y) & ((z < DRAWER_Z[0]) | (z > DRAWER_Z[1]))
    return not ((y >= HIGHEST_Y) | through).any()


def _oracles(env: Any, recipe: Recipe) -> dict[str, Any]:
    """Create the oracle for each kind of target."""
    play, puzzle = recipe.kind == 'play', recipe.scene.startswith('puzzle')
    if play:
        settings: dict[str, Any] = {'noise': 0.1, 'noise_smoothing': 0.5}
    else:
        settings = {'min_norm': 0.4}
    own: dict[str, dict[str, Any]] = {'button': {'gripper_always_closed': puzzle}}
    if recipe.scene == 'scene' and not play:
        own['cube'] = {'max_step': 100}
    scene = SCENES[recipe.scene]
    targets = ['cube'] * bool(scene.cubes) + ['button'] * bool(scene.buttons)
    targets += ['drawer', 'window'] * scene.furniture
    return {
        target: (PLAN if play else MARKOV)[target](env=env, **settings, **own.get(target, {}))
        for target in targets}


def _play(env: Any, recipe: Recipe, observation: np.ndarray, info: dict[str, Any]) -> Episode:
    stacking = STACKING_ELSEWHERE
    if recipe.scene in STACKING:
        stacking = np.random.uniform(*STACKING[recipe.scene])
    noise = np.random.uniform(0, 0.1) if recipe.kind == 'noisy' else 0.0
    random_actions = 0.2 if recipe.scene.startswith('puzzle') else 0.1
    oracles = _oracles(env, recipe)
    oracle = oracles[info['privileged/target_task']]
    oracle.reset(observation, info)
    rows = _Rows()
    done = False
    while not done:
        if recipe.kind == 'noisy' and np.random.rand() < random_actions:
            action = np.random.uniform(-1, 1, size=5)
        else:
            action = np.array(oracle.select_action(observation, info))
            if recipe.kind == 'noisy':
                action = action + np.random.normal(0, noise, size=5) * NOISE_SHAPE
        action = np.clip(action, -1, 1)
        following, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        rows.add(observation, action, done, info, 'prev_')
        observation = following
        if oracle.done:
            observation, info = env.unwrapped.set_new_target(p_stack=stacking)
            oracle = oracles[info['privileged/target_task']]
            oracle.reset(observation, info)
    return rows.arrays()


def _demonstrate(
        env: Any, observation: np.ndarray, info: dict[str, Any],
        failures: bool) -> Episode | None:
    noise = np.random.uniform(0, 0.1)
    oracle = CubeMarkovOracle(env=env, min_norm=0.4)
    # Target information that the environment gives only in data-collection mode.
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
        rows.add(observation_before, action, False, info, 'prev_')
    # Loaders drop the last row of an episode; an extra row keeps the transition that solved the
    # task.
    rows.add(observation, np.zeros(5), True, info)
    return rows.arrays() if info['success'] or failures else None


class _Rows:
    """Rows of an episode under OGBench's keys and types."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}

    def add(
            self, observation: np.ndarray, action: np.ndarray, ends: bool, info: dict[str, Any],
            when: str = '') -> None:
        row = {
            'observations': observation, 'actions': action, 'terminals': ends,
            'qpos': info[f'{when}qpos'], 'qvel': info[f'{when}qvel']}
        if f'{when}button_states' in info:
            row['button_states'] = info[f'{when}button_states']
        for key, value in row.items():
            self._columns.setdefault(key, []).append(value)

    def arrays(self) -> Episode:
        types = {'terminals': bool, 'button_states': np.int64}
        return {
            key: np.array(column, dtype=types.get(key, np.float32))
            for key, column in self._columns.items()}
