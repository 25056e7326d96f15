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
"""The operator's script, in every scene, and in OGBench's simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS
from dfp_ros.sim.operator.script import CLOSE, deflect, GOALS, NUMBERS, OPEN, remaining, Scene
from dfp_ros.sim.simulation.cell_state import ObjectPose
from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.ogbench_simulation import Simulation
from dfp_ros.tools.teleop.controls import find_controls
from testing import ROOT

TASK = 'cube-single-singletask-task2-v0'
GOAL = np.array(GOALS[TASK])


def scene(**changes: Any) -> Scene:
    """Describe an arm above a cube."""
    seen: dict[str, Any] = {
        'time': 0.0, 'effector': np.array([0.35, 0.0, 0.2]), 'effector_yaw': 0.0, 'contact': 0.0,
        'cube': np.array([0.35, 0.0, 0.02]), 'cube_yaw': 0.0}
    return Scene(**{**seen, **changes})


@pytest.mark.parametrize('environment', GOALS)
def test_goals_are_those_of_ogbench(environment: str) -> None:
    """The operator has them from a table, because a person sees them without the simulator."""
    env: Any = make_env(environment)
    env.reset(seed=0)
    assert env.unwrapped.cur_task_info['goal_xyzs'].tolist() == [list(GOALS[environment])]


def test_no_deflection_is_beyond_full() -> None:
    """In any scene, with the arm at the cube and the cube at its goal among them."""
    generator = np.random.default_rng(0)
    for i in range(2000):
        cube = generator.uniform(-1, 1, 3)
        effector = cube + generator.normal(0, 10.0 ** generator.uniform(-6, 0), 3)
        asked = deflect(
            scene(effector=effector, cube=cube, contact=generator.uniform(0, 1),
                  effector_yaw=generator.uniform(-9, 9), cube_yaw=generator.uniform(-9, 9)),
            cube if i % 3 == 0 else GOAL)
        assert len(asked) == len(NUMBERS)
        assert np.all(np.isfinite(asked))
        assert float(np.linalg.norm(asked[:3])) <= 1 + 1e-9
        assert np.abs(asked).max() <= 1


def test_phases() -> None:
    """Above the cube, down, grasp, up, above the goal, down."""
    def at(effector: list[float], cube: list[float], contact: float = 0.0) -> list[float]:
        return deflect(
            scene(effector=np.array(effector), cube=np.array(cube), contact=contact), GOAL)

    aside = at([0.5, 0.0, 0.16], [0.35, 0.0, 0.02])
    assert aside == [-1.0, 0.0, 0.0, 0.0, OPEN]
    assert at([0.35, 0.0, 0.16], [0.35, 0.0, 0.02]) == [0.0, 0.0, -1.0, 0.0, OPEN]
    assert at([0.35, 0.0, 0.02], [0.35, 0.0, 0.02])[4] == CLOSE
    assert at([0.35, 0.0, 0.03], [0.35, 0.0, 0.03], 1.0)[:3] == [0.0, 0.0, 1.0]
    assert at([0.35, 0.0, 0.12], [0.35, 0.0, 0.12], 1.0)[:3] == [1.0, 0.0, 0.0]
    assert at([0.5, 0.0, 0.12], [0.5, 0.0, 0.12], 1.0) == [0.0, 0.0, -1.0, 0.0, CLOSE]


def test_the_wrist_takes_the_shorter_turn() -> None:
    """A cube looks the same after a quarter of a turn."""
    for turn in (0.2, 0.2 + math.pi / 2, 0.2 - math.pi, 0.2 + 8 * math.pi):
        assert deflect(scene(cube_yaw=turn), GOAL)[3] == pytest.approx(0.4)


def test_what_is_left_falls_from_phase_to_phase() -> None:
    """A dropped cube is a step back."""
    far, near = scene(), scene(effector=np.array([0.35, 0.0, 0.05]))
    grasped = scene(effector=np.array([0.35, 0.0, 0.02]), contact=1.0)
    there = scene(effector=GOAL, cube=GOAL, contact=1.0)
    left = [remaining(each, GOAL) for each in (far, near, grasped, there)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0.0
    assert remaining(scene(effector=np.array([0.45, 0.0, 0.2])), GOAL) > left[2]


@pytest.mark.parametrize('seed', range(2))
def test_it_solves_the_task(seed: int) -> None:
    """At full speed as the shipped description has it, well within an episode."""
    controls = find_controls(load_robot_description(ROOT / 'config' / 'ur5e_cube.yaml'))
    assert tuple(control.name for control in controls) == NUMBERS
    full = np.array([control.full for control in controls])
    simulation = Simulation(TASK)
    simulation.reset(seed)
    result = None
    while result is None:
        state = simulation.state()
        simulation.command(simulation.action_scale * full * deflect(Scene(
            0.0, state.effector.position, yaw(state.effector), state.gripper_contact,
            state.cubes[0].position, yaw(state.cubes[0])), GOAL))
        for _ in range(simulation.slices):
            result = simulation.advance()
    assert result.success
    assert result.steps < 160


def yaw(pose: ObjectPose) -> float:
    """Return the rotation about the vertical."""
    w, x, y, z = pose.quaternion
    return float(OBSERVATION_ENCODINGS['yaw'].encode((w, x, y, z))[0])
