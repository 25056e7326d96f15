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
Pictures of OGBench's environments, drawn from states.

Shadows take most of the time of software rendering: with a shadow map of 1024 texels in place of
OGBench's 4096, a picture takes half of it and differs by 0.05 of 255 on average.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from dfp_ros.sim.simulation.ogbench_env import make_scene
from dfp_ros.sim.simulation.picture_names import PICTURE_SIZE, VISUAL

SHADOW_MAP = 1024


class StatePictures:
    """
    Renderer of the states of an environment, in this process, without a window.

    ``MUJOCO_GL`` has to be set before MuJoCo is imported, see
    :func:`dfp_ros.sim.simulation.render_backend.choose_backend`.

    :param environment: Gymnasium id; ``visual-`` ones have the camera and the colours of OGBench's
        visual data sets, the others those for people.
    :param width: Width of a picture, in pixels.
    :param height: Height of a picture, in pixels.
    """

    def __init__(
            self, environment: str, width: int = PICTURE_SIZE,
            height: int = PICTURE_SIZE) -> None:
        self._env = make_scene(environment, width=width, height=height)
        self._camera = 'front_pixels' if environment.startswith(VISUAL) else 'front'
        self._env.model.vis.quality.shadowsize = SHADOW_MAP
        self._renderer = mujoco.Renderer(self._env.model, height, width)

    def draw(
            self, qpos: NDArray[Any], buttons: NDArray[Any] | None = None,
            mocap: tuple[NDArray[Any], NDArray[Any]] | None = None) -> NDArray[np.uint8]:
        """
        Draw a state.

        :param qpos: Shape (nq,), positions of the simulator.
        :param buttons: States of the buttons, which decide their colours; None if there are none.
        :param mocap: Positions and orientations of the targets, shapes (bodies, 3) and
            (bodies, 4); None for those of a reset.
        :return: Shape (height, width, 3), red green blue.
        """
        env, data = self._env, self._env.data
        data.qpos[:] = qpos
        if mocap is not None:
            data.mocap_pos[:], data.mocap_quat[:] = mocap
        mujoco.mj_forward(env.model, data)
        env.post_step()  # Colours a solved cube.
        if buttons is not None and len(buttons):
            # The positions alone do not tell which lamp is lit.
            env._cur_button_states = np.asarray(buttons, dtype=int).copy()
            env._apply_button_states()
        self._renderer.update_scene(data, self._camera)
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture

    def draw_picture(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Draw what :meth:`.ogbench_simulation.Simulation.picture` returned."""
        model = self._env.model
        qpos, positions, turns, buttons = np.split(
            values, np.cumsum([model.nq, 3 * model.nmocap, 4 * model.nmocap]))
        return self.draw(qpos, buttons, (positions.reshape(-1, 3), turns.reshape(-1, 4)))

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
