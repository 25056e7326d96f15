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
"""A person who takes the arm of config/ur5e_cube.yaml over."""

from __future__ import annotations

from collections.abc import Callable
import threading

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray

from testing.processes.ros_processes import Peer


class ArmPerson:
    """
    A person who holds the dead-man, and pushes the arm to and fro.

    :param peer: Publishes.
    :param now: Returns the time of the robot.
    """

    def __init__(self, peer: Peer, now: Callable[[], Stamp]) -> None:
        """Publish a hundred times a second while entered."""
        self._now = now
        self._twist = peer.node.create_publisher(TwistStamped, 'teleop/twist', 5)
        self._grip = peer.node.create_publisher(Float64MultiArray, 'teleop/gripper', 5)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def is_found(self) -> bool:
        """Whether the policy node has found the publishers."""
        return all(each.get_subscription_count() for each in (self._twist, self._grip))

    def __enter__(self) -> ArmPerson:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _publish(self) -> None:
        count = 0
        while not self._ended.wait(0.01):
            count += 1
            twist = TwistStamped()
            twist.header.frame_id, twist.header.stamp = 'world', self._now()
            twist.twist.linear.x = 0.3 if count % 40 < 20 else -0.3
            self._twist.publish(twist)
            self._grip.publish(Float64MultiArray(data=[2.0]))
