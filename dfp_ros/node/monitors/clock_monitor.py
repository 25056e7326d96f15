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
"""Clock monitor: reports steps of simulated time that are too long for the control period."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from dfp_ros.core.safety.clock_steps import ClockSteps, describe_slow_clock


class ClockMonitor:
    """
    Monitors ``/clock``, if the node's time is simulated.

    :param node: The node, for its clock and its log.
    :param tick: Returns the time between two ticks in s.
    """

    def __init__(self, node: Node, tick: Callable[[], float]) -> None:
        """Start before the first step."""
        self._node = node
        self._tick = tick
        self._steps = ClockSteps()
        self._said = ''
        # Every message on /clock is a jump of the time.
        self._handle: Any = node.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=Duration(nanoseconds=1), min_backward=Duration(nanoseconds=-1),
                on_clock_change=False),
            post_callback=self._jumped)

    @property
    def step(self) -> float | None:
        """Step of simulated time in s; None while unknown."""
        return self._steps.step

    def say_again(self) -> None:
        """Log the fault again, now if it is known, else once it is."""
        self._said = ''
        self.facts()

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics; a new fault is logged, too."""
        if not self._node.get_parameter('use_sim_time').value:
            return {}
        step, tick = self.step, self._tick()
        if step is None:
            return {}
        problem = describe_slow_clock(step, tick)
        if problem and not self._said:
            self._node.get_logger().warning(problem)
        self._said = problem
        return {'clock_step_ms': f'{step * 1e3:.4g}', 'clock_problem': problem}

    def close(self) -> None:
        """Stop monitoring."""
        self._handle.unregister()

    def _jumped(self, jump: Any) -> None:
        """Add a step of the clock."""
        self._steps.add(jump.delta.nanoseconds)
