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
Action chunks: the noise they start from, and which of their actions is due when.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class NoiseStream:
    """
    The noise that the policy turns into chunks, one draw a chunk, the same for the same seed.

    The node and the offline evaluation draw from this one class, so that an episode over ROS can
    be compared with the same episode in the simulator, command by command.

    :param seed: Seed of the PCG64 generator, 0 or more.
    :param candidates: Noise vectors in a draw, one a candidate chunk.
    :param size: Length of one noise vector, :attr:`dfp_ros.spec.PolicySpec.noise_size`.
    :param scale: Factor on the standard normal numbers.
    """

    def __init__(self, seed: int, candidates: int, size: int, scale: float = 1.0) -> None:
        """
        Start at the first draw.
        """
        self.shape = (candidates, size)
        self.scale = np.float32(scale)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """
        Start again at the first draw of a seed.
        """
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def next(self) -> FloatArray:
        """
        Draw the noise of the next chunk.

        :return: Shape (candidates, size), float32.
        """
        return self.scale * self._generator.standard_normal(self.shape, dtype=np.float32)


@dataclass(frozen=True)
class Chunk:
    """
    What the policy answers to one observation.

    :param actions: Shape (horizon, act_dim), float32, in [-1, 1].
    :param value: Value of this chunk by the critics' mean; NaN where one candidate was drawn and
        no critic was asked.
    :param spread: Standard deviation of the candidates, averaged over dimensions; 0 for one.
    """

    actions: FloatArray
    value: float
    spread: float
