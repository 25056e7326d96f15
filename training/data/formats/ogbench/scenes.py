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
"""OGBench's manipulation scenes: objects, and layout of observations, actions and state."""

from __future__ import annotations

from dataclasses import dataclass
import re

import numpy as np

from dfp_ros.sim.simulation.picture_names import VISUAL
from training.data.transitions.transitions import DataError

PERIOD = 0.05
# Names, sizes and physical ranges of the relative end-effector action (ManipSpaceEnv): at most
# 0.05 m, 0.3 rad and one full gripper opening per step of 0.05 s.
ACTION = (
    ('effector_linear_velocity', 3, 'm/s', 1.0),
    ('effector_yaw_rate', 1, 'rad/s', 6.0),
    ('gripper_rate', 1, '1/s', 20.0))
ROBOT = (
    ('joint_positions', 6, 'rad'), ('joint_velocities', 6, 'rad/s'),
    ('effector_position', 3, '0.1 m'), ('effector_yaw', 2, '1'),
    ('gripper_opening', 1, '1/3'), ('gripper_contact', 1, '1'))
# What a visual policy knows of the robot without its pictures: what its joints measure.
VISUAL_ROBOT = (
    ('joint_positions', 6, 'rad'), ('joint_velocities', 6, 'rad/s'), ('gripper_opening', 1, '1/3'))
# Joints of the arm and the gripper, each with one position and one velocity.
ROBOT_JOINTS = 14
# Joint of the gripper that says how far it is closed.
_GRIPPER = 6

Layout = list[tuple[str, int, str]]


@dataclass(frozen=True)
class Scene:
    """
    Objects of a scene.

    :param cubes: Number of cubes.
    :param buttons: Number of buttons; their state is not part of ``qpos``.
    :param furniture: Whether there are a drawer and a window.
    """

    cubes: int = 0
    buttons: int = 0
    furniture: bool = False

    @property
    def observation(self) -> Layout:
        """Name, size and unit of each part of an observation, in order."""
        layout = list(ROBOT)
        for i in range(self.cubes):
            layout += [
                (f'cube_{i}_position', 3, '0.1 m'), (f'cube_{i}_quaternion', 4, '1'),
                (f'cube_{i}_yaw', 2, '1')]
        for i in range(self.buttons):
            layout += [
                (f'button_{i}_state', 2, '1'), (f'button_{i}_position', 1, '1/120 m'),
                (f'button_{i}_velocity', 1, 'm/s')]
        if self.furniture:
            layout += [
                ('drawer_position', 1, '1/18 m'), ('drawer_velocity', 1, 'm/s'),
                ('window_position', 1, '1/15 m'), ('window_velocity', 1, 'm/s')]
        return layout

    @property
    def widths(self) -> dict[str, int]:
        """Return the number of values per row, by key of a data file."""
        slides = self.buttons + 2 * self.furniture
        widths = {
            'observations': sum(size for _, size, _ in self.observation),
            'actions': sum(size for _, size, *_ in ACTION),
            'qpos': ROBOT_JOINTS + 7 * self.cubes + slides,
            'qvel': ROBOT_JOINTS + 6 * self.cubes + slides}
        return widths | ({'button_states': self.buttons} if self.buttons else {})


SCENES = {
    'cube-single': Scene(cubes=1), 'cube-double': Scene(cubes=2), 'cube-triple': Scene(cubes=3),
    'cube-quadruple': Scene(cubes=4), 'cube-octuple': Scene(cubes=8),
    'scene': Scene(cubes=1, buttons=2, furniture=True),
    'puzzle-3x3': Scene(buttons=9), 'puzzle-4x4': Scene(buttons=16),
    'puzzle-4x5': Scene(buttons=20), 'puzzle-4x6': Scene(buttons=24)}


def is_visual(environment: str) -> bool:
    """Tell whether the observations of an environment are pictures."""
    return environment.startswith(VISUAL)


def observe_robot(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """
    Compute :data:`VISUAL_ROBOT`, what a visual policy knows of the robot, scaled as by OGBench.

    :param qpos: Shape (..., n), positions of the simulator, the robot's first.
    :param qvel: Shape (..., m), velocities likewise.
    :return: Shape (..., 13), float32.
    """
    opening = 3 * np.clip(qpos[..., _GRIPPER:_GRIPPER + 1] / 0.8, 0, 1)
    return np.concatenate([qpos[..., :6], qvel[..., :6], opening], axis=-1).astype(np.float32)


def scene_of(environment: str) -> str:
    """
    Name the scene of a single-task environment.

    :param environment: For example ``scene-singletask-task3-v0``, or ``scene-singletask-v0`` for
        the scene's default task; with ``visual-`` before it, for pictures.
    :return: A key of :data:`SCENES`.
    :raises DataError: For any other environment.
    """
    match = re.fullmatch(
        r'(?P<scene>.+?)(-(?P<kind>play|noisy))?-singletask(?P<task>-task[1-5])?-v0',
        environment.removeprefix(VISUAL))
    if match is None or match['scene'] not in SCENES:
        raise DataError(
            f'environment: found {environment!r}, expected SCENE-singletask[-taskK]-v0 with SCENE '
            f'one of {", ".join(SCENES)} and K from 1 to 5')
    if match['kind']:
        raise DataError(
            f'environment: found {environment!r}, which names data and a task at once; expected '
            f'{match["scene"]}-singletask{match["task"] or ""}-v0, and as data '
            f'{match["scene"]}-{match["kind"]}-v0.npz')
    return match['scene']
