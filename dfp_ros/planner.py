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
"""Which action is due, and when the policy is asked for more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dfp_ros.chunk import Chunk, ChunkPlayer, FloatArray, NoiseStream
from dfp_ros.spec import PolicySpec


class Policy(Protocol):
    """What is asked of a policy; :class:`dfp_ros.policy.OnnxPolicy` answers it."""

    spec: PolicySpec

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer one observation with a chunk, or raise PolicyError."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class Planned:
    """
    What is planned for one tick.

    :param action: The action that is due, shape (act_dim,), float32, in [-1, 1] as trained.
    :param ahead: Actions after it, shape (m, act_dim), one a control period; m may be 0.
    :param chunk: The chunk that they are from.
    :param index: The action's index in it.
    :param draw: How many chunks were asked for since the restart, this one included.
    :param inference: Seconds that the policy took, None where it was not asked.
    """

    action: FloatArray
    ahead: FloatArray
    chunk: Chunk
    index: int
    draw: int
    inference: float | None


class Planner:
    """
    Plans open loop, as the paper does: a chunk is played to its end, then comes the next.

    :param policy: The policy.
    :param noise: The noise that its chunks start from.
    :param tick: Time between two ticks in ns.
    :param clock: Counts ns, for measuring inference only; no plan depends on it.
    """

    def __init__(
            self, policy: Policy, noise: NoiseStream, tick: int, clock: Callable[[], int]) -> None:
        """Start without a chunk."""
        self._policy = policy
        self._noise = noise
        self._clock = clock
        self._player = ChunkPlayer(round(policy.spec.period * 1e9), tick)
        self._chunk: Chunk | None = None
        self._draws = 0

    def restart(self, seed: int) -> None:
        """Begin as new, with the first noise of a seed."""
        self.drop()
        self._draws = 0
        self._noise.reset(seed)

    def drop(self) -> None:
        """Drop what is planned, so that the next tick plans anew; the noise goes on."""
        self._player.reset()
        self._chunk = None

    def next(self, now: int, observation: FloatArray) -> Planned:
        """
        Plan one tick; call once a tick.

        :param now: Time in ns.
        :param observation: Shape (obs_dim,), float32, finite.
        :raises PolicyError: Where the policy was asked and failed; what was planned stands.
        """
        inference = None
        due = self._player.next(now)
        if due is None:
            begin = self._clock()
            self._draws += 1
            self._chunk = self._policy.act(observation, self._noise.next())
            inference = (self._clock() - begin) * 1e-9
            self._player.start(self._chunk, now)
            due = self._player.next(now)
        chunk = self._chunk
        assert due is not None, 'a chunk has at least one action'
        assert chunk is not None, 'an action has a chunk'
        index, action = due
        return Planned(action, chunk.actions[index + 1:], chunk, index, self._draws, inference)
