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
Scripted operators for robosuite's Lift and Can, of different skill levels.

A script is a sequence of phases. In each, the end effector moves straight to a goal, with
proportional velocity control. Operators differ in speed, noise, pauses and detours, like the six
operators of Robomimic's multi-human data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

OPEN, CLOSE = -1.0, 1.0
# Gain of the gripper's orientation control, actions per radian.
UPRIGHT = 1.0
Parts = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Operator:
    """
    Skill parameters of a scripted operator.

    :param name: Name of the operator.
    :param skill: ``better``, ``okay`` or ``worse``, Robomimic's words.
    :param gain: Proportional gain, actions per metre of distance to the goal.
    :param speed: Largest action along an axis, at most 1.
    :param noise: Standard deviation of the tremor (action noise), in actions.
    :param pause: Probability per step of a pause of 5 to 15 steps.
    :param detour: Standard deviation of the error of the first approach, m.
    """

    name: str
    skill: str
    gain: float
    speed: float
    noise: float
    pause: float
    detour: float


OPERATORS = (
    Operator('better_operator_1', 'better', 20.0, 1.0, 0.02, 0.0, 0.0),
    Operator('better_operator_2', 'better', 15.0, 0.9, 0.05, 0.0, 0.01),
    Operator('okay_operator_1', 'okay', 12.0, 0.7, 0.1, 0.005, 0.02),
    Operator('okay_operator_2', 'okay', 10.0, 0.6, 0.1, 0.01, 0.02),
    Operator('worse_operator_1', 'worse', 8.0, 0.5, 0.2, 0.015, 0.04),
    Operator('worse_operator_2', 'worse', 6.0, 0.4, 0.2, 0.02, 0.06),
)


def at_joints(operator: Operator) -> Operator:
    """
    Adapt an operator to joint control, which does not smooth its noise.

    :return: An operator with half the noise and without pauses.
    """
    return replace(operator, noise=operator.noise / 2, pause=0.0)


@dataclass(frozen=True)
class Phase:
    """
    Phase of a script.

    :param goal: Returns the goal of the end effector, m, shape (3,).
    :param gripper: The gripper's action.
    :param tolerance: The phase ends within this distance of the goal, m; 0 waits for ``steps``.
    :param steps: Maximum number of steps.
    """

    goal: Callable[[], np.ndarray]
    gripper: float
    tolerance: float
    steps: int


class Script:
    """
    One attempt of an operator.

    :param env: A :class:`dfp_ros.sim.simulation.robosuite_env.RobosuiteEnv` that was reset.
    :param operator: Skill parameters.
    :param generator: Random generator.
    """

    def __init__(self, env: Any, operator: Operator, generator: np.random.Generator) -> None:
        self._env, self._operator, self._generator = env, operator, generator
        self._upright = Rotation.from_quat(self._parts['robot0_eef_quat'])
        self._phases = PHASES[env.suite.__class__.__name__](self)
        self._phases.insert(0, self._detour(self._phases[0]))
        self._begun = self._resting = 0
        self._held = self.effector()

    def action(self) -> np.ndarray:
        """Choose the next action, shape (7,), in [-1, 1]."""
        operator = self._operator
        if self._resting:
            self._resting -= 1
        elif self._generator.random() < operator.pause:
            self._resting = int(self._generator.integers(5, 16))
        phase = self._phase()
        rotation = self._upright * Rotation.from_quat(self._parts['robot0_eef_quat']).inv()
        moves = np.concatenate([
            np.clip(operator.gain * (phase.goal() - self.effector()), -operator.speed,
                    operator.speed),
            UPRIGHT * rotation.as_rotvec()])
        if self._resting:
            moves = np.zeros(6)
        tremor = operator.noise * self._generator.standard_normal(6)
        tremor[3:] /= 2
        return np.append(np.clip(moves + tremor, -1, 1), phase.gripper)

    def effector(self) -> np.ndarray:
        """Position of the end effector, m."""
        return self._parts['robot0_eef_pos']

    def part(self, key: str) -> np.ndarray:
        """Read an observation by robosuite's key."""
        return self._parts[key]

    def held(self) -> np.ndarray:
        """Position of the end effector at the start of the phase, m."""
        return self._held

    def bin(self) -> np.ndarray:
        """Target position of the object, m."""
        suite = self._env.suite
        return np.asarray(suite.target_bin_placements[suite.object_id])

    @property
    def _parts(self) -> Parts:
        found: Parts = self._env.parts
        return found

    def _phase(self) -> Phase:
        """Advance to the current phase; the last one does not end."""
        phase = self._phases[0]
        near = np.linalg.norm(phase.goal() - self.effector()) < phase.tolerance
        if len(self._phases) > 1 and (near or self._begun >= phase.steps):
            self._phases.pop(0)
            self._begun, self._held = 0, self.effector().copy()
        self._begun += 1
        return self._phases[0]

    def _detour(self, first: Phase) -> Phase:
        """Make a phase that approaches the first goal with an error."""
        miss = self._operator.detour * self._generator.standard_normal(3)
        miss[2] = abs(miss[2])
        return replace(first, goal=lambda: first.goal() + miss)


def _lift(script: Script) -> list[Phase]:
    """Go above the cube, down, close, up."""
    def cube() -> np.ndarray:
        return script.part('cube_pos')

    return [
        Phase(lambda: cube() + [0, 0, 0.08], OPEN, 0.02, 60),
        Phase(cube, OPEN, 0.01, 60),
        Phase(script.held, CLOSE, 0.0, 7),
        Phase(lambda: script.held() + [0, 0, 0.15], CLOSE, 0.0, 1)]


def _can(script: Script) -> list[Phase]:
    """Go above the can, down, close, up, over to its target in the other bin, down, open, up."""
    def can() -> np.ndarray:
        return script.part('Can_pos')

    def high() -> np.ndarray:
        return np.array([*script.held()[:2], script.bin()[2] + 0.25])

    return [
        Phase(lambda: can() + [0, 0, 0.12], OPEN, 0.02, 80),
        Phase(lambda: can() + [0, 0, 0.01], OPEN, 0.012, 60),
        Phase(script.held, CLOSE, 0.0, 8),
        Phase(high, CLOSE, 0.04, 60),
        Phase(lambda: script.bin() + [0, 0, 0.25], CLOSE, 0.03, 120),
        Phase(lambda: script.bin() + [0, 0, 0.1], CLOSE, 0.03, 60),
        Phase(script.held, OPEN, 0.0, 6),
        Phase(lambda: script.bin() + [0, 0, 0.25], OPEN, 0.0, 1)]


PHASES: dict[str, Callable[[Script], list[Phase]]] = {'Lift': _lift, 'PickPlaceCan': _can}
