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
Arm and gripper that take goals of actions, as the controllers of ros2_control do.

The description of the tests names the gripper's action ``gripper_controller/gripper_cmd``, which
the policy node has to be started with a remapping of. It needs the packages of
:mod:`testing.messages.packages`, so it runs in a process of its own.
What it is to do comes as words on ``behave``: ``follow``, ``refuse``, ``abort``, or ``last``, with
which goals last until they are cancelled, or ``late``, with which the robot stands
still for two seconds before it takes a gripper's goal; what happens is said as JSON on ``said``.
"""

from __future__ import annotations

import json
import time
from typing import Any

from control_msgs.action import FollowJointTrajectory, GripperCommand
from geometry_msgs.msg import TransformStamped
import rclpy
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

JOINTS = ['shoulder', 'elbow']
_STEP = 0.01


class ActionRobot(Node):
    """The robot."""

    def __init__(self) -> None:
        """Create everything."""
        super().__init__('action_robot')
        self.behaviour = 'follow'
        self.goals: dict[bytes, tuple[Any, Future, float]] = {}
        self.create_subscription(String, 'behave', self.behave, 10)
        self.said = self.create_publisher(String, 'said', QoSProfile(depth=1000))
        self.joints = self.create_publisher(JointState, 'joint_states', 10)
        self.transforms = self.create_publisher(TFMessage, '/tf', 10)
        self.servers = [
            ActionServer(
                self, kind, name, self.execute, goal_callback=self.decide,
                cancel_callback=self.cancel)
            for kind, name in (
                (FollowJointTrajectory, 'arm_controller/follow_joint_trajectory'),
                (GripperCommand, 'hand/gripper_cmd'))]
        self.create_timer(_STEP, self.step)

    def behave(self, message: String) -> None:
        """Change what it does."""
        self.behaviour = message.data
        self.say(event='behaves', how=message.data)

    def say(self, **content: Any) -> None:
        """Say what happens."""
        self.said.publish(String(data=json.dumps(content)))

    def decide(self, goal: Any) -> GoalResponse:
        """Accept a goal, or refuse it."""
        is_refused = self.behaviour == 'refuse'
        if hasattr(goal, 'command'):
            if self.behaviour == 'late':
                time.sleep(2.0)
            self.say(
                event='gripper', position=goal.command.position, effort=goal.command.max_effort)
        else:
            points = goal.trajectory.points
            self.say(
                event='arm', refused=is_refused, names=list(goal.trajectory.joint_names),
                points=[list(point.positions) for point in points],
                velocities=[list(point.velocities) for point in points])
        return GoalResponse.REJECT if is_refused else GoalResponse.ACCEPT

    def cancel(self, _: Any) -> CancelResponse:
        """Accept that a goal is cancelled."""
        return CancelResponse.ACCEPT

    async def execute(self, handle: Any) -> Any:
        """Follow a goal to its end, which comes by itself, or from outside."""
        ended: Future = Future()
        is_arm = hasattr(handle.request, 'trajectory')
        lasts = 0.3 if is_arm else 0.1
        identity = bytes(handle.goal_id.uuid)
        self.goals[identity] = handle, ended, self.get_clock().now().nanoseconds * 1e-9 + lasts
        word = await ended
        del self.goals[identity]
        self.say(event=word, arm=is_arm)
        {'aborted': handle.abort, 'cancelled': handle.canceled,
         'succeeded': handle.succeed}[word]()
        if not is_arm:
            return GripperCommand.Result(reached_goal=True)
        return FollowJointTrajectory.Result(
            error_code=-4 if word == 'aborted' else 0, error_string='too far off the path')

    def step(self) -> None:
        """Publish, and end goals."""
        clock = self.get_clock().now()
        for handle, ended, end in list(self.goals.values()):
            if ended.done():
                continue
            if handle.is_cancel_requested:
                ended.set_result('cancelled')
            elif self.behaviour == 'abort':
                ended.set_result('aborted')
            elif self.behaviour != 'last' and clock.nanoseconds * 1e-9 > end:
                ended.set_result('succeeded')
        joints = JointState(name=JOINTS, position=[0.1, -0.2])
        part = TransformStamped(child_frame_id='part')
        part.header.frame_id = 'world'
        part.transform.translation.x = 0.4
        part.transform.rotation.w = 1.0
        joints.header.stamp = part.header.stamp = clock.to_msg()
        self.joints.publish(joints)
        self.transforms.publish(TFMessage(transforms=[part]))


def main() -> None:
    """Run until it is asked to end."""
    rclpy.init()
    try:
        rclpy.spin(ActionRobot())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
