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
Videos of episodes, rendered by replaying their actions from their seed.

Episodes are reproducible bit for bit, so the evaluation environments need no rendering, and the
episodes can be chosen afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dfp_ros.sim.simulation.render_backend import RenderingError
from dfp_ros.sim.simulation.rendering import FrameServer, write_gif
from training.evaluation.environments import headless
from training.evaluation.episodes import Episode

SIZE = (320, 240)
# Control periods per frame, and time that the last frame of an episode is held, s.
EVERY = 2
HOLD = 1.0


class Film:
    """
    Off-screen renderer of episodes into a GIF.

    A first frame is rendered at construction, so that rendering errors appear before any other
    work.

    :param path: GIF file to write.
    :param environment: One of OGBench's manipulation environments, or ``lift-mh-low_dim``.
    :raises RenderingError: If the suffix is not .gif, or rendering fails.
    :raises ValueError: If the environment is not supported.
    """

    def __init__(self, path: Path, environment: str) -> None:
        if path.suffix.lower() != '.gif':
            raise RenderingError(f'video: found {str(path)!r}, expected a name that ends in .gif')
        self._path = path
        self._camera = FrameServer(environment, *SIZE)
        try:
            # The camera process has already read MUJOCO_GL as the user set it.
            headless()
            from dfp_ros.sim.simulation.make_simulation import make_simulation
            self._simulation = make_simulation(environment)
            self._simulation.reset(0)
            self._draw()
        except BaseException:
            self._camera.close()
            raise

    def write(self, episodes: Sequence[Episode]) -> None:
        """
        Render episodes, one after the other, into one file.

        :raises RenderingError: If rendering fails.
        """
        rate = 1 / (EVERY * self._simulation.period)
        frames: list[np.ndarray] = []
        drawn = tqdm(
            total=sum(episode.steps // EVERY + 1 for episode in episodes), desc=self._path.name,
            unit='picture', disable=None)
        with drawn:
            for episode in episodes:
                # Hold the last frame of the previous episode.
                frames += frames[-1:] * round(HOLD * rate - 1)
                self._simulation.reset(episode.seed)
                for step, action in enumerate(episode.actions):
                    if step % EVERY == 0:
                        frames.append(self._draw())
                        drawn.update()
                    self._simulation.step(action)
                frames.append(self._draw())
                drawn.update()
        write_gif(self._path, frames, rate, HOLD)

    def close(self) -> None:
        """End the rendering process."""
        self._camera.close()

    def _draw(self) -> np.ndarray:
        return self._camera.draw(self._simulation.picture())
