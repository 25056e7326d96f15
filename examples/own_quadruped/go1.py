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
"""
Stand-in for a quadruped with the topics of its driver: the robot of docs/adopting.md.

    python examples/own_quadruped/go1.py

It publishes ``joint_states``, ``imu`` and ``odom``, and ``cmd_vel`` as an operator would. Its
twelve joints follow the targets on ``joint_trajectory``. It stands where it is, and does not walk.
"""

import math

from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

LEGS, SEGMENTS = ('FR', 'FL', 'RR', 'RL'), ('hip', 'thigh', 'calf')
NAMES = [f'{leg}_{segment}_joint' for leg in LEGS for segment in SEGMENTS]
STANDING = [number for side in (1, -1, 1, -1) for number in (0.1 * side, 0.9, -1.8)]
STEP = 0.01  # s
LAG = 0.03  # s: time constant of the position servos


class Quadruped(Node):
    """The robot and its operator."""

    def __init__(self):
        """Create the topics."""
        super().__init__('quadruped')
        self.positions, self.velocities = list(STANDING), [0.0] * 12
        self.targets = dict(zip(NAMES, STANDING, strict=True))
        self.gains, self.count = (), 0
        self.joints = self.create_publisher(JointState, 'joint_states', 10)
        self.imu = self.create_publisher(Imu, 'imu', 10)
        self.odometry = self.create_publisher(Odometry, 'odom', 10)
        self.operator = self.create_publisher(TwistStamped, 'cmd_vel', 10)
        self.create_subscription(JointTrajectory, 'joint_trajectory', self.take, 1)
        self.create_subscription(Float64MultiArray, 'joint_gains', self.take_gains, 1)
        self.create_timer(STEP, self.step)

    def take(self, message):
        """Store the targets, and say how many came."""
        self.targets |= zip(message.joint_names, message.points[0].positions, strict=True)
        self.count += 1
        if self.count in (1, 100) or self.count % 1000 == 0:
            self.get_logger().info(f'{self.count} targets, {len(self.gains)} gains')

    def take_gains(self, message):
        """Store the gains."""
        self.gains = message.data

    def step(self):
        """Move for a hundredth of a second, and publish."""
        for i, name in enumerate(NAMES):
            self.velocities[i] = (self.targets[name] - self.positions[i]) / LAG
            self.positions[i] += self.velocities[i] * STEP
        stamp = self.get_clock().now().to_msg()
        joints = JointState(name=NAMES, position=self.positions, velocity=self.velocities)
        imu, odometry, command = Imu(), Odometry(), TwistStamped()
        sway = 0.02 * math.sin(stamp.sec % 1000 + stamp.nanosec * 1e-9)
        imu.orientation.x, imu.orientation.w = math.sin(sway / 2), math.cos(sway / 2)
        imu.header.frame_id = odometry.child_frame_id = command.header.frame_id = 'trunk'
        odometry.header.frame_id = 'odom'
        odometry.twist.twist.linear.x = command.twist.linear.x = 0.5
        for message, publisher in (
                (joints, self.joints), (imu, self.imu), (odometry, self.odometry),
                (command, self.operator)):
            message.header.stamp = stamp
            publisher.publish(message)


def main():
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Quadruped())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
