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
"""Layout of Robomimic's observations and actions: names, sizes, units, ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dfp_ros.sim.simulation import robosuite_env
from dfp_ros.sim.simulation.robosuite_env import OBJECT_KEY
from dfp_ros.sim.simulation.robosuite_joints import joint_range
from training.data.transitions.transitions import Bound

# Units by the suffix of a part's name; the first match counts.
UNITS = (
    ('joint_pos_cos', '1'), ('joint_pos_sin', '1'), ('joint_pos', 'rad'), ('joint_vel', 'rad/s'),
    ('vel_lin', 'm/s'), ('vel_ang', 'rad/s'), ('qvel', 'm/s'), ('quat', '1'), ('pos', 'm'))
# Names and sizes of the parts of ``object``, for known environments.
POSE = (('pos', 3), ('quat', 4))
FROM_EFFECTOR = (('to_robot0_eef_pos', 3), ('to_robot0_eef_quat', 4))
OBJECTS = {
    'Lift': [('cube_pos', 3), ('cube_quat', 4), ('gripper_to_cube_pos', 3)],
    'PickPlaceCan': [(f'Can_{key}', size) for key, size in FROM_EFFECTOR + POSE],
    'NutAssemblySquare': [(f'SquareNut_{key}', size) for key, size in FROM_EFFECTOR + POSE],
}
ARM_ACTIONS = 7
# Robosuite's default control rate, Hz.
RATE = 20
# Robosuite's grippers use only the sign: positive closes.
GRIPPER: tuple[str, int, str, Bound] = ('gripper_direction', 1, '1', 1.0)


def observation_layout(
        env_args: Mapping[str, Any], widths: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """
    Name, size and unit of each part of the observation.

    :param env_args: The file's ``env_args``.
    :param widths: Size of each part; the object part is split if its parts are known.
    """
    name = env_args['env_name']
    objects = OBJECTS.get(name, [])
    if robosuite_env.is_old(env_args) and name in robosuite_env.OLD_OBJECTS:
        order = robosuite_env.OLD_OBJECTS[name]
        objects = sorted(objects, key=lambda part: order.index(part[0]))
    layout: list[tuple[str, int, str]] = []
    for key, width in widths.items():
        known = key == OBJECT_KEY and sum(size for _, size in objects) == width
        for part, size in objects if known else [(key, width)]:
            unit = next((unit for ending, unit in UNITS if part.endswith(ending)), 'mixed')
            layout.append((part, size, unit))
    return layout


def reach(env_args: Mapping[str, Any]) -> tuple[float, float] | None:
    """
    Displacement of an arm's goal by an action of 1, m and rad, if actions are relative poses.

    :param env_args: As the file has them.
    :return: None for other kinds of actions.
    """
    config = robosuite_env.convert(env_args)['env_kwargs'].get('controller_configs') or {}
    config = config if isinstance(config, Mapping) else config[0]
    arm = config.get('body_parts', {}).get('right', {})
    if arm.get('type') != 'OSC_POSE' or arm.get('input_type', 'delta') != 'delta':
        return None
    steps = np.broadcast_to(np.asarray(arm.get('output_max', np.nan), float), 6).tolist()
    even = len(set(steps[:3])) == len(set(steps[3:])) == 1
    return (steps[0], steps[3]) if even else None


def action_layout(
        env_args: Mapping[str, Any], act_dim: int) -> list[tuple[str, int, str, Bound]]:
    """
    Name, size, unit and bound of each part of the action, if the arms' controllers define them.

    :param env_args: As the file has them.
    :param act_dim: Size of an action.
    """
    converted = robosuite_env.convert(env_args)
    joints = joint_range(converted)
    if joints:
        return [
            ('joint_positions', ARM_ACTIONS, 'rad', (joints.low[:-1], joints.high[:-1])), GRIPPER]
    rate = converted['env_kwargs'].get('control_freq', RATE)
    arms = robosuite_env.robot_names(env_args)
    steps = reach(env_args)
    if steps is None or act_dim != ARM_ACTIONS * len(arms):
        return [('action', act_dim, '1', 1.0)]
    layout: list[tuple[str, int, str, Bound]] = []
    for i in range(len(arms)):
        prefix = f'robot{i}_' if len(arms) > 1 else ''
        layout += [
            (f'{prefix}effector_linear_velocity', 3, 'm/s', steps[0] * rate),
            (f'{prefix}effector_angular_velocity', 3, 'rad/s', steps[1] * rate),
            (f'{prefix}{GRIPPER[0]}', *GRIPPER[1:])]
    return layout
