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
"""Noise of action chunks, reproducible from a seed."""

from __future__ import annotations

import numpy as np

from dfp_ros.core.arrays import FloatArray


class NoiseStream:
    """
    Noise that the policy transforms into chunks, the same for the same seed.

    The node and the offline evaluation both use this class, so that an episode over ROS can be
    compared with the same episode in the simulator, command by command.

    :param seed: Seed of the PCG64 generator, 0 or more.
    :param candidates: Noise vectors in a draw, one for each candidate chunk.
    :param size: Length of one noise vector, :attr:`dfp_ros.spec.PolicySpec.noise_size`.
    :param scale: Standard deviation of the normal distribution.
    :param mode: ``each_chunk`` draws for each chunk; ``held`` draws once after a reset, and
        repeats that; ``zero`` gives zeros.

    :ivar draws: Number of draws since the reset.
    """

    def __init__(
            self, seed: int, candidates: int, size: int, scale: float = 1.0,
            mode: str = 'each_chunk') -> None:
        """Start at the first draw."""
        self.shape = (candidates, size)
        self.scale = np.float32(scale)
        self._mode = mode
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Restart at the first draw of a seed."""
        self._generator = np.random.Generator(np.random.PCG64(seed))
        self._held: FloatArray | None = None
        self.draws = 0

    @property
    def draws_of_next(self) -> int:
        """Return the number of draws since the reset, including that of the next chunk."""
        draws_none = self._mode == 'zero' or self._held is not None
        return self.draws if draws_none else self.draws + 1

    def next(self) -> FloatArray:
        """
        Return the noise of the next chunk.

        :return: Shape (candidates, size), float32.
        """
        if self._mode == 'zero':
            return np.zeros(self.shape, np.float32)
        if self._held is not None:
            return self._held
        noise = self._draw()
        if self._mode == 'held':
            self._held = noise
        return noise

    def _draw(self) -> FloatArray:
        """Draw."""
        self.draws += 1
        return self.scale * self._generator.standard_normal(self.shape, dtype=np.float32)
