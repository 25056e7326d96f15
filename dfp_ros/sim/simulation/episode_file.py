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
"""Recording of an episode in one file, to render it and to check its commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.sim.simulation.cell_state import EpisodeResult

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """
    Recorded episode.

    :param environment: Gymnasium id.
    :param period: Time between two states, s.
    :param pictures: Shape (steps + 1, n):
        :meth:`~dfp_ros.sim.simulation.ogbench_simulation.Simulation.picture`.
    :param actions: Shape (commands, act_dim), as :meth:`SlicedSimulation.command` takes them, in
        the order of arrival.
    :param result: Result of the episode.
    """

    environment: str
    period: float
    pictures: FloatArray
    actions: FloatArray
    result: EpisodeResult


class Recorder:
    """
    Writer of an episode's recording.

    :param folder: Folder for the files; it is created if it is missing.
    :param environment: Gymnasium id.
    :param period: Time between two states, s.
    """

    def __init__(self, folder: Path, environment: str, period: float) -> None:
        """Create the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = environment
        self._period = period
        self.start()

    def start(self) -> None:
        """Discard the collected data."""
        self._pictures: list[FloatArray] = []
        self._actions: list[FloatArray] = []

    def picture(self, picture: FloatArray) -> None:
        """Add the state at the start of a control period, or at the end of the episode."""
        self._pictures.append(picture)

    def action(self, action: FloatArray) -> None:
        """Add a command."""
        self._actions.append(action)

    def save(self, result: EpisodeResult) -> Path:
        """Write ``episode_<seed>.npz`` atomically."""
        path = self._folder / f'episode_{result.seed}.npz'
        with atomic_path(path) as partial, partial.open('wb') as file:
            np.savez_compressed(
                file, environment=self._environment, period=self._period,
                pictures=np.array(self._pictures), actions=self._actions,
                seed=result.seed, success=result.success, steps=result.steps,
                total_reward=result.total_reward, duration=result.duration)
        return path


def load(path: Path) -> Recording:
    """Read a file written by :meth:`Recorder.save`."""
    with np.load(path) as file:
        return Recording(
            environment=str(file['environment']), period=float(file['period']),
            pictures=file['pictures'], actions=file['actions'],
            result=EpisodeResult(
                int(file['seed']), bool(file['success']), int(file['steps']),
                float(file['total_reward']), float(file['duration'])))
