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
Simulated body on four joints with an IMU: the robot of docs/adopt-a-policy.md.

    python examples/own_legs/legs.py

It publishes ``joint_states``, ``imu`` and, in the place of a person's joystick, ``cmd_vel``, and
takes four positions on ``leg_controller/commands``, as forward_command_controller does. The body
is held by a stand: it pitches a little with the joints, and does not fall.
"""

import math

from geometry_msgs.msg import Twist
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

NAMES = ['left_hip', 'right_hip', 'left_knee', 'right_knee']
POSTURE = (0.1, -0.2, 0.8, -1.5)
STEP = 0.01  # s
LAG = 0.05  # s: time constant of the position servos
FASTEST = 6.0  # rad/s


class Legs(Node):
    """The joints, the IMU and the velocity that a person asks for."""

    def __init__(self):
        """Create the topics."""
        super().__init__('legs')
        self.positions, self.velocities = list(POSTURE), [0.0] * 4
        self.targets = list(POSTURE)
        self.pitch = 0.0
        self.steps = 0
        self.joints = self.create_publisher(JointState, 'joint_states', 10)
        self.imu = self.create_publisher(Imu, 'imu', 10)
        self.wish = self.create_publisher(Twist, 'cmd_vel', 10)
        self.create_subscription(Float64MultiArray, 'leg_controller/commands', self.take, 1)
        self.create_timer(STEP, self.step)
        self.get_logger().info('ready for commands on leg_controller/commands; Ctrl-C ends it')

    def take(self, message):
        """Store a command of the right length until the next one."""
        if len(message.data) == len(NAMES):
            self.targets = list(message.data)

    def step(self):
        """Move for a hundredth of a second, and publish."""
        for i, target in enumerate(self.targets):
            wanted = (target - self.positions[i]) / LAG
            self.velocities[i] = min(FASTEST, max(-FASTEST, wanted))
            self.positions[i] += self.velocities[i] * STEP
        before = self.pitch
        self.pitch = 0.1 * sum(now - rest for now, rest in zip(
            self.positions, POSTURE, strict=True))
        stamp = self.get_clock().now().to_msg()
        joints = JointState(name=NAMES, position=self.positions, velocity=self.velocities)
        joints.header.stamp = stamp
        self.joints.publish(joints)
        imu = Imu()
        imu.header.stamp, imu.header.frame_id = stamp, 'body'
        imu.orientation.y, imu.orientation.w = math.sin(self.pitch / 2), math.cos(self.pitch / 2)
        imu.angular_velocity.y = (self.pitch - before) / STEP
        self.imu.publish(imu)
        self.steps += 1
        if self.steps % 5 == 0:
            wish = Twist()
            wish.linear.x = 0.5 * math.sin(0.01 * self.steps)
            self.wish.publish(wish)


def main():
    """Run until Ctrl-C."""
    rclpy.init()
    node = Legs()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
