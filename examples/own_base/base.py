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
Simulated differential-drive base: the second robot of docs/my-robot-my-policy.md.

    python examples/own_base/base.py

It publishes ``odom`` and takes ``cmd_vel`` (Twist), which expires after half a second. Its goal is
published on ``goal_pose``, transient local. It publishes a ``success`` on ``episode_marks`` when
it stands at the goal. ``~/next_goal`` sets another one.
"""

import math
import random

from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

STEP = 0.02  # s
FORGETS = 0.5  # s
FASTEST, HARDEST = (1.0, 2.5), (2.0, 6.0)  # m/s and rad/s, and a second
NEAR, STILL = 0.15, 0.2  # m, m/s


class Base(Node):
    """The base and its goal."""

    def __init__(self):
        """Create the topics."""
        super().__init__('base')
        self.random = random.Random(self.declare_parameter('seed', 0).value)
        self.x = self.y = self.heading = 0.0
        self.velocities, self.wanted, self.told = [0.0, 0.0], (0.0, 0.0), 0.0
        self.odometry = self.create_publisher(Odometry, 'odom', 10)
        self.goals = self.create_publisher(
            PoseStamped, 'goal_pose',
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self.marks = self.create_publisher(String, 'episode_marks', 10)
        self.create_subscription(Twist, 'cmd_vel', self.take, 1)
        self.create_service(Trigger, '~/next_goal', self.next_goal)
        self.place_goal()
        self.create_timer(STEP, self.step)
        self.get_logger().info('ready for commands on cmd_vel; Ctrl-C ends it')

    def place_goal(self):
        """Publish a goal ahead, to one side."""
        distance, angle = self.random.uniform(0.6, 1.2), self.random.uniform(-1.0, 1.0)
        self.goal = (
            self.x + distance * math.cos(self.heading + angle),
            self.y + distance * math.sin(self.heading + angle))
        self.is_there = False
        goal = PoseStamped()
        goal.header.stamp, goal.header.frame_id = self.get_clock().now().to_msg(), 'odom'
        goal.pose.position.x, goal.pose.position.y = self.goal
        goal.pose.orientation.w = 1.0
        self.goals.publish(goal)

    def next_goal(self, _, response):
        """Set another goal."""
        self.place_goal()
        response.success, response.message = True, 'goal at {:.2f} {:.2f} m'.format(*self.goal)
        return response

    def take(self, message):
        """Store a command."""
        self.wanted = message.linear.x, message.angular.z
        self.told = self.now()

    def now(self):
        """Return the time in s."""
        return self.get_clock().now().nanoseconds * 1e-9

    def step(self):
        """Move for a fiftieth of a second, and publish."""
        wanted = self.wanted if self.now() - self.told < FORGETS else (0.0, 0.0)
        for i in range(2):
            target = min(FASTEST[i], max(-FASTEST[i], wanted[i]))
            most = HARDEST[i] * STEP
            self.velocities[i] += min(most, max(-most, target - self.velocities[i]))
        forward, turn = self.velocities
        self.heading += turn * STEP
        self.x += forward * STEP * math.cos(self.heading)
        self.y += forward * STEP * math.sin(self.heading)
        message = Odometry(child_frame_id='base_link')
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), 'odom'
        message.pose.pose.position.x, message.pose.pose.position.y = self.x, self.y
        message.pose.pose.orientation.z = math.sin(self.heading / 2)
        message.pose.pose.orientation.w = math.cos(self.heading / 2)
        message.twist.twist.linear.x, message.twist.twist.angular.z = forward, turn
        self.odometry.publish(message)
        off = math.hypot(self.goal[0] - self.x, self.goal[1] - self.y)
        if not self.is_there and off < NEAR and abs(forward) < STILL:
            self.is_there = True
            self.get_logger().info(f'at the goal, {off:.2f} m off')
            self.marks.publish(String(data='success'))


def main():
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Base())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
