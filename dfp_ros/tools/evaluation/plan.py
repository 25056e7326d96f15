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
"""Settings of the episodes of an evaluation on a robot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """
    Settings of the episodes.

    :param episodes: Number of episodes that count.
    :param seconds: Time limit of an episode, after which it is a failure; 0 for none.
    :param scene: A service (std_srvs/Trigger) that prepares the next episode; empty for none.
    :param settle: Seconds from the answer of ``scene`` to the start.
    :param release: Whether to deactivate the policy node between episodes, for others to command.
    :param policy_node: The policy node's name.
    """

    episodes: int
    seconds: float
    scene: str
    settle: float
    release: bool
    policy_node: str

    @property
    def of_episodes(self) -> dict[str, Any]:
        """Options on which success may depend, for the result."""
        return {name: getattr(self, name) for name in ('seconds', 'scene', 'settle', 'release')}
