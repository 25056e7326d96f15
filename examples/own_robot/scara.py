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
Simulated SCARA with four joints and its cell: the robot of docs/my-robot-my-policy.md.

    python examples/own_robot/scara.py

It has the interface of ros2_control: ``joint_states``, a URDF on ``robot_description``, and a
forward_command_controller that takes four positions on ``scara_controller/commands``. A camera
publishes the pose of a part (``part_pose``). The cell detects when the part is touched, and
publishes a ``success`` on ``episode_marks``. ``~/next_part`` places another part, and drives the
arm home.
"""

import math
import random

from geometry_msgs.msg import PoseStamped
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

# Name, type, lower, upper (rad or m), velocity (a second), acceleration.
JOINTS = (
    ('shoulder', 'revolute', -2.5, 2.5, 2.0, 15.0), ('elbow', 'revolute', -2.6, 2.6, 2.5, 20.0),
    ('quill', 'prismatic', 0.0, 0.15, 0.3, 3.0), ('wrist', 'revolute', -3.1, 3.1, 3.0, 30.0))
NAMES = [name for name, *_ in JOINTS]
HOME = (0.3, 1.2, 0.0, 0.0)
UPPER_ARM, FOREARM = 0.30, 0.25  # m
STEP = 0.02  # s
# Time constant of the position servos.
LAG = 0.04  # s
NEAR = 0.02  # m: how far from the part's middle a touch still counts
DEEP = 0.07  # m: how far down the quill is then
URDF = '<robot name="scara">' + ''.join(
    f'<joint name="{name}" type="{kind}"><limit lower="{low}" upper="{high}" '
    f'velocity="{velocity}" effort="10"/></joint>'
    for name, kind, low, high, velocity, _ in JOINTS) + '</robot>'


class Controller(Node):
    """Position controller that states its joints, as forward_command_controller does."""

    def __init__(self):
        """Listen."""
        super().__init__('scara_controller')
        self.declare_parameter('joints', NAMES)
        self.declare_parameter('interface_name', 'position')
        self.targets = list(HOME)
        self.create_subscription(Float64MultiArray, '~/commands', self.take, 1)

    def take(self, message):
        """Store a command of the right length until the next one."""
        if len(message.data) == len(JOINTS):
            self.targets = list(message.data)


class Scara(Node):
    """The arm, the camera and the part."""

    def __init__(self, controller):
        """Create the topics."""
        super().__init__('scara')
        self.controller = controller
        self.random = random.Random(self.declare_parameter('seed', 0).value)
        self.positions, self.velocities = list(HOME), [0.0] * 4
        self.steps = 0
        self.is_going_home = False
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.urdf = self.create_publisher(String, 'robot_description', latched)
        self.urdf.publish(String(data=URDF))
        self.joints = self.create_publisher(JointState, 'joint_states', 10)
        self.camera = self.create_publisher(PoseStamped, 'part_pose', 10)
        self.marks = self.create_publisher(String, 'episode_marks', 10)
        self.create_service(Trigger, '~/next_part', self.next_part)
        self.place_part()
        self.create_timer(STEP, self.step)
        self.get_logger().info('ready for commands on scara_controller/commands; Ctrl-C ends it')

    def place_part(self):
        """Place a part within reach of the arm."""
        radius, angle = self.random.uniform(0.33, 0.47), self.random.uniform(-0.2, 0.9)
        self.part = radius * math.cos(angle), radius * math.sin(angle)
        self.touched = False

    def next_part(self, _, response):
        """Place the next part, and drive home, which takes about a second."""
        self.is_going_home = True
        self.place_part()
        response.success, response.message = True, 'part at {:.3f} {:.3f} m'.format(*self.part)
        return response

    def step(self):
        """Move for a fiftieth of a second, and publish."""
        if self.is_going_home:
            self.controller.targets = list(HOME)
        for i, (_, _, low, high, fastest, hardest) in enumerate(JOINTS):
            target = min(high, max(low, self.controller.targets[i]))
            wanted = min(fastest, max(-fastest, (target - self.positions[i]) / LAG))
            change = wanted - self.velocities[i]
            self.velocities[i] += min(hardest * STEP, max(-hardest * STEP, change))
            self.positions[i] += self.velocities[i] * STEP
        stamp = self.get_clock().now().to_msg()
        message = JointState(name=NAMES, position=self.positions, velocity=self.velocities)
        message.header.stamp = stamp
        self.joints.publish(message)
        self.steps += 1
        if self.steps % 2 == 0:
            pose = PoseStamped()
            pose.header.stamp, pose.header.frame_id = stamp, 'base'
            pose.pose.position.x, pose.pose.position.y = self.part
            pose.pose.orientation.w = 1.0
            self.camera.publish(pose)
        self.look()

    def look(self):
        """Check whether the part is touched, and whether the arm is home."""
        first, second = self.positions[0], self.positions[0] + self.positions[1]
        x = UPPER_ARM * math.cos(first) + FOREARM * math.cos(second)
        y = UPPER_ARM * math.sin(first) + FOREARM * math.sin(second)
        off = math.hypot(x - self.part[0], y - self.part[1])
        if not self.touched and not self.is_going_home and off < NEAR and self.positions[2] > DEEP:
            self.touched = True
            self.get_logger().info(f'touched the part, {off * 1e3:.1f} mm off its middle')
            self.marks.publish(String(data='success'))
        self.is_going_home = self.is_going_home and any(
            abs(here - home) > 0.01 for here, home in zip(self.positions, HOME, strict=True))


def main():
    """Run until Ctrl-C."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    controller = Controller()
    executor.add_node(controller)
    executor.add_node(Scara(controller))
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
