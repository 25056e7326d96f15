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
Scripted person who corrects a policy of the SCARA: moves a leader arm, and holds a pedal.

    python examples/own_robot/correct.py

It takes the place of a person beside the robot. It takes over in the first episodes, and later in
each that lasts longer than its patience, and lets go when the episode ends.
"""

import argparse
import sys

from geometry_msgs.msg import PoseStamped
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from teleoperate import find_goal, PERIOD, SPEEDS

JOINTS = ('shoulder', 'elbow', 'quill', 'wrist')


class Corrector(Node):
    """Watches episodes, and publishes the leader arm and the pedal."""

    def __init__(self, shown, patience):
        """Create the topics."""
        super().__init__('corrector')
        self.shown, self.patience = shown, patience
        self.positions = self.part = self.began = self.pose = None
        self.episodes = self.takeovers = 0
        self.leader = self.create_publisher(JointState, 'leader/joint_states', 1)
        self.pedal = self.create_publisher(Bool, 'pedal', 1)
        self.create_subscription(JointState, 'joint_states', self.see_joints, 1)
        self.create_subscription(PoseStamped, 'part_pose', self.see_part, 1)
        self.create_subscription(String, 'episode_marks', self.see_mark, 10)
        self.create_timer(PERIOD, self.work)

    def see_joints(self, message):
        """Store the joint positions."""
        self.positions = [message.position[message.name.index(name)] for name in JOINTS]

    def see_part(self, message):
        """Store the position of the part."""
        self.part = message.pose.position.x, message.pose.position.y

    def see_mark(self, message):
        """Begin or end an episode."""
        is_start = message.data == 'start'
        self.began = self.get_clock().now() if is_start else None
        self.episodes += is_start
        if self.pose is not None:
            self.pose = None
            self.get_logger().info('lets go')

    def work(self):
        """Take over if it is time, and publish."""
        if self.positions is None or self.part is None:
            return
        now = self.get_clock().now()
        if self.pose is None and self.began is not None and (
                self.episodes <= self.shown
                or (now - self.began).nanoseconds * 1e-9 > self.patience):
            self.pose = list(self.positions)
            self.takeovers += 1
            self.get_logger().info(f'takes over in episode {self.episodes}')
        if self.pose is not None:
            for i, wanted in enumerate(find_goal(self.part, self.positions)):
                most = SPEEDS[i] * PERIOD
                self.pose[i] += min(most, max(-most, wanted - self.pose[i]))
        message = JointState(
            name=[f'leader_{name}' for name in JOINTS], position=self.pose or self.positions)
        message.header.stamp = now.to_msg()
        # The pedal last: the takeover begins with it.
        self.leader.publish(message)
        self.pedal.publish(Bool(data=self.pose is not None))


def main():
    """Correct until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--shown', type=int, default=2, help='episodes in which it takes over')
    parser.add_argument('--patience', type=float, default=3.0, help='seconds, in later episodes')
    rclpy.init()
    asked = parser.parse_args(remove_ros_args()[1:])
    corrector = Corrector(asked.shown, asked.patience)
    print('corrector: watching', flush=True)
    try:
        rclpy.spin(corrector)
    except (KeyboardInterrupt, ExternalShutdownException):
        print(f'took over {corrector.takeovers} times', file=sys.stderr)


if __name__ == '__main__':
    main()
