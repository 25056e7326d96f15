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
"""Where the joints are to be for an effector to go where its operator wants it."""

from __future__ import annotations

from typing import Any

import numpy as np

# What an action of 1 asks of the effector, m and rad. Robosuite's own controller of the effector
# turns it by up to 0.5 rad, which would jerk the joints.
STEP = np.array([0.05, 0.05, 0.05, 0.2, 0.2, 0.2])
# Keeps the joints' steps finite where the arm is stretched out.
DAMPING = 0.05
# Share of the way back to the posture that episodes start in, a step, as far as that leaves the
# effector where it is.
RETURN = 0.2
# How far from their posture joints begin, rad, and in how many steps they go there.
ASIDE, STEPS_ASIDE = 0.2, 12


def wander(env: Any, generator: np.random.Generator) -> None:
    """
    Let joints go somewhere near, before a demonstration begins.

    A policy that saw only straight ways from one posture would not find back to them: its targets
    are places, and go on wherever it errs.

    :param env: What :class:`JointTargets` takes.
    :param generator: Decides where to.
    """
    joints = env.parts['robot0_joint_pos']
    target = joints + generator.uniform(-ASIDE, ASIDE, len(joints))
    for _ in range(STEPS_ASIDE):
        # The fingers stay as they are when episodes start: open, they would tell the two apart.
        env.step(env.joints.actions(np.append(target, 0.0)))


class JointTargets:
    """
    Turn what a script wants of the effector into targets of the joints.

    A target is a step from where the joints are, so it depends on what is measured alone, and a
    joint that lags behind is not asked for more and more.

    :param env: A :class:`dfp_ros.sim.simulation.robosuite_env.RobosuiteEnv` of one arm, commanded
        at its joints, that was reset.
    """

    def __init__(self, env: Any) -> None:
        robot = env.suite.robots[0]
        self._env = env
        self._site = robot.gripper['right'].important_sites['grip_site']
        self._rates = robot._ref_arm_joint_vel_indexes
        self._posture = np.asarray(robot.init_qpos, np.float64)

    def targets(self, action: np.ndarray) -> np.ndarray:
        """
        Choose targets.

        :param action: Of a script, shape (7,): the effector's step and the gripper's direction.
        :return: Shape (8,): rad a joint, and the gripper's direction.
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
