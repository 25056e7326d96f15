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
Robosuite environments under Robomimic's names, with Gymnasium's interface.

An environment is defined by the ``env_args`` of Robomimic's files: the class of robosuite and its
keyword arguments. Robomimic's own wrapper, ``robomimic.envs.env_robosuite``, is not used: up to
its release 0.3.0 it imports mujoco_py, which is no longer maintained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
import logging
import os
import re
from typing import Any

import gymnasium
from gymnasium.spaces import Box
import numpy as np

from dfp_ros.sim.simulation.robosuite_joints import joint_range, with_joint_control

# Nothing is rendered here, and robosuite would set EGL; a renderer chooses its own backend.
unset = 'MUJOCO_GL' not in os.environ
os.environ.setdefault('MUJOCO_GL', 'disable')
# Robosuite logs missing optional parts and loaded files, which do not concern its user.
logging.getLogger('robosuite_logs').addFilter(lambda record: record.levelno >= logging.ERROR)
import robosuite  # noqa: E402, its import logs most of that
import robosuite.controllers.composite.composite_controller_factory as controllers  # noqa: E402

if unset:
    del os.environ['MUJOCO_GL']


@dataclass(frozen=True)
class Task:
    """
    Robomimic task.

    :param env_name: Robosuite's class.
    :param limit: Largest number of steps of an episode, as in the paper.
    :param robots: Number of arms.
    """

    env_name: str
    limit: int
    robots: int = 1


TASKS = {
    'lift': Task('Lift', 300),
    'can': Task('PickPlaceCan', 300),
    'square': Task('NutAssemblySquare', 400),
    'transport': Task('TwoArmTransport', 800, robots=2),
    'tool_hang': Task('ToolHang', 1000),
}
# Data kind in the names of environments with joint commands
# unless a data file says otherwise.
JOINT_KIND = 'joint'
# Robomimic's low-dimensional observation: of each arm, and then of everything else.
ROBOT_KEYS = ('eef_pos', 'eef_quat', 'gripper_qpos')
OBJECT_KEY = 'object'
# Up to robosuite 1.4 an object's own pose came before its pose seen from the effector, and since
# then after it (robomimic issue 236).
OLD_OBJECTS = {
    name: tuple(f'{part}_{key}' for key in ('pos', 'quat', 'to_robot0_eef_pos',
                                            'to_robot0_eef_quat'))
    for name, part in (('PickPlaceCan', 'Can'), ('NutAssemblySquare', 'SquareNut'))}
# Robosuite's reward is 1 on success; this shifts it to 0 then and -1 before.
REWARD_SHIFT = -1.0
# Robomimic's number for robosuite, robomimic.envs.env_base.EnvType.
ROBOSUITE_TYPE = 1


def find_task(environment: str) -> Task | None:
    """
    Return the Robomimic task of an environment's name.

    :param environment: For example ``lift-mh-low_dim``.
    :return: None if it is not a name of Robomimic's.
    """
    match = re.fullmatch(rf'({"|".join(TASKS)})-(ph|mh|mg|{JOINT_KIND})-low_dim', environment)
    task = TASKS[match[1]] if match else None
    # The joints of two arms cannot be distinguished here.
    return None if task and match and match[2] == JOINT_KIND and task.robots > 1 else task


def default_env_args(task: Task, joints: bool = False) -> dict[str, Any]:
    """
    Return the default description of a task's environment.

    :param task: The task.
    :param joints: Whether the arm takes joint commands, over the joints' full range.
    :return: Robomimic's description of Panda arms under robosuite 1.5's own controller, at 20 Hz.
    """
    made = {
        'env_name': task.env_name, 'env_version': robosuite.__version__, 'type': ROBOSUITE_TYPE,
        'env_kwargs': {
            'robots': ['Panda'] * task.robots, 'control_freq': 20, 'reward_shaping': False,
            'controller_configs': controllers.load_composite_controller_config(robot='Panda'),
            'ignore_done': True, 'use_object_obs': True, 'use_camera_obs': False,
            'has_renderer': False, 'has_offscreen_renderer': False}}
    return with_joint_control(made) if joints else made


def default_keys(robots: int) -> tuple[str, ...]:
    """Return the parts of Robomimic's low-dimensional observation, in its order."""
    arms = [f'robot{i}_{key}' for i in range(robots) for key in ROBOT_KEYS]
    return (*arms, OBJECT_KEY)


def robot_names(env_args: Mapping[str, Any]) -> list[str]:
    """Return the robots of an environment's description, which may be a name or a list."""
    robots = env_args['env_kwargs'].get('robots', ['Panda'])
    return [robots] if isinstance(robots, str) else list(robots)


def is_old(env_args: Mapping[str, Any]) -> bool:
    """Tell whether a description is for robosuite 1.4 or older."""
    version = re.match(r'(\d+)\.(\d+)', str(env_args.get('env_version', '')))
    if version:
        return (int(version[1]), int(version[2])) < (1, 5)
    controller = env_args['env_kwargs'].get('controller_configs')
    return isinstance(controller, Mapping) and controllers.is_part_controller_config(controller)


