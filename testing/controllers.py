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
"""Controller for a shipped robot description."""

from __future__ import annotations

from typing import Any

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.interface import Policy
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.settings.planning import PlanningSettings
from testing.robot_samples import shipped_robot

S = 1_000_000_000
TICK = S // 20


def controller(
        policy: Policy, seed: int = 3, candidates: int = 2,
        robot: RobotDescription | None = None, planning: PlanningSettings | None = None,
        **more: Any) -> Controller:
    """Make a controller whose policy takes 1 ms."""
    times = iter(range(0, 10**12, 1_000_000))
    spec = policy.spec
    noise = NoiseStream(seed, candidates, spec.noise_size)
    scale = ActionScale.of_policy(spec)
    return Controller(
        robot or shipped_robot(), spec,
        Planner(policy, noise, TICK, lambda: next(times), planning),
        CommandLimiter(Limits(scale.low, scale.high), TICK), **more)
