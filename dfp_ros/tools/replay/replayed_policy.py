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
"""A policy that takes as long to answer as it did when it was recorded, and fails when it did."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.policy.interface import Chunk, LateError, Policy, PolicyError


@dataclass
class Conditions:
    """
    How it went when it was recorded; set before each step.

    :param inference: Seconds that the policy takes.
    :param fails: Whether it fails.
    :param is_late: Whether its answer is not waited for.
    :param now: The clock in ns, which stands still but for the policy.
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
    Asks a policy under recorded conditions.

    :param policy: The policy.
    :param conditions: The conditions.
    """

    def __init__(self, policy: Policy, conditions: Conditions) -> None:
        """Keep both."""
        self.spec = policy.spec
        self._policy = policy
        self._conditions = conditions

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer as the policy does, or fail as it did."""
        self._conditions.now += round((self._conditions.inference or 0.0) * 1e9)
        if self._conditions.is_late:
            raise LateError('the policy was late when it was recorded')
        if self._conditions.fails:
            raise PolicyError('the policy failed when it was recorded')
        return self._policy.act(observation, noise)
