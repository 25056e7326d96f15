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
"""Inverse kinematics: joint targets from the end-effector commands of a scripted operator."""

from __future__ import annotations

from typing import Any

import numpy as np

# End-effector displacement of an action of 1, m and rad. Robosuite's own controller rotates it by
# up to 0.5 rad, which would be jerky for the joints.
STEP = np.array([0.05, 0.05, 0.05, 0.2, 0.2, 0.2])
# Damping of the least squares, which bounds joint steps near singularities.
DAMPING = 0.05
# Null-space gain towards the initial posture, per step.
RETURN = 0.2
# Initial joint offset from the posture, rad, and number of steps to reach it.
ASIDE, STEPS_ASIDE = 0.2, 12


def wander(env: Any, generator: np.random.Generator) -> None:
    """
    Randomise the initial posture before a demonstration begins.

    A policy trained only on direct paths from one posture would not recover from errors: its
    targets are absolute positions, and continue from wherever an error leads.

    :param env: Environment as for :class:`JointTargets`.
    :param generator: Random generator of the offsets.
    """
    joints = env.parts['robot0_joint_pos']
    target = joints + generator.uniform(-ASIDE, ASIDE, len(joints))
    for _ in range(STEPS_ASIDE):
        # The gripper stays as at the start of episodes: otherwise it would reveal this phase.
        env.step(env.joints.actions(np.append(target, 0.0)))


class JointTargets:
    """
    Damped least-squares inverse kinematics, from end-effector steps to joint targets.

    A target is a step from the measured joint positions, so it depends on measurements alone, and
    the error of a lagging joint does not accumulate.

    :param env: A :class:`dfp_ros.sim.simulation.robosuite_env.RobosuiteEnv` with one arm and joint
        control, after reset.
    """

    def __init__(self, env: Any) -> None:
        robot = env.suite.robots[0]
        self._env = env
        self._site = robot.gripper['right'].important_sites['grip_site']
        self._rates = robot._ref_arm_joint_vel_indexes
        self._posture = np.asarray(robot.init_qpos, np.float64)

    def targets(self, action: np.ndarray) -> np.ndarray:
        """
        Compute joint targets.

        :param action: Action of a script, shape (7,): end-effector step and gripper direction.
        :return: Shape (8,): joint positions in rad, and gripper direction.
        """
        data = self._env.suite.sim.data
        joints = self._env.parts['robot0_joint_pos']
        jacobian = np.concatenate([
            read(self._site).reshape(3, -1)[:, self._rates]
            for read in (data.get_site_jacp, data.get_site_jacr)])
        inverse = jacobian.T @ np.linalg.inv(
            jacobian @ jacobian.T + DAMPING ** 2 * np.eye(6))
        free = np.eye(len(joints)) - inverse @ jacobian
        step = inverse @ (STEP * action[:6]) + free @ (RETURN * (self._posture - joints))
        return np.append(joints + step, action[6])
