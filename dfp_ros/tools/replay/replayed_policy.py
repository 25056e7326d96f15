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
"""Policy wrapper that repeats the recorded inference time and failures."""

from __future__ import annotations

from dataclasses import dataclass
import math

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.planning.plan_trace import Answered
from dfp_ros.core.policy.interface import ask, Chunk, LateError, Policy, PolicyError


@dataclass
class Conditions:
    """
    Recorded conditions of inference; set before each step.

    :param inference: Inference time in s.
    :param fails: Whether the policy fails.
    :param is_late: Whether the answer misses the deadline.
    :param answered: The answer that inference beside the loop has by this step.
    :param asks: Whether it is asked after this step.
    :param now: Simulated clock in ns, which only inference advances.
    """

    inference: float | None = None
    fails: bool = False
    is_late: bool = False
    answered: Answered = Answered.NOTHING
    asks: bool = False
    now: int = 0

    def clock(self) -> int:
        """Read the clock."""
        return self.now


class ReplayedPolicy:
    """
    Policy under recorded conditions.

    :param policy: The policy.
    :param conditions: The conditions.
    """

    def __init__(self, policy: Policy, conditions: Conditions) -> None:
        """Store policy and conditions."""
        self.spec = policy.spec
        self._policy = policy
        self._conditions = conditions

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """Return the policy's answer, or fail as recorded."""
        self._conditions.now += round((self._conditions.inference or 0.0) * 1e9)
        if self._conditions.is_late:
            raise LateError('the policy was late when it was recorded')
        if self._conditions.fails:
            raise PolicyError('the policy failed when it was recorded')
        return ask(self._policy, observation, noise, state, pictures)


class ReplayedCall:
    """
    A :class:`dfp_ros.core.policy.background.Call` that is answered when it was recorded to be.

    :param policy: The policy.
    :param conditions: The conditions.
    :param observation: The observation.
    :param noise: The noise.
    :param pictures: The pictures of the observation.
    """

    def __init__(
            self, policy: Policy, conditions: Conditions, observation: FloatArray,
            noise: FloatArray, pictures: Pictures = ()) -> None:
        """Store the request."""
        self._policy = policy
        self._conditions = conditions
        self._request = observation, noise, None, pictures

    @property
    def is_done(self) -> bool:
        """Whether the answer was there by this step."""
        return self._conditions.answered is not Answered.NOTHING

    @property
    def seconds(self) -> float:
        """Inference time in s, as recorded."""
        inference = self._conditions.inference
        return math.nan if inference is None else inference

    def result(self) -> Chunk:
        """Compute the answer, or fail as recorded."""
        if self._conditions.answered is Answered.FAILURE:
            raise PolicyError('inference failed when it was recorded')
        return ask(self._policy, *self._request)


class ReplayedInference:
    """
    Inference beside the loop under recorded conditions, without a thread.

    :param policy: The policy.
    :param conditions: The conditions.
    """

    def __init__(self, policy: Policy, conditions: Conditions) -> None:
        """Store policy and conditions."""
        self.policy = policy
        self._conditions = conditions

    def may_ask(self, is_due: bool) -> bool:
        """Return whether a chunk was requested in this step."""
        return self._conditions.asks

    def ask(
            self, observation: FloatArray, noise: FloatArray,
            pictures: Pictures = ()) -> ReplayedCall:
        """Note a request."""
        return ReplayedCall(self.policy, self._conditions, observation, noise, pictures)
