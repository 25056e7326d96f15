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
"""Simulated arm with two joints and position commands."""

from __future__ import annotations

import threading

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from testing.processes.ros_processes import Peer

ROBOT = """
robot: joints
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 0.3}
observation:
  - {name: joints, unit: rad, source: arm, path: position, joints: [a, b]}
commands:
  arm:
    topic: arm/joint_trajectory
    type: trajectory_msgs/msg/JointTrajectory
    trajectory: chunk
    stop: hold
    fields:
      - action: targets
        unit: rad
        path: points.positions
        joints: [a, b]
        measured: {source: arm, path: position, joints: [a, b]}
        limits: {position: urdf, velocity: urdf, acceleration: 4.0}
"""
URDF = """
<robot name="joints">
  <link name="base"/><link name="upper"/><link name="tool"/>
  <joint name="a" type="revolute">
    <parent link="base"/><child link="upper"/>
    <limit lower="-2" upper="0.9" velocity="0.5" effort="1"/>
  </joint>
  <joint name="b" type="revolute">
    <parent link="upper"/><child link="tool"/>
    <limit lower="0.5" upper="2" velocity="1.0" effort="1"/>
  </joint>
</robot>
"""
HERE = np.array([0.8, 1.5])
TICK = 0.05


class Arm:
    """Arm at rest with its URDF, and a subscription to its trajectories."""

    def __init__(self, domain: int) -> None:
        """Publish from a thread at 50 Hz."""
        self.peer = Peer(domain)
        self.trajectories: list[JointTrajectory] = self.peer.collect(
            JointTrajectory, 'arm/joint_trajectory')
        self._states = self.peer.node.create_publisher(JointState, 'joint_states', 5)
        self._urdf = self.peer.node.create_publisher(String, 'robot_description', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self.publish_urdf(URDF)
        self._ended, self.silent = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def _publish(self) -> None:
        while not self._ended.wait(0.02):
            message = JointState(name=['b', 'a'], position=self.here()[::-1].tolist())
            message.header.stamp = self.peer.node.get_clock().now().to_msg()
            if not self.silent.is_set():
                self._states.publish(message)

    def here(self) -> np.ndarray:
        """Return the measured position."""
        return HERE

    def publish_urdf(self, text: str) -> None:
        """Publish a URDF as robot_state_publisher does, in place of the one before."""
        self._urdf.publish(String(data=text))

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()
        self.peer.__exit__()

    def positions(self) -> np.ndarray:
        """Return the first point of every trajectory so far, shape (n, 2)."""
        return np.array([message.points[0].positions for message in list(self.trajectories)])
