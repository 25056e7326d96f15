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
Videos of episodes: each is done again, from its seed and its actions, and drawn.

Episodes repeat bit for bit, so an evaluation need not know which of its episodes will be drawn,
and its environments draw nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dfp_ros.sim.simulation.rendering import FrameServer, RenderingError, write_gif
from training.evaluation.environments import headless
from training.evaluation.episodes import Episode

SIZE = (320, 240)
# Of every so many control periods one is drawn, and so long the end of an episode stays, s.
EVERY = 2
HOLD = 1.0


class Film:
    """
    Draws an environment's episodes, off screen.

    A first picture is drawn at once: where that does not work, nothing else has been done yet.

    :param path: The video, a GIF.
    :param environment: One of OGBench's manipulation environments, or ``lift-mh-low_dim``.
    :raises RenderingError: If no such file can be written, or nothing can be drawn.
    :raises ValueError: If the environment is another.
    """

    def __init__(self, path: Path, environment: str) -> None:
        if path.suffix.lower() != '.gif':
            raise RenderingError(f'video: found {str(path)!r}, expected a name that ends in .gif')
        self._path = path
        self._camera = FrameServer(environment, *SIZE)
        try:
            # The camera, in a process of its own, has read MUJOCO_GL as the user set it.
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
        Draw episodes, one after the other, into one file.

        :raises RenderingError: If the drawing breaks off.
        """
        rate = 1 / (EVERY * self._simulation.period)
        frames: list[np.ndarray] = []
        drawn = tqdm(
            total=sum(episode.steps // EVERY + 1 for episode in episodes), desc=self._path.name,
            unit='picture', disable=None)
        with drawn:
            for episode in episodes:
                # The last picture of the episode before stays for a while.
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
        """End the process that draws."""
        self._camera.close()

    def _draw(self) -> np.ndarray:
        return self._camera.draw(self._simulation.picture())
