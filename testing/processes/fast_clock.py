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
"""Simulated time that passes faster than real time, and that a test can set back."""

from __future__ import annotations

import threading
import time

from builtin_interfaces.msg import Time as Stamp
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from testing.processes.ros_processes import Peer

_PERIOD = 0.004  # s


class FastClock:
    """
    Publisher of ``/clock``.

    :param domain: ROS domain.
    :param pace: Ratio of simulated to real time.
    """

    def __init__(self, domain: int, pace: float) -> None:
        """Publish from a thread."""
        self._peer = Peer(domain)
        self._publisher = self._peer.node.create_publisher(Clock, '/clock', 5)
        self._pace, self._begin = pace, time.monotonic()
        self._back = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> FastClock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._peer.__exit__()

    def now(self) -> Stamp:
        """Return the simulated time."""
        passed = self._pace * (time.monotonic() - self._begin)
        return Time(nanoseconds=round((1000.0 + passed - self._back) * 1e9)).to_msg()

    def set_back(self, seconds: float) -> None:
        """Set it back."""
        self._back += seconds

    def _publish(self) -> None:
        while not self._ended.wait(_PERIOD):
            self._publisher.publish(Clock(clock=self.now()))
