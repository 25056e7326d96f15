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
"""ROS interface of the simulated robot: publishers, subscriptions and service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from queue import SimpleQueue
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.control.episode_marks import TOPIC as MARKS_TOPIC
from dfp_ros.sim.sim_robot.command_inputs import CommandInput
from dfp_ros.sim.sim_robot.qos import COMMAND_QOS, EPISODE_QOS, STATE_QOS
from dfp_ros.sim.sim_robot.stamps import Stamps

RESET = 'reset'
STOP = 'stop'
WAKE = 'wake'


class SimRobot(Node):
    """
    Publisher of states and results, and receiver of commands for one loop.

    :param inbox: Queue for command messages and RESET.
    """

    def __init__(self, inbox: SimpleQueue[Any], **options: Any) -> None:
        """Create the node; :meth:`open` creates its topics once they are known."""
        super().__init__('sim_robot', **options)
        self._inbox = inbox
        self._stamps = Stamps()

    def open(
            self, state: Mapping[str, Any], inputs: Iterable[CommandInput], render: bool,
            clock: bool) -> None:
        """
        Create publishers, subscriptions and the service.

        :param state: Messages by topic, as later published.
        :param inputs: Command topics.
        :param render: Whether to publish camera images.
        :param clock: Whether to publish simulated time on ``/clock``, and use it in the stamps.
        """
        self._state = {
            topic: self.create_publisher(type(message), topic, STATE_QOS)
            for topic, message in state.items()}
        self._episode = self.create_publisher(DiagnosticStatus, 'episode', EPISODE_QOS)
        self._marks = self.create_publisher(String, MARKS_TOPIC, 10)
        self.camera = self.create_publisher(
            Image, 'camera/image_raw', qos_profile_sensor_data) if render else None
        self._clock_publisher = self.create_publisher(Clock, '/clock', 10) if clock else None
        self._simulated_time = self.get_clock().now().nanoseconds
        for command in inputs:
            self.create_subscription(
                command.type, command.topic, self._inbox.put, COMMAND_QOS)
        self.create_service(Trigger, '~/reset', self._on_reset)

    def now(self, follows: bool = False) -> Time:
        """
        Return the time, in steps of at least 1 ns, so that stamps are unique.

        :param follows: Whether it goes back with a clock that is set back, as a driver's stamps.
        """
        if self._clock_publisher:
            time = self._simulated_time
        else:
            time = self.get_clock().now().nanoseconds
        return _stamp(self._stamps.next(time, follows))

    def pass_time(self, seconds: float) -> None:
        """Advance simulated time."""
        if self._clock_publisher:
            self._simulated_time += round(seconds * 1e9)
            self._clock_publisher.publish(Clock(clock=_stamp(self._simulated_time)))

    def publish_state(self, state: Mapping[str, Any]) -> None:
        """Publish the measurements at one instant: messages by topic."""
        for topic, message in state.items():
            self._state[topic].publish(message)

    def publish_episode(self, status: DiagnosticStatus) -> None:
        """Publish the result of an episode."""
        self._episode.publish(status)

    def publish_mark(self, mark: str) -> None:
        """Publish the start or the result of an episode to a recorder."""
        self._marks.publish(String(data=mark))

    def flush(self, timeout: float) -> None:
        """Wait until the subscribers have received the results."""
        for publisher in (self._episode, self._marks):
            publisher.wait_for_all_acked(Duration(seconds=timeout))

    def _on_reset(
            self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Request a new episode from the loop."""
        self._inbox.put(RESET)
        response.success = True
        response.message = 'the episode is abandoned and the next one starts'
        return response


def _stamp(nanoseconds: int) -> Time:
    """Convert ns to a stamp."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
