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
Scripted teleoperator that drives the base to its goals, and marks the start of each episode.

    python examples/own_base/teleoperate.py --episodes 20

It takes the place of a person with a joystick.
"""

import argparse
import math
import random
import sys
import time

from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.utilities import remove_ros_args
from std_msgs.msg import String
from std_srvs.srv import Trigger

PERIOD = 0.05  # s
LONGEST = 8.0  # s


class Teleoperator(Node):
    """Controller that reads what the base publishes, and sends commands."""

    def __init__(self, seed):
        """Create the topics."""
        super().__init__('teleoperator')
        self.random = random.Random(seed)
        self.place = self.goal = None
        self.has_arrived = False
        self.commands = self.create_publisher(Twist, 'cmd_vel', 1)
        self.marks = self.create_publisher(String, 'episode_marks', 10)
        self.next_goal = self.create_client(Trigger, 'base/next_goal')
        self.create_subscription(Odometry, 'odom', self.see_place, 1)
        self.create_subscription(
            PoseStamped, 'goal_pose', self.see_goal,
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self.create_subscription(String, 'episode_marks', self.see_mark, 10)

    def see_place(self, message):
        """Store the pose of the base."""
        pose = message.pose.pose
        self.place = (
            pose.position.x, pose.position.y,
            2 * math.atan2(pose.orientation.z, pose.orientation.w))

    def see_goal(self, message):
        """Store the goal."""
        self.goal = message.pose.position.x, message.pose.position.y

    def see_mark(self, message):
        """Store that the base reports success."""
        self.has_arrived |= message.data == 'success'

    def wait_for_recorder(self):
        """Wait a while for a recorder to subscribe, so that the first mark is not lost."""
        end = time.monotonic() + 5.0
        while self.marks.get_subscription_count() < 2 and time.monotonic() < end:
            self.wait(0.1)
        if self.marks.get_subscription_count() < 2:
            print('no recorder listens to episode_marks; nothing is recorded', flush=True)
        self.wait(1.0)

    def wait(self, seconds):
        """Process messages for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def episode(self):
        """Drive to one goal; return whether it was reached."""
        asked = self.next_goal.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(self, asked)
        self.wait(0.2)
        self.has_arrived = False
        self.marks.publish(String(data='start'))
        end = time.monotonic() + LONGEST
        while not self.has_arrived and time.monotonic() < end:
            x, y, heading = self.place
            distance = math.hypot(self.goal[0] - x, self.goal[1] - y)
            turn = math.atan2(self.goal[1] - y, self.goal[0] - x) - heading
            turn = math.atan2(math.sin(turn), math.cos(turn))
            message = Twist()
            message.linear.x = min(0.8, 1.5 * distance) * max(0.0, math.cos(turn))
            message.angular.z = min(1.8, max(-1.8, 2.5 * turn)) if distance > 0.05 else 0.0
            message.linear.x += self.random.gauss(0.0, 0.03)
            message.angular.z += self.random.gauss(0.0, 0.1)
            self.commands.publish(message)
            self.wait(PERIOD)
        self.commands.publish(Twist())
        if not self.has_arrived:
            self.marks.publish(String(data='failure'))
        return self.has_arrived


def main():
    """Teleoperate some episodes."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--episodes', type=int, default=20)
    parser.add_argument('--seed', type=int, default=1)
    rclpy.init()
    asked = parser.parse_args(remove_ros_args()[1:])
    if asked.episodes < 1:
        parser.error(f'--episodes: found {asked.episodes}, expected at least 1')
    operator = Teleoperator(asked.seed)
    while not operator.next_goal.wait_for_service(timeout_sec=5.0):
        print('waiting for the robot: start base.py, with the same ROS_DOMAIN_ID', flush=True)
    while operator.place is None or operator.goal is None:
        rclpy.spin_once(operator)
    operator.wait_for_recorder()
    done = 0
    for number in range(asked.episodes):
        done += operator.episode()
        print(f'episode {number + 1} of {asked.episodes}: {done} solved so far', flush=True)
    operator.wait(0.5)


if __name__ == '__main__':
    try:
        main()
    except (KeyboardInterrupt, ExternalShutdownException):
        print('interrupted', file=sys.stderr)
        sys.exit(130)
