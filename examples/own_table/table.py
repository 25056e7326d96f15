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
Simulated table with two axes and a camera above it: the robot of docs/cameras.md.

    python examples/own_table/table.py

It has the interface of ros2_control: ``joint_states``, a URDF on ``robot_description``, and a
forward_command_controller that takes two positions on ``table_controller/commands``. A camera
publishes pictures of the table on ``camera/image_raw``; nothing but them shows where the red
target is. The cell detects when the tool is above the target, and publishes a ``success`` on
``episode_marks``. ``~/next_target`` places another target.
"""

import array
import math
import random

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

# Name, upper limit in m; the lower one is 0.
JOINTS = (('x', 0.4), ('y', 0.3))
NAMES = [name for name, _ in JOINTS]
FASTEST, HARDEST = 0.6, 6.0  # m/s, m/s^2
START = (0.2, 0.15)
STEP = 0.02  # s
# Time constant of the position servos.
LAG = 0.04  # s
NEAR = 0.02  # m: how far from the target's middle the tool is above it
STAY = 0.15  # s: how long it has to stay there
# Pictures: pixels, pixels a metre, and steps of the simulation from one to the next. A picture is
# published so many steps after its exposure, as reading out and transport take time.
WIDTH, HEIGHT, PIXELS = 160, 120, 400
PICTURE_EVERY, PICTURE_LATE = 2, 2
# Coordinates of the pixels, in m.
ROWS, COLUMNS = np.ogrid[:HEIGHT, :WIDTH]
X, Y = (COLUMNS + 0.5) / PIXELS, (HEIGHT - ROWS - 0.5) / PIXELS
GRAY, RED, BLUE, LIGHT = (90, 90, 95), (200, 45, 40), (40, 80, 190), (150, 150, 150)
URDF = '<robot name="table">' + ''.join(
    f'<joint name="{name}" type="prismatic"><limit lower="0" upper="{high}" '
    f'velocity="{FASTEST}" effort="10"/></joint>' for name, high in JOINTS) + '</robot>'


class Controller(Node):
    """Position controller that states its joints, as forward_command_controller does."""

    def __init__(self):
        """Listen."""
        super().__init__('table_controller')
        self.declare_parameter('joints', NAMES)
        self.declare_parameter('interface_name', 'position')
        self.targets = list(START)
        self.create_subscription(Float64MultiArray, '~/commands', self.take, 1)

    def take(self, message):
        """Store a command of the right length until the next one."""
        if len(message.data) == len(JOINTS):
            self.targets = list(message.data)


class Table(Node):
    """The axes, the camera and the target."""

    def __init__(self, controller):
        """Create the topics."""
        super().__init__('table')
        self.controller = controller
        seed = self.declare_parameter('seed', 0).value
        self.random, self.noise = random.Random(seed), np.random.default_rng(seed)
        self.positions, self.velocities = list(START), [0.0] * 2
        self.steps = 0
        self.exposed = []
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.urdf = self.create_publisher(String, 'robot_description', latched)
        self.urdf.publish(String(data=URDF))
        self.joints = self.create_publisher(JointState, 'joint_states', 10)
        self.camera = self.create_publisher(Image, 'camera/image_raw', qos_profile_sensor_data)
        self.marks = self.create_publisher(String, 'episode_marks', 10)
        self.create_service(Trigger, '~/next_target', self.next_target)
        self.place_target()
        self.create_timer(STEP, self.step)
        self.get_logger().info('ready for commands on table_controller/commands; Ctrl-C ends it')

    def place_target(self):
        """Place a target away from the edges and from the tool."""
        while True:
            self.target = self.random.uniform(0.04, 0.36), self.random.uniform(0.04, 0.26)
            if math.dist(self.target, self.positions) > 0.1:
                break
        self.above, self.is_reached = 0.0, False

    def next_target(self, _, response):
        """Place the next target."""
        self.place_target()
        response.success, response.message = True, 'target at {:.3f} {:.3f} m'.format(*self.target)
        return response

    def step(self):
        """Move for a fiftieth of a second, and publish."""
        for i, (_, high) in enumerate(JOINTS):
            target = min(high, max(0.0, self.controller.targets[i]))
            wanted = min(FASTEST, max(-FASTEST, (target - self.positions[i]) / LAG))
            change = wanted - self.velocities[i]
            self.velocities[i] += min(HARDEST * STEP, max(-HARDEST * STEP, change))
            self.positions[i] += self.velocities[i] * STEP
        stamp = self.get_clock().now().to_msg()
        message = JointState(name=NAMES, position=self.positions, velocity=self.velocities)
        message.header.stamp = stamp
        self.joints.publish(message)
        self.steps += 1
        if self.steps % PICTURE_EVERY == 0:
            self.exposed.append((self.steps + PICTURE_LATE, stamp, self.draw()))
        while self.exposed and self.exposed[0][0] <= self.steps:
            self.publish(*self.exposed.pop(0)[1:])
        self.look()

    def draw(self):
        """Draw the table from above: the target, the beam of the second axis, and the tool."""
        picture = np.full((HEIGHT, WIDTH, 3), GRAY, np.uint8)
        picture[np.hypot(X - self.target[0], Y - self.target[1]) < 0.025] = RED
        across, along = np.abs(X - self.positions[0]), np.abs(Y - self.positions[1])
        picture[:, across[0] < 0.003] = LIGHT
        picture[np.maximum(across, along) < 0.01] = BLUE
        return picture + self.noise.integers(-8, 9, picture.shape, np.int8).view(np.uint8)

    def publish(self, stamp, picture):
        """Publish a picture with the time of its exposure."""
        message = Image(
            height=HEIGHT, width=WIDTH, encoding='rgb8', step=3 * WIDTH,
            data=array.array('B', picture.tobytes()))
        message.header.stamp, message.header.frame_id = stamp, 'camera'
        self.camera.publish(message)

    def look(self):
        """Check whether the tool is above the target."""
        off = math.dist(self.target, self.positions)
        self.above = self.above + STEP if off < NEAR else 0.0
        if self.above > STAY and not self.is_reached:
            self.is_reached = True
            self.get_logger().info(f'above the target, {off * 1e3:.1f} mm off its middle')
            self.marks.publish(String(data='success'))


def main():
    """Run until Ctrl-C."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    controller = Controller()
    executor.add_node(controller)
    executor.add_node(Table(controller))
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
