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
"""Inference under a clock of ticks, for planners whose inference runs beside the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.policy.interface import ask, Chunk, Policy, PolicyError


class TickedCall:
    """
    Request that is answered once it was looked at a number of times.

    :param answer: Computes the answer.
    :param ticks: Number of looks before that.
    """

    def __init__(self, answer: Callable[[], Chunk], ticks: float) -> None:
        """Wait."""
        self.left = ticks
        self.is_wanted = True
        self._answer = answer

    @property
    def is_done(self) -> bool:
        """Whether the answer is there."""
        return self.left <= 0

    @property
    def seconds(self) -> float:
        """Inference time in s."""
        return 0.125

    def result(self) -> Chunk:
        """Return the answer."""
        return self._answer()


class TickedInference:
    """
    Runs a policy whose answers take ticks.

    :param policy: The policy.
    :param ticks: Ticks that each answer takes, one after the other; the last one is repeated.
        ``math.inf`` for an answer that never comes.

    :ivar asked: Number of requests.
    :ivar calls: All requests.
    """

    def __init__(self, policy: Policy, *ticks: float) -> None:
        """Start without a request."""
        self.policy = policy
        self.asked = 0
        self.calls: list[TickedCall] = []
        self._ticks = self._repeat(ticks)

    @staticmethod
    def _repeat(ticks: tuple[float, ...]) -> Iterator[float]:
        yield from ticks
        while True:
            yield ticks[-1]

    def pass_tick(self) -> None:
        """Let a tick pass."""
        if self.calls:
            self.calls[-1].left -= 1

    def may_ask(self, is_due: bool) -> bool:
        """Return whether a chunk is needed, and no other is computed."""
        return is_due and (not self.calls or self.calls[-1].is_done)

    def ask(
            self, observation: FloatArray, noise: FloatArray,
            pictures: Pictures = ()) -> TickedCall:
        """Request a chunk."""
        assert not self.calls or self.calls[-1].is_done, 'one call at a time'
        self.asked += 1
        self.calls.append(TickedCall(
            lambda: ask(self.policy, observation, noise, pictures=pictures),
            next(self._ticks)))
        return self.calls[-1]

    def answer_never(self) -> None:
        """Have the last request never be answered."""
        self.calls[-1].left = math.inf


class FailingPolicy:
    """
    Policy that fails while it is told to.

    :param policy: The policy otherwise.

    :ivar fails: Whether it fails.
    """

    def __init__(self, policy: Policy) -> None:
        """Answer, for now."""
        self.spec = policy.spec
        self.fails = False
        self._policy = policy

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer, or fail."""
        if self.fails:
            raise PolicyError('no answer to this')
        return self._policy.act(observation, noise)
