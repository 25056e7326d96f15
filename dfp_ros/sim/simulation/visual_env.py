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
Visual environments of OGBench: a policy sees what a robot measures, and pictures of a camera.

OGBench's own ``visual-`` environments give pictures alone, and draw at every step. Those here give
the robot's own measurements as observation, pictures in ``info``, and draw only when asked for.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.picture_names import CAMERA, PICTURES, VISUAL
from dfp_ros.sim.simulation.state_pictures import StatePictures

# Scale of the opening of the gripper in OGBench's observations.
_OPENING = 3.0


def robot_observation(info: dict[str, Any]) -> np.ndarray:
    """
    Return what a robot measures without a camera.

    :param info: Information of an environment of OGBench.
    :return: Shape (13,), float32: positions and velocities of six joints, opening of the gripper,
        as in OGBench's observations.
    """
    return np.concatenate([
        info['proprio/joint_pos'], info['proprio/joint_vel'],
        _OPENING * info['proprio/gripper_opening']]).astype(np.float32)


class VisualEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """
    Environment whose observations are the robot's measurements, and pictures.

    :param environment: Gymnasium id that begins with ``visual-``.
    :param draw_every: Steps from one picture to the next, the first being that of the reset; the
        other steps have none. A policy that executes chunks of h actions needs every h-th.
    :param kwargs: Passed to ``gymnasium.make``.
    :raises ValueError: If no such environment is registered.
    """

    def __init__(self, environment: str, draw_every: int = 1, **kwargs: Any) -> None:
        super().__init__(make_env(environment.removeprefix(VISUAL), **kwargs))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (13,), np.float32)
        self._environment, self._every, self._steps = environment, draw_every, 0
        # Made when it is needed: Gymnasium makes one more environment for its spaces alone.
        self._pictures: StatePictures | None = None

    def reset(
            self, *, seed: int | None = None,
            options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Reset; ``info`` has the first pictures."""
        _, info = self.env.reset(seed=seed, options=options)
        self._steps = 0
        return robot_observation(info), self._drawn(info)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step; ``info`` has pictures if they are due."""
        _, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        if self._steps % self._every == 0 or terminated or truncated:
            info = self._drawn(info)
        return robot_observation(info), reward, terminated, truncated, info

    def close(self) -> None:
        """Free environment and renderer."""
        if self._pictures:
            self._pictures.close()
        super().close()

    def _drawn(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add the pictures of the current state."""
        if self._pictures is None:
            self._pictures = StatePictures(self._environment)
        buttons = getattr(self.unwrapped, '_cur_button_states', None)
        picture = self._pictures.draw(info['qpos'], buttons)
        return {**info, PICTURES: {CAMERA: picture.copy()}}
