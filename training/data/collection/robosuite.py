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
Collection of demonstrations of robosuite's Lift and Can, in Robomimic's file format.

Scripted operators of several skill levels take turns, as in Robomimic's multi-human data. Every
demonstration has its own random generator, seeded by the seed and its number.

In the kind ``joint``, actions are absolute joint targets. The file's ``env_args`` contain the
control mode and the range of the targets.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
import json
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from training.data.collection.engine import Episode
from training.data.collection.joint_targets import JointTargets, wander
from training.evaluation.environments import headless

KINDS = ('mh', 'joint')
# Factor on the time limit: slow operators may take longer than a policy.
PATIENCE = 2
# Steps after success, because human operators stop a moment later.
LINGER = 5
VALIDATION_SHARE = 0.1
# Keys of an episode besides the demonstration's arrays: operator, skill, MuJoCo model as XML.
ABOUT = ('operator', 'skill', 'model_file')
FAILED = 'failed'


@dataclass(frozen=True)
class Recipe:
    """
    Recipe of a collection in robosuite.

    :param task: ``lift`` or ``can``.
    :param seed: Seed of the whole file.
    :param kind: One of :data:`KINDS`: end-effector control or joint control.
    :param failures: Whether failed attempts are kept, up to the time limit, and listed under
        ``mask/failed``.
    """

    task: str
    seed: int
    kind: str = 'mh'
    failures: bool = False
    suffix: str = '.hdf5'
    parted: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Return the path in the presets, without suffix: Robomimic's name for robosuite 1.5."""
        folder = f'{self.kind}_with_failures' if self.failures else self.kind
        return f'robomimic/{self.task}/{folder}/low_dim_v15'

    def settings(self) -> dict[str, Any]:
        """Return all settings that determine a demonstration besides its number."""
        found = asdict(self) | {'robosuite': metadata.version('robosuite')}
        if not self.failures:
            # Files of earlier releases do not have it.
            del found['failures']
        return found

    def make_env(self) -> Any:
        """Create the environment."""
        headless()
        from dfp_ros.sim.simulation.robosuite_env import make_env
        env = make_env(f'{self.task}-{self.kind}-low_dim')
        if not self.failures:
            env.limit *= PATIENCE
        return env

    def collect(self, env: Any, number: int) -> Episode:
        """
        Collect one episode; failed attempts are discarded, unless they are to be kept.

        :param env: Environment from :meth:`make_env`.
        :param number: Number of the demonstration; with the recipe it determines everything.
        :return: ``actions``, ``rewards``, ``dones``, ``states``, ``obs/KEY``, ``next_obs/KEY``,
            one row per step, and :data:`ABOUT`.
        """
        from training.data.collection.robosuite_operators import at_joints, OPERATORS, Script
        operator = OPERATORS[number % len(OPERATORS)]
        if self.kind == 'joint':
            operator = at_joints(operator)
        attempt = 0
        while True:
            generator = np.random.default_rng([self.seed, number, attempt])
            env.reset(seed=int(generator.integers(2**31)))
            script = Script(env, operator, generator)
            if self.kind == 'joint':
                wander(env, generator)
            columns, success = _attempt(env, script)
            if success or self.failures:
                about = operator.name, operator.skill, env.suite.sim.model.get_xml()
                return columns | {
                    key: np.array(text) for key, text in zip(ABOUT, about, strict=True)} | {
                    FAILED: np.array(not success)}
            attempt += 1

    def write(self, path: Path, episodes: list[Episode]) -> int:
        """
        Write demonstrations.

        ``mask/train`` and ``mask/valid`` are the split; ``mask/better``, ``mask/okay`` and
        ``mask/worse`` list the demonstrations by skill level.
        """
        from dfp_ros.sim.simulation import robosuite_env
        from dfp_ros.sim.simulation.robosuite_joints import with_joint_control
        masks: dict[str, list[str]] = {}
        total, count = 0, len(episodes)
        valid = np.random.default_rng([self.seed, count]).permutation(count)[
            :round(VALIDATION_SHARE * count)]
        with h5py.File(path, 'w') as file:
            data = file.create_group('data')
            for number, episode in enumerate(episodes):
                name = f'demo_{number}'
                total += _write(data.create_group(name), episode)
                for mask in ('valid' if number in valid else 'train', str(episode['skill']),
                             str(episode['operator']),
                             *([FAILED] if episode.get(FAILED, False) else [])):
                    masks.setdefault(mask, []).append(name)
            data.attrs['total'] = total
            env_args = robosuite_env.default_env_args(robosuite_env.TASKS[self.task])
            if self.kind == 'joint':
                env_args = with_joint_control(env_args, *_range(episodes))
            data.attrs['env_args'] = json.dumps(env_args, indent=4)
            for mask, names in sorted(masks.items()):
                file[f'mask/{mask}'] = np.array(names, dtype='S')
        return total


def _attempt(env: Any, script: Any) -> tuple[dict[str, np.ndarray], bool]:
    """Record an attempt, with some steps after success, and tell whether it succeeded."""
    rows: dict[str, list[Any]] = {key: [] for key in ('actions', 'rewards', 'dones', 'states')}
    joints = JointTargets(env) if env.joints else None
    observations = [_observation(env)]
    left, success = LINGER, False
    while left:
        action = script.action()
        rows['states'].append(env.suite.sim.get_state().flatten())
        if joints:
            # The file contains robosuite's actions, in rad; the environment takes scaled ones.
            action = joints.targets(action)
        _, reward, success, truncated, _ = env.step(
            env.joints.actions(action) if joints else action)
        left -= bool(success or left < LINGER)
        if truncated and left == LINGER:
            left = 0
        rows['actions'].append(action)
        # The file contains robosuite's own reward, 0 or 1; the environment shifts it.
        rows['rewards'].append(reward + 1)
        rows['dones'].append(int(success or not left))
        observations.append(_observation(env))
    columns = {key: np.array(values) for key, values in rows.items()}
    for key in observations[0]:
        values = np.array([observation[key] for observation in observations])
        columns[f'obs/{key}'], columns[f'next_obs/{key}'] = values[:-1], values[1:]
    return columns, success


def _range(episodes: list[Episode]) -> tuple[np.ndarray, np.ndarray]:
    """Find the range of the targets of each joint, rad, rounded outwards to hundredths."""
    targets = np.concatenate([episode['actions'][:, :-1] for episode in episodes])
    return np.floor(targets.min(axis=0) * 100) / 100, np.ceil(targets.max(axis=0) * 100) / 100


def _observation(env: Any) -> dict[str, np.ndarray]:
    """Copy the observations that Robomimic stores: all of the robot, and the object."""
    return {
        key: value.copy() for key, value in env.parts.items()
        if key.startswith('robot') or key == 'object'}


def _write(group: h5py.Group, episode: Episode) -> int:
    """Write a demonstration; returns its number of steps."""
    steps = len(episode['actions'])
    group.attrs['num_samples'] = steps
    group.attrs['model_file'] = str(episode['model_file'])
    for key, values in episode.items():
        if key not in (*ABOUT, FAILED):
            group.create_dataset(key, data=values)
    return steps
