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
"""Sliced simulation of an OGBench arm, without ROS or a clock."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from ogbench.manipspace.envs.manipspace_env import ManipSpaceEnv

from dfp_ros.sim.simulation.cell_state import (
    EpisodeResult,
    ObjectPose,
    RobotState,
    Slide,
    TwistInput,
)
from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.sliced_simulation import FloatArray, SlicedSimulation

# Angle of the gripper's driver joint at which OGBench considers it closed, rad.
CLOSED_JOINT = 0.8
FURNITURE = ('drawer', 'window')


class Simulation(SlicedSimulation):
    """
    OGBench manipulation environment, advanced in slices.

    :param environment: Gymnasium id, for example ``cube-single-singletask-task2-v0``.
    :param state_rate: Slices per second of simulated time, Hz.
    :raises ValueError: If the environment is not registered or not a manipulation environment, or
        if the slices do not divide the control period into whole physics steps.
    """

    def __init__(self, environment: str, state_rate: float = 100.0) -> None:
        """Create the environment and divide its control period."""
        self._wrapped = make_env(environment)
        env: Any = self._wrapped.unwrapped
        if not isinstance(env, ManipSpaceEnv):
            raise ValueError(
                f"environment: found {environment!r}, which has no arm; expected one of OGBench's "
                'manipulation environments, for example cube-single-singletask-task2-v0')
        self._env: Any = env
        period = float(env.control_timestep())
        # An action is a fraction of the largest step per period; its fourth element is a yaw.
        super().__init__(
            environment, period, float(env.physics_timestep()), state_rate,
            period / np.array(env.action_high, dtype=np.float64), TwistInput((0, 1, 2, 5)),
            self._wrapped.spec.max_episode_steps if self._wrapped.spec else None)

    def reset(self, seed: int) -> None:
        """Start an episode; equal seeds start equal episodes."""
        self._wrapped.reset(seed=seed)
        self._start(seed)

    def advance(self) -> EpisodeResult | None:
        """
        Advance one slice.

        :return: The result if this slice ended the episode, else None.
        """
        env = self._env
        if self._phase == 0:
            # success_timing='pre' evaluates the state that the period starts from.
            verdict = self._judge()
        self._take_command()
        if self._held == 0:
            # OGBench's target is relative to the current effector pose, so a held command must
            # be renewed each period, as env.step renews it.
            env.set_control(self._action)
        if self._phase == 0:
            env.pre_step()
            self._verdict = verdict
        mujoco.mj_step(env.model, env.data, nstep=self._slice_substeps)
        mujoco.mj_rnePostConstraint(env.model, env.data)
        self._held = (self._held + self._slice_substeps) % self._period_substeps
        self._phase = (self._phase + self._slice_substeps) % self._period_substeps
        if self._phase:
            return None
        # Once for each call of pre_step: a button counts its presses between the two.
        env.post_step()
        return self._end_period()

    def state(self) -> RobotState:
        """Return the current state."""
        info = self._env.compute_ob_info()
        data = self._env.data
        site = self._env._pinch_site_id
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, data.site_xmat[site])
        cubes: list[ObjectPose] = []
        while f'privileged/block_{len(cubes)}_pos' in info:
            key = f'privileged/block_{len(cubes)}'
            cubes.append(ObjectPose(info[f'{key}_pos'], info[f'{key}_quat']))
        buttons: list[Slide] = []
        while f'privileged/button_{len(buttons)}_pos' in info:
            state = int(self._env._cur_button_states[len(buttons)])
            buttons.append(_slide(info, f'button_{len(buttons)}', tuple(
                lamp == state for lamp in range(self._env._num_button_states))))
        return RobotState(
            joint_positions=info['proprio/joint_pos'],
            joint_velocities=info['proprio/joint_vel'],
            gripper_opening=float(info['proprio/gripper_opening'][0]),
            gripper_velocity=float(info['proprio/gripper_vel'][0]) / CLOSED_JOINT,
            gripper_contact=float(info['proprio/gripper_contact'][0]),
            effector=ObjectPose(info['proprio/effector_pos'], quaternion),
            cubes=tuple(cubes), buttons=tuple(buttons),
            furniture={
                name: _slide(info, name) for name in FURNITURE
                if f'privileged/{name}_pos' in info})

    def picture(self) -> FloatArray:
        """Return the renderer's state: positions of joints, poses of mocap bodies, buttons."""
        data = self._env.data
        return np.concatenate([
            data.qpos, data.mocap_pos.ravel(), data.mocap_quat.ravel(),
            getattr(self._env, '_cur_button_states', ())])

    def observation(self) -> FloatArray:
        """Return the environment's observation vector."""
        return np.asarray(self._env.compute_observation())

    def _judge(self) -> tuple[bool, bool, float]:
        """Return success, end of the episode and reward of the current state."""
        env = self._env
        return bool(env._success), bool(env.terminate_episode()), float(env.compute_reward())

    def _end_period(self) -> EpisodeResult | None:
        """Count a finished control period, and check whether it was the last."""
        if self._env._success_timing == 'post':
            self._verdict = self._judge()
        success, ended, reward = self._verdict
        return self._count(success, ended or bool(self._env.truncate_episode()), reward)


def _slide(info: dict[str, Any], name: str, lamps: tuple[bool, ...] = ()) -> Slide:
    """Read position and velocity of a sliding part."""
    position, velocity = (
        float(info[f'privileged/{name}_{what}'].item()) for what in ('pos', 'vel'))
    return Slide(position, velocity, lamps)
