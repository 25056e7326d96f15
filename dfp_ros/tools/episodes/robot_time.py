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
"""Time of the robot: real time, or that of a simulation, that never goes back."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node


class RobotTime:
    """
    Time of the robot in s, from any origin.

    In simulated time it follows ``/clock``; a step back of that clock, which is set back when a
    simulation begins anew, counts as no time. Nor does a change between simulated time and that of
    the machine.

    :param node: The node; whether its time is simulated may change.
    """

    def __init__(self, node: Node) -> None:
        """Start at 0."""
        self._node = node
        self._elapsed = 0.0
        self._last: int | None = None
        self._is_simulated = False

    def now(self) -> float:
        """Return the time."""
        clock: Any = self._node.get_clock()
        before, self._is_simulated = self._is_simulated, bool(clock.ros_time_is_active)
        now = clock.now().nanoseconds if self._is_simulated else time.monotonic_ns()
        # Two clocks have nothing in common, and a simulation begins anywhere.
        if before is self._is_simulated and self._last is not None and now > self._last > 0:
            self._elapsed += (now - self._last) * 1e-9
        self._last = now
        return self._elapsed
