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
Scripted teleoperator that moves the SCARA onto the part, and marks the start of each episode.

    python examples/own_robot/teleoperate.py --episodes 20

It takes the place of a person with a joystick: it sends similar, slightly noisy commands on the
controller's topic.
"""

import argparse
import math
import random
import sys
import time

from geometry_msgs.msg import PoseStamped
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from scara import FOREARM, HOME, UPPER_ARM
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

PERIOD = 0.05  # s
SPEEDS = (1.6, 2.0, 0.25, 2.0)  # a second, in rad and m
SHAKE = (0.01, 0.01, 0.001, 0.01)
LONGEST = 6.0  # s
DOWN = 0.085  # m


class Teleoperator(Node):
    """Controller that reads what the robot publishes, and sends commands."""

    def __init__(self, seed):
        """Create the topics."""
        super().__init__('teleoperator')
        self.random = random.Random(seed)
        self.positions = self.part = None
        self.has_touched = False
        self.commands = self.create_publisher(Float64MultiArray, 'scara_controller/commands', 1)
        self.marks = self.create_publisher(String, 'episode_marks', 10)
        self.next_part = self.create_client(Trigger, 'scara/next_part')
        self.create_subscription(JointState, 'joint_states', self.see_joints, 1)
        self.create_subscription(PoseStamped, 'part_pose', self.see_part, 1)
        self.create_subscription(String, 'episode_marks', self.see_mark, 10)

    def see_joints(self, message):
        """Store the joint positions."""
        self.positions = [message.position[message.name.index(name)] for name in (
            'shoulder', 'elbow', 'quill', 'wrist')]

    def see_part(self, message):
        """Store the pose of the part."""
        self.part = message.pose.position.x, message.pose.position.y

    def see_mark(self, message):
        """Store that the cell reports success."""
        self.has_touched |= message.data == 'success'

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

    def prepare(self):
        """Have the cell move the part and drive the arm home."""
        asked = self.next_part.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(self, asked)
        while self.away() > 0.02:
            self.wait(PERIOD)
        self.wait(0.1)

    def episode(self):
        """Touch one part; return whether that succeeded."""
        self.prepare()
        self.has_touched = False
        self.marks.publish(String(data='start'))
        commands, end = list(self.positions), time.monotonic() + LONGEST
        while not self.has_touched and time.monotonic() < end:
            goal = find_goal(self.part, self.positions)
            for i, speed in enumerate(SPEEDS):
                change = min(speed * PERIOD, max(-speed * PERIOD, goal[i] - commands[i]))
                commands[i] += change + self.random.gauss(0.0, SHAKE[i])
            commands[2] = max(0.0, commands[2])
            self.commands.publish(Float64MultiArray(data=commands))
            self.wait(PERIOD)
        if not self.has_touched:
            self.marks.publish(String(data='failure'))
        return self.has_touched

    def away(self):
        """Return the distance of the arm from its home position."""
        return max(abs(here - home) for here, home in zip(self.positions, HOME, strict=True))


def find_goal(part, positions):
    """
    Return the joint targets: above the part, then down.

    :param part: Position of the part, x and y in m.
    :param positions: Of the four joints, in rad and m.
    """
    x, y = part
    bend = (x * x + y * y - UPPER_ARM**2 - FOREARM**2) / (2 * UPPER_ARM * FOREARM)
    elbow = math.acos(min(1.0, max(-1.0, bend)))
    shoulder = math.atan2(y, x) - math.atan2(
        FOREARM * math.sin(elbow), UPPER_ARM + FOREARM * math.cos(elbow))
    off = math.hypot(positions[0] - shoulder, positions[1] - elbow)
    return shoulder, elbow, DOWN if off < 0.06 else 0.0, -(shoulder + elbow)


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
    while not operator.next_part.wait_for_service(timeout_sec=5.0):
        print('waiting for the robot: start scara.py, with the same ROS_DOMAIN_ID', flush=True)
    while operator.positions is None or operator.part is None:
        rclpy.spin_once(operator)
    operator.wait_for_recorder()
    done = 0
    for number in range(asked.episodes):
        done += operator.episode()
        print(f'episode {number + 1} of {asked.episodes}: {done} touched so far', flush=True)
    # The arm ends where episodes begin, and not where the last one went on to after its end.
    operator.prepare()
    operator.wait(0.5)


if __name__ == '__main__':
    try:
        main()
    except (KeyboardInterrupt, ExternalShutdownException):
        print('interrupted', file=sys.stderr)
        sys.exit(130)