def convert(env_args: Mapping[str, Any]) -> dict[str, Any]:
    """
    Convert an environment's description to robosuite 1.5.

    Up to 1.4 only the controller of an arm was configurable: relative commands were
    ``control_delta``, and held in the frame of the world. The physics of a step were computed in
    full each time, which 1.5 calls ``lite_physics=False``.

    :param env_args: Robomimic's description; not modified.
    """
    made = deepcopy(dict(env_args))
    settings = made['env_kwargs']
    controller = settings.get('controller_configs')
    if isinstance(controller, Mapping) and controllers.is_part_controller_config(controller):
        old = dict(controller)
        relative = old.pop('control_delta', True)
        if old['type'].startswith('OSC'):
            old.setdefault('input_ref_frame', 'world')
        old.setdefault('input_type', 'delta' if relative else 'absolute')
        settings['controller_configs'] = controllers.refactor_composite_controller_config(
            old, robot_names(env_args)[0], ['right'])
        settings.setdefault('lite_physics', False)
    return made


class RobosuiteEnv(gymnasium.Env):
    """
    Low-dimensional robosuite environment that ends on success.

    :param env_args: Robomimic's description, for robosuite 1.4 or 1.5.
    :param keys: Parts of the observation, in order.
    :param limit: Largest number of steps of an episode.
    :raises ValueError: If robosuite does not know the environment or a part of the
        observation.
    """

    def __init__(self, env_args: Mapping[str, Any], keys: Sequence[str], limit: int) -> None:
        known = sorted(robosuite.ALL_ENVIRONMENTS)
        if env_args['env_name'] not in known:
            raise ValueError(
                f'env_args: env_name: found {env_args["env_name"]!r}, expected one of '
                f'{", ".join(known)}')
        converted = convert(env_args)
        settings = converted['env_kwargs'] | {
            'has_renderer': False, 'has_offscreen_renderer': False, 'use_camera_obs': False,
            'use_object_obs': True, 'ignore_done': True, 'renderer': 'mujoco'}
        # For robosuite 1.4 and older; rendering is off.
        settings.pop('camera_depth', None)
        self.suite: Any = robosuite.make(env_args['env_name'], **settings)
        self.keys, self.limit = tuple(keys), limit
        self._object = OLD_OBJECTS.get(env_args['env_name']) if is_old(env_args) else None
        self.period = 1 / float(self.suite.control_freq)
        self._steps = 0
        self.parts = self.measure()
        missing = [key for key in keys if key not in self.parts]
        if missing:
            raise ValueError(
                f'observation_keys: found {missing[0]!r}, expected some of '
                f'{", ".join(self.parts)}')
        self.joints = joint_range(converted)
        low, high = self.suite.action_spec
        if self.joints:
            low, high = -np.ones_like(low), np.ones_like(high)
        self.action_space = Box(low.astype(np.float32), high.astype(np.float32))
        size = self._observation().size
        self.observation_space = Box(-np.inf, np.inf, (size,), np.float32)

    def reset(
            self, *, seed: int | None = None,
            options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """
        Start an episode; equal seeds give equal episodes, bit for bit.

        :param seed: Seed of the initial state; without it, the generator continues.
        :param options: Not used.
        :return: Observation, shape (obs_dim,), float32, and the info dictionary.
        """
        super().reset(seed=seed)
        drawn = np.random.default_rng(self.np_random.integers(2**63))
        # Robosuite's placement samplers keep a reference to their generator, so it is reseeded
        # instead of replaced.
        self.suite.rng.bit_generator.state = drawn.bit_generator.state
        self.parts = self._read(self.suite.reset())
        self._steps = 0
        return self._observation(), {'success': self.solved()}

    def step(
            self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """
        Advance one control period.

        :param action: Shape (act_dim,), in [-1, 1].
        """
        values, reward, _, _ = self.suite.step(
            self.joints.targets(action) if self.joints else np.asarray(action, np.float64))
        self.parts = self._read(values)
        self._steps += 1
        success = self.solved()
        return (
            self._observation(), float(reward) + REWARD_SHIFT, success, self._steps >= self.limit,
            {'success': success})

    def measure(self) -> dict[str, np.ndarray]:
        """Return all measurements under Robomimic's names."""
        return self._read(self.suite._get_observations(force_update=True))

    def solved(self) -> bool:
        """Tell whether the task is solved in the current state."""
        return bool(self.suite._check_success())

    def close(self) -> None:
        """Free the simulation."""
        self.suite.close()

    def _observation(self) -> np.ndarray:
        return np.concatenate([self.parts[key] for key in self.keys], dtype=np.float32)

    def _read(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        found = {
            key: np.atleast_1d(np.asarray(value)) for key, value in values.items()
            if not key.endswith('-state')}
        objects = values['object-state'] if self._object is None else np.concatenate(
            [found[key] for key in self._object])
        return found | {OBJECT_KEY: np.asarray(objects)}


def make_env(
        environment: str, env_args: Mapping[str, Any] | None = None,
        keys: Sequence[str] = ()) -> RobosuiteEnv:
    """
    Make the environment of a Robomimic task.

    :param environment: For example ``lift-mh-low_dim``.
    :param env_args: Description in the data file; None for the task's default.
    :param keys: Parts of the observation; if empty, Robomimic's own.
    :raises ValueError: If there is no such task, or the description is for another one.
    """
    task = find_task(environment)
    if task is None:
        raise ValueError(
            f'environment: found {environment!r}, expected TASK-KIND-low_dim with TASK one of '
            f'{", ".join(TASKS)} and KIND one of ph, mh, mg, {JOINT_KIND}')
    env_args = env_args or default_env_args(task, f'-{JOINT_KIND}-' in environment)
    if env_args['env_name'] != task.env_name:
        raise ValueError(
            f'env_args: env_name: found {env_args["env_name"]!r}, expected {task.env_name!r} for '
            f'the environment {environment}; name the environment of the data')
    return RobosuiteEnv(env_args, keys or default_keys(task.robots), task.limit)
