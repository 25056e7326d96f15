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
"""Robot with two joints, an IMU and velocity commands, for testing/data/legged.yaml."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from geometry_msgs.msg import Twist
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from testing import ROOT
from testing.processes.ros_processes import Peer

LEGGED = ROOT / 'testing' / 'data' / 'legged.yaml'
MEANING = ROOT / 'testing' / 'data' / 'legged.adopt.yaml'
#: Observations and actions of the network that the meaning is for.
SIZES = (3 + 3 + 3 + 6 + 2 + 4, 4)


class LeggedRobot:
    """
    Robot that sways, whatever it is commanded.

    :param domain: ROS domain.
    """

    def __init__(self, domain: int) -> None:
        """Publish from a thread at 100 Hz, velocity commands at 10 Hz."""
        self.peer = Peer(domain)
        self.targets: list[JointTrajectory] = self.peer.collect(
            JointTrajectory, 'joint_trajectory')
        self.efforts: list[Float64MultiArray] = self.peer.collect(
            Float64MultiArray, 'joint_efforts')
        self.gains: list[Float64MultiArray] = self.peer.collect(Float64MultiArray, 'joint_gains')
        self.silent: set[str] = set()
        self._publishers = {
            topic: self.peer.node.create_publisher(kind, topic, 5) for topic, kind in (
                ('joint_states', JointState), ('imu', Imu), ('cmd_vel', Twist))}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> LeggedRobot:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.peer.__exit__()

    def _publish(self) -> None:
        begin, count = time.monotonic(), 0
        while not self._ended.wait(0.01):
            count += 1
            for topic, message in self._messages(time.monotonic() - begin).items():
                # A replay finds a message without a stamp by its arrival, which differs a little
                # between node and recorder: such messages must not come as often as that.
                if topic not in self.silent and (topic != 'cmd_vel' or count % 10 == 1):
                    self._publishers[topic].publish(message)

    def _messages(self, now: float) -> dict[str, Any]:
        """Return the messages at a time in s."""
        sway = math.sin(2 * now)
        joints = JointState(
            name=['right', 'left'], position=[-0.3 + 0.2 * sway, 0.3 - 0.1 * sway],
            velocity=[0.4 * math.cos(2 * now), -0.2 * math.cos(2 * now)])
        imu = Imu()
        imu.orientation.x = math.sin(0.2 * sway)
        imu.orientation.w = math.cos(0.2 * sway)
        imu.angular_velocity.x = 0.8 * math.cos(2 * now)
        twist = Twist()
        twist.linear.x, twist.linear.y = 0.5 + 0.3 * sway, -0.2 * sway
        twist.angular.z = 0.3 * math.cos(now)
        stamp = self.peer.node.get_clock().now().to_msg()
        joints.header.stamp = imu.header.stamp = stamp
        return {'joint_states': joints, 'imu': imu, 'cmd_vel': twist}
