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

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.policy.interface import ask, Chunk, LateError, Policy, PolicyError


@dataclass
class Conditions:
    """
    Recorded conditions of inference; set before each step.

    :param inference: Inference time in s.
    :param fails: Whether the policy fails.
    :param is_late: Whether the answer misses the deadline.
    :param now: Simulated clock in ns, which only inference advances.
    """

    inference: float | None = None
    fails: bool = False
    is_late: bool = False
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
            pictures: Pictures = ()) -> Chunk:
        """Return the policy's answer, or fail as recorded."""
        self._conditions.now += round((self._conditions.inference or 0.0) * 1e9)
        if self._conditions.is_late:
            raise LateError('the policy was late when it was recorded')
        if self._conditions.fails:
            raise PolicyError('the policy failed when it was recorded')
        return ask(self._policy, observation, noise, pictures)
