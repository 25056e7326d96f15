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
"""Measurements, command interface and episode result of a robot cell; needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PANDA_JOINT_NAMES = tuple(f'panda_joint{i}' for i in range(1, 8))


@dataclass(frozen=True)
class ObjectPose:
    """
    Pose of an object.

    :param position: Shape (3,), m, in the world frame.
    :param quaternion: Shape (4,), w x y z.
    """

    position: FloatArray
    quaternion: FloatArray


@dataclass(frozen=True)
class Slide:
    """
    A part of a scene that moves along one axis: a button, a drawer, a sliding window.

    :param position: Position along its axis, m.
    :param velocity: Velocity along it, m/s.
    :param lamps: Of a button: for each of its states, whether it is the current one.
    """

    position: float
    velocity: float
    lamps: tuple[bool, ...] = ()


@dataclass(frozen=True)
class RobotState:
    """
    Measurements of a robot cell at one instant.

    :param joint_positions: Shape (6,), rad.
    :param joint_velocities: Shape (6,), rad/s.
    :param gripper_opening: How far the gripper has closed, in OGBench's term: 0 open, 1 closed.
    :param gripper_velocity: Rate of ``gripper_opening``, 1/s.
    :param gripper_contact: Force on a finger pad, 0 (none) to 1 (50 N or more).
    :param effector: Pose of the point between the finger tips.
    :param cubes: Poses of the cubes, in OGBench's order.
    :param buttons: Buttons, in OGBench's order.
    :param furniture: Drawer and window by name, if there are any.
    """

    joint_positions: FloatArray
    joint_velocities: FloatArray
    gripper_opening: float
    gripper_velocity: float
    gripper_contact: float
    effector: ObjectPose
    cubes: tuple[ObjectPose, ...]
    buttons: tuple[Slide, ...] = ()
    furniture: dict[str, Slide] = field(default_factory=dict)


@dataclass(frozen=True)
class LiftState:
    """
    Measurements of a cell with robosuite's Panda and the cube of its Lift at one instant.

    :param joint_positions: Shape (7,), rad.
    :param joint_velocities: Shape (7,), rad/s.
    :param finger_positions: Shape (2,), m: one finger opens to 0.04, the other to -0.04.
    :param finger_velocities: Shape (2,), m/s.
    :param effector: Position of the point between the finger tips, and rotation of the hand.
    :param cube: Pose of the cube.
    :param gripper_to_cube: Shape (3,), m: position of the cube relative to the effector, as
        robosuite measures it.
    """

    joint_positions: FloatArray
    joint_velocities: FloatArray
    finger_positions: FloatArray
    finger_velocities: FloatArray
    effector: ObjectPose
    cube: ObjectPose
    gripper_to_cube: FloatArray


@dataclass(frozen=True)
class TwistInput:
    """
    Arm with velocity commands for its effector.

    :param rates: Indices of a twist's six rates that it follows: x y z, then the rates about them.
    """

    rates: tuple[int, ...]


@dataclass(frozen=True)
class JointTargetInput:
    """
    Arm with position commands for its joints, rad.

    :param joints: Names of the joints.
    """

    joints: tuple[str, ...]


@dataclass(frozen=True)
class EpisodeResult:
    """
    Result of an episode.

    :param seed: Seed of its reset.
    :param success: Whether the task was solved.
    :param steps: Number of control periods, as ``env.step`` counts them.
    :param total_reward: Sum of the environment's rewards.
    :param duration: Simulated time, s.
    """

    seed: int
    success: bool
    steps: int
    total_reward: float
    duration: float
