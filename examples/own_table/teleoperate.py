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
Scripted teleoperator that looks at the picture, and moves the tool to the red target in it.

    python examples/own_table/teleoperate.py --episodes 20

It takes the place of a person who watches the camera: it sends similar, slightly noisy commands on
the controller's topic, and marks the start of each episode.
"""

import argparse
import random
import sys
import time

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from table import HEIGHT, NAMES, PIXELS, WIDTH

PERIOD = 0.05  # s
SPEED, SHAKE = 0.5, 0.003  # m/s, m
LONGEST = 3.0  # s


class Teleoperator(Node):
    """Controller that sees what the camera publishes, and sends commands."""

    def __init__(self, seed):
        """Create the topics."""
        super().__init__('teleoperator')
        self.random = random.Random(seed)
        self.positions = self.target = None
        self.has_reached = False
        self.pictures = 0
        self.commands = self.create_publisher(Float64MultiArray, 'table_controller/commands', 1)
        self.marks = self.create_publisher(String, 'episode_marks', 10)
        self.next_target = self.create_client(Trigger, 'table/next_target')
        self.create_subscription(JointState, 'joint_states', self.see_joints, 1)
        self.create_subscription(
            Image, 'camera/image_raw', self.see_picture, qos_profile_sensor_data)
        self.create_subscription(String, 'episode_marks', self.see_mark, 10)

    def see_joints(self, message):
        """Store the joint positions."""
        self.positions = [message.position[message.name.index(name)] for name in NAMES]

    def see_picture(self, message):
        """Find the middle of what is red, in m."""
        picture = np.frombuffer(message.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
        red, green, blue = picture.astype(int).transpose(2, 0, 1)
        rows, columns = np.nonzero(red - np.maximum(green, blue) > 80)
        if len(rows):
            self.target = (columns.mean() + 0.5) / PIXELS, (HEIGHT - rows.mean() - 0.5) / PIXELS
        self.pictures += 1

    def see_mark(self, message):
        """Store that the cell reports success."""
        self.has_reached |= message.data == 'success'

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

    def wait_for_pictures(self, count):
        """Wait for new pictures, of which the first may be older than what they should show."""
        before = self.pictures
        while self.pictures < before + count:
            rclpy.spin_once(self)

    def episode(self):
        """Reach one target; return whether that succeeded."""
        asked = self.next_target.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(self, asked)
        self.wait_for_pictures(4)
        self.has_reached = False
        self.marks.publish(String(data='start'))
        commands, end = list(self.positions), time.monotonic() + LONGEST
        while not self.has_reached and time.monotonic() < end:
            for i, goal in enumerate(self.target):
                change = min(SPEED * PERIOD, max(-SPEED * PERIOD, goal - commands[i]))
                commands[i] += change + self.random.gauss(0.0, SHAKE)
            self.commands.publish(Float64MultiArray(data=commands))
            self.wait(PERIOD)
        if not self.has_reached:
            self.marks.publish(String(data='failure'))
        return self.has_reached


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
    while not operator.next_target.wait_for_service(timeout_sec=5.0):
        print('waiting for the robot: start table.py, with the same ROS_DOMAIN_ID', flush=True)
    while operator.positions is None or operator.target is None:
        rclpy.spin_once(operator)
    operator.wait_for_recorder()
    done = 0
    for number in range(asked.episodes):
        done += operator.episode()
        print(f'episode {number + 1} of {asked.episodes}: {done} reached so far', flush=True)
    operator.wait(0.5)


if __name__ == '__main__':
    try:
        main()
    except (KeyboardInterrupt, ExternalShutdownException):
        print('interrupted', file=sys.stderr)
        sys.exit(130)
