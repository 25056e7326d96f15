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
"""Sliced simulation of robosuite's Panda at Lift, without ROS or a clock."""

from __future__ import annotations

import numpy as np

from dfp_ros.sim.simulation.cell_state import (
    EpisodeResult,
    JointTargetInput,
    LiftState,
    ObjectPose,
    PANDA_JOINT_NAMES,
    TwistInput,
)
from dfp_ros.sim.simulation.robosuite_env import make_env, REWARD_SHIFT
from dfp_ros.sim.simulation.sliced_simulation import FloatArray, SlicedSimulation


class RobosuiteSimulation(SlicedSimulation):
    """
    Robomimic's Lift under robosuite 1.5's own controllers, advanced in slices.

    If its arm takes joint commands, actions are the joints' targets in rad.

    :param environment: For example ``lift-mh-low_dim``, or ``lift-joint-low_dim``.
    :param state_rate: Slices per second of simulated time, Hz.
    :raises ValueError: If the environment is another, or the slices do not divide the control
        period into whole physics steps.
    """

    def __init__(self, environment: str, state_rate: float = 100.0) -> None:
        """Create the environment, and make its first step, which compiles code."""
        self._env = make_env(environment)
        suite = self._suite = self._env.suite
        if type(suite).__name__ != 'Lift':
            raise ValueError(
                f'environment: found {environment!r}, expected lift-KIND-low_dim: of '
                "Robomimic's tasks, only Lift has a robot cell")
        joints = self._env.joints
        if joints:
            scale, bounds = np.ones(len(joints.low)), (joints.low, joints.high)
        else:
            controller = suite.robots[0].part_controllers['right']
            # An action of 1 moves the goal by this much per period; the gripper's is a direction.
            scale = self._env.period / np.append(
                np.asarray(controller.output_max, np.float64), self._env.period)
            bounds = -np.ones(len(scale)), np.ones(len(scale))
        super().__init__(
            environment, self._env.period, float(suite.model_timestep), state_rate, scale,
            JointTargetInput(PANDA_JOINT_NAMES) if joints else TwistInput(tuple(range(6))),
            self._env.limit, bounds)
        self.reset(0)
        self.step(self._action)

    def reset(self, seed: int) -> None:
        """Start an episode; equal seeds start equal episodes."""
        self._env.reset(seed=seed)
        self._start(seed)
        self._since_goal = self._period_substeps
        self._grip_before: list[FloatArray] = []
        if self._env.joints:
            # Joints without a command hold their position, which zero would not.
            self._action[:-1] = self._env.parts['robot0_joint_pos']

    def advance(self) -> EpisodeResult | None:
        """
        Advance one slice.

        :return: The result if this slice ended the episode, else None.
        """
        suite = self._suite
        self._take_command()
        action = self._action.astype(np.float64)
        for _ in range(self._slice_substeps):
            # As in robosuite's own step; the goal is set anew each period.
            suite.sim.step1()
            if self._held == 0:
                self._begin_goal()
            suite._pre_action(action, self._held == 0)
            suite.sim.step2()
            self._since_goal += 1
            self._held = (self._held + 1) % self._period_substeps
        self._phase = (self._phase + self._slice_substeps) % self._period_substeps
        if self._phase:
            return None
        success = self._env.solved()
        return self._count(success, success, float(suite.reward(action)) + REWARD_SHIFT)

    def _begin_goal(self) -> None:
        """
        Limit the gripper to one step per control period, regardless of the number of goals.

        Each goal advances robosuite's gripper by a step. If arm and gripper are commanded by
        separate messages, two goals may be one slice apart; the later one then replaces the
        earlier one instead of adding to it.
        """
        grippers = self._suite.robots[0].composite_controller.grippers.values()
        if 2 * self._since_goal < self._period_substeps:
            for gripper, action in zip(grippers, self._grip_before, strict=True):
                gripper.current_action = action
        else:
            self._grip_before = [np.array(gripper.current_action) for gripper in grippers]
            self._since_goal = 0

    def state(self) -> LiftState:
        """Return the current state."""
        parts = self._env.measure()
        return LiftState(
            joint_positions=parts['robot0_joint_pos'],
            joint_velocities=parts['robot0_joint_vel'],
            finger_positions=parts['robot0_gripper_qpos'],
            finger_velocities=parts['robot0_gripper_qvel'],
            effector=_pose(parts['robot0_eef_pos'], parts['robot0_eef_quat']),
            cube=_pose(parts['cube_pos'], parts['cube_quat']),
            gripper_to_cube=parts['gripper_to_cube_pos'])

    def picture(self) -> FloatArray:
        """Return the renderer's state: positions of joints."""
        return np.array(self._suite.sim.data.qpos, np.float64)

    def observation(self) -> FloatArray:
        """Return the environment's observation vector."""
        parts = self._env.measure()
        return np.concatenate([parts[key] for key in self._env.keys])


def _pose(position: FloatArray, quaternion: FloatArray) -> ObjectPose:
    """Convert a pose of robosuite, whose quaternions are x y z w."""
    return ObjectPose(position, np.roll(quaternion, 1))
