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
"""Action chunks: the noise they start from, and which of their actions is due when."""

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
        """Start at the first draw."""
        self.shape = (candidates, size)
        self.scale = np.float32(scale)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start again at the first draw of a seed."""
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


class ChunkPlayer:
    """
    Plays chunks open loop: an action a period, and a new chunk once the last one is used up.

    Time is counted in ticks of the control loop, so that its jitter cannot play an action twice
    or leave one out. With one tick a period, actions follow each other tick by tick. With another
    rate, the time since the chunk's first action decides, rounded to whole ticks; ticks that were
    missed count, so that a late loop does not stretch the chunk.

    :param period: Time that one action is meant for, in ns.
    :param tick: Time between two ticks, in ns; the same for one tick a period.
    """

    def __init__(self, period: int, tick: int) -> None:
        """Start without a chunk."""
        self._period = period
        self._tick = tick
        # Rates are given in Hz; 1/3 s cannot be written in ns. A thousandth is no other rate.
        self._each_tick = abs(tick - period) * 1000 <= period
        self.reset()

    def reset(self) -> None:
        """Drop the chunk, so that the next tick needs a new one."""
        self._chunk: Chunk | None = None
        self._start = 0
        self._played = 0

    def start(self, chunk: Chunk, now: int) -> None:
        """
        Begin a chunk; its first action is due now.

        :param chunk: The chunk.
        :param now: Time in ns.
        """
        self._chunk = chunk
        self._start = now
        self._played = 0

    def next(self, now: int) -> tuple[int, FloatArray] | None:
        """
        Get the action that is due at this tick; call once a tick.

        :param now: Time in ns.
        :return: Index in the chunk and action, shape (act_dim,); None where a new chunk is due.
        """
        if self._chunk is None:
            return None
        if self._each_tick:
            index = self._played
        else:
            ticks = round((now - self._start) / self._tick)
            index = (ticks * self._tick + self._tick // 1000) // self._period
        if not 0 <= index < len(self._chunk.actions):
            return None
        self._played += 1
        return index, self._chunk.actions[index]
