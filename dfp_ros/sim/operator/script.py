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
Script that brings a cube to its goal by teleoperation, from what anybody can see.

It has no memory: each scene has one answer, so it can begin anywhere, as a person who takes over
has to. The phases are those of OGBench's Markov oracle (arXiv 2410.20092).
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from dfp_ros.core.arrays import Vector

#: Where the cube has to be, in m, by environment.
GOALS = {f'cube-single-singletask-task{task}-v0': goal for task, goal in (
    (1, (0.425, -0.1, 0.02)), (2, (0.5, 0.0, 0.02)), (3, (0.35, 0.0, 0.02)), (4, (0.5, 0.2, 0.02)),
    (5, (0.5, -0.2, 0.02)))}
#: Numbers that the script commands, in the order of its deflections; x, y, z, yaw, gripper.
NUMBERS = (
    'effector_linear_velocity[0]', 'effector_linear_velocity[1]', 'effector_linear_velocity[2]',
    'effector_yaw_rate', 'gripper_rate')
OPEN, CLOSE = -1.0, 1.0
# Heights in m: of the ways to the cube and to the goal, and below which a held cube rises first.
_APPROACH, _CARRY, _LOW = 0.16, 0.12, 0.08
# Horizontal distance in m within which the arm goes down, and distance within which it grasps.
_ABOVE, _AT_CUBE = 0.03, 0.015
# A cube is held if the fingers press something, and it is between them.
_PRESSED, _BETWEEN = 0.3, 0.03
# Distances below which the arm and the wrist slow down, in m and rad.
_SLOWS_AT, _TURNS_AT = 0.06, 0.5
# Length in m of the way from a grasp to the goal, longer than any.
_GRASPED = 1.0


@dataclass(frozen=True)
class Scene:
    """
    What an operator sees at one instant.

    :param time: Time of the observation in s.
    :param effector: Position of the point between the finger tips, shape (3,), m.
    :param effector_yaw: Its rotation about the vertical in rad.
    :param contact: Force at the fingers, 0 to 1.
    :param cube: Position of the cube, shape (3,), m.
    :param cube_yaw: Its rotation about the vertical in rad.
    """

    time: float
    effector: Vector
    effector_yaw: float
    contact: float
    cube: Vector
    cube_yaw: float

    @property
    def is_lifted(self) -> bool:
        """Whether the gripper has lifted the cube."""
        return self.is_grasped and float(self.effector[2]) > _LOW

    @property
    def is_grasped(self) -> bool:
        """Whether the gripper holds the cube."""
        between = float(np.linalg.norm(self.cube - self.effector)) < _BETWEEN
        return between and self.contact > _PRESSED


def deflect(scene: Scene, goal: Vector) -> list[float]:
    """
    Decide what the operator asks for.

    :param scene: What the operator sees.
    :param goal: Where the cube has to be, shape (3,), m.
    :return: Deflections of :data:`NUMBERS`, in [-1, 1].
    """
    turn = 0.0
    if scene.is_grasped:
        target, grip = _carry(scene, goal), CLOSE
    else:
        target, grip = _reach(scene)
        turn = max(-1.0, min(1.0, _quarter(scene.cube_yaw - scene.effector_yaw) / _TURNS_AT))
    away = target - scene.effector
    away = away / max(_SLOWS_AT, float(np.linalg.norm(away)))
    return [*away.tolist(), turn, grip]


def remaining(scene: Scene, goal: Vector) -> float:
    """
    Estimate how far the task is from its end, as the way that is left in m.

    :param scene: What the operator sees.
    :param goal: Where the cube has to be.
    """
    if scene.is_grasped:
        return min(_GRASPED, float(np.linalg.norm(goal - scene.cube)))
    return _GRASPED + float(np.linalg.norm(scene.cube - scene.effector))


def _reach(scene: Scene) -> tuple[Vector, float]:
    """Go above the cube, down, and close the gripper."""
    if float(np.linalg.norm((scene.cube - scene.effector)[:2])) > _ABOVE:
        return _at_height(scene.cube, _APPROACH), OPEN
    is_there = float(np.linalg.norm(scene.cube - scene.effector)) < _AT_CUBE
    return scene.cube, CLOSE if is_there else OPEN


def _carry(scene: Scene, goal: Vector) -> Vector:
    """Rise, go above the goal, and down."""
    if float(np.linalg.norm((goal - scene.cube)[:2])) < _ABOVE:
        return goal
    return _at_height(scene.effector if scene.effector[2] < _LOW else goal, _CARRY)


def _at_height(place: Vector, height: float) -> Vector:
    """Return the point above a place."""
    return np.array([place[0], place[1], height])


def _quarter(turn: float) -> float:
    """Return the shortest of the turns that look the same for a cube, rad."""
    return math.remainder(turn, math.pi / 2)
