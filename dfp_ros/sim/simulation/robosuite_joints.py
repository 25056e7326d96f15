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
Joint position control of robosuite's arms, with absolute targets in rad.

Robosuite's ``JOINT_POSITION`` controller takes absolute targets unscaled. So the actions in a
file of such data are in rad, and ``input_min`` and ``input_max`` of the controller in the file's
``env_args`` give their range; policies are trained on [-1, 1] of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

# Joint stiffness, 1/s^2: a joint covers two thirds of the distance to its target in 0.1 s.
STIFFNESS = 400.0
# Limits of the Panda's joints, rad, as in robosuite's model of it.
PANDA_LOW = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973)
PANDA_HIGH = (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973)


@dataclass(frozen=True)
class JointRange:
    """
    Range of the joint and gripper commands for actions of -1 to 1.

    :param low: Shape (act_dim,): rad per joint, then the gripper, at -1.
    :param high: The same at 1.
    """

    low: np.ndarray
    high: np.ndarray

    def targets(self, action: np.ndarray) -> np.ndarray:
        """
        Scale an action to robosuite's command, in the precision of the policies.

        :param action: Shape (act_dim,), in [-1, 1].
        """
        share = (np.asarray(action, np.float64) + 1) / 2
        return (self.low + share * (self.high - self.low)).astype(np.float32).astype(np.float64)

    def actions(self, targets: np.ndarray) -> np.ndarray:
        """
        Scale robosuite's commands to actions in [-1, 1].

        :param targets: Shape (..., act_dim), rad, then the gripper.
        :return: The same shape, float64.
        """
        return (targets - self.low) / (self.high - self.low) * 2 - 1


def with_joint_control(
        env_args: Mapping[str, Any], low: np.ndarray | tuple[float, ...] = PANDA_LOW,
        high: np.ndarray | tuple[float, ...] = PANDA_HIGH) -> dict[str, Any]:
    """
    Return the description of an environment with joint position control.

    :param env_args: Robomimic's description, for robosuite 1.5; not modified.
    :param low: Target of each joint at an action of -1, rad.
    :param high: The same at 1.
    """
    made = deepcopy(dict(env_args))
    parts = made['env_kwargs']['controller_configs']['body_parts']
    lowest, highest = ([float(value) for value in bound] for bound in (low, high))
    parts['right'] = {
        'type': 'JOINT_POSITION', 'input_type': 'absolute', 'input_min': lowest,
        'input_max': highest, 'output_min': lowest, 'output_max': highest, 'kp': STIFFNESS,
        'damping_ratio': 1, 'impedance_mode': 'fixed', 'qpos_limits': None,
        'interpolation': None, 'ramp_ratio': 0.2, 'gripper': parts['right']['gripper']}
    return made


def joint_range(env_args: Mapping[str, Any]) -> JointRange | None:
    """
    Return the range of an environment's joint targets, if its one arm takes them.

    :param env_args: Robomimic's description, for robosuite 1.5.
    :return: None if its arm is commanded otherwise.
    :raises ValueError: If the range is invalid: of another size than the arm, or empty.
    """
    config = env_args['env_kwargs'].get('controller_configs') or {}
    # Two arms may have a list of configurations.
    arm = config.get('body_parts', {}).get('right', {}) if isinstance(config, Mapping) else {}
    if (arm.get('type'), arm.get('input_type')) != ('JOINT_POSITION', 'absolute'):
        return None
    try:
        low, high = (
            np.append(np.broadcast_to(np.asarray(arm.get(key, end), np.float64), 7), end)
            for key, end in (('input_min', -1.0), ('input_max', 1.0)))
        if not (np.isfinite([low, high]).all() and (low < high).all()):
            raise ValueError('a range that is empty')
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'env_args: controller_configs: input_min, input_max: found {arm.get("input_min")}, '
            f'{arm.get("input_max")}, expected the lowest and the highest target of each of 7 '
            f'joints, rad ({error})') from error
    return JointRange(low, high)
