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
    The noise that the policy turns into chunks, the same for the same seed.

    The node and the offline evaluation draw from this one class, so that an episode over ROS can
    be compared with the same episode in the simulator, command by command.

    :param seed: Seed of the PCG64 generator, 0 or more.
    :param candidates: Noise vectors in a draw, one a candidate chunk.
    :param size: Length of one noise vector, :attr:`dfp_ros.spec.PolicySpec.noise_size`.
    :param scale: Factor on the standard normal numbers.
    :param mode: ``each_chunk`` draws for each chunk; ``held`` draws once, after a reset, and gives
        that again; ``zero`` gives zeros.

    :ivar draws: How often was drawn since the reset.
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
        """Start again at the first draw of a seed."""
        self._generator = np.random.Generator(np.random.PCG64(seed))
        self._held: FloatArray | None = None
        self.draws = 0

    def next(self) -> FloatArray:
        """
        Give the noise of the next chunk.

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


@dataclass(frozen=True)
class Due:
    """
    Where in a chunk a tick is.

    :param index: The action that is due.
    :param fraction: How much of its time is over, 0 to 1; 0 where each tick plays another action.
    """

    index: int
    fraction: float


class ChunkPlayer:
    """
    Plays a chunk: an action a period.

    Time is counted in ticks of the control loop, so that its jitter cannot play an action twice
    or leave one out. With one tick a period, actions follow each other tick by tick. With another
    rate, the time since the chunk's first action decides, rounded to whole ticks; ticks that were
    missed count, so that a late loop does not stretch the chunk.

    :param chunk: The chunk.
    :param start: When its first action is due, in ns.
    :param period: Time that one action is meant for, in ns.
    :param tick: Time between two ticks, in ns; the same for one tick a period.
    """

    def __init__(self, chunk: Chunk, start: int, period: int, tick: int) -> None:
        """Start at the first action."""
        self.chunk = chunk
        self._start = start
        self._period = period
        self._tick = tick
        # Rates are given in Hz; 1/3 s cannot be written in ns. A thousandth is no other rate.
        self._each_tick = abs(tick - period) * 1000 <= period
        self._played = 0

    def next(self, now: int) -> Due | None:
        """
        Say which action is due at this tick; call once a tick.

        :param now: Time in ns.
        :return: None where the chunk is used up.
        """
        due = self.peek(now)
        self._played += 1
        return due

    def peek(self, now: int) -> Due | None:
        """
        Say which action will be due at the next tick.

        :param now: Time of that tick in ns.
        :return: None where the chunk is used up by then.
        """
        if self._each_tick:
            index, rest = self._played, 0
        else:
            passed = round((now - self._start) / self._tick) * self._tick
            index = (passed + self._tick // 1000) // self._period
            rest = max(0, passed - index * self._period)
        if not 0 <= index < len(self.chunk.actions):
            return None
        return Due(index, rest / self._period)

    def skip(self) -> None:
        """Leave out the action that is due at this tick."""
        self._played += 1
