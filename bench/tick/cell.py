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
"""Policy node's ticker with all its parts, without an executor."""

from __future__ import annotations

import array
import functools
import math
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import Source
from dfp_ros.core.settings.node import Settings
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loading.pending_policy import load_control_loop, PendingPolicy
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.node.reporting.decision_publisher import DecisionPublisher
from dfp_ros.node.reporting.diagnostics_publisher import DiagnosticsPublisher
from dfp_ros.node.reporting.statistics_publisher import StatisticsPublisher
from dfp_ros.node.ros.node_clock import NodeClock
from dfp_ros.node.ros.qos import COMMAND_QOS
from dfp_ros.node.ros.qos_monitor import QosMonitor
from dfp_ros.resources import load_robot

#: Policies with their robots.
SHIPPED = {'cube_single': 'ur5e_cube', 'lift': 'panda_lift', 'lift_joint': 'panda_joint'}
_SECOND = 1_000_000_000


class Cell:
    """
    Parts of a policy node, with a robot that follows joint commands and otherwise rests.

    :param policy: Name of a policy.
    :param rate: Control rate in Hz.
    :param decisions: Whether to publish decisions.
    """

    def __init__(self, policy: str, rate: float, decisions: bool) -> None:
        """Load, and start."""
        self.node = Node('tick')
        self._time = NodeClock(self.node)
        settings = Settings(policy=policy, robot=SHIPPED[policy], rate=rate)
        robot = load_robot(settings.robot)
        self.loop: ControlLoop = load_control_loop(PendingPolicy(settings), robot)
        self.readers = {
            name: SourceReader(source, robot) for name, source in robot.sources.items()}
        self.messages = {
            name: _message(robot, source, self.readers[name])
            for name, source in robot.sources.items()}
        self._be_typical(robot)
        watch = QosMonitor(self.node)
        self._parts: list[Any] = [CommandPublishers(self.node, self.loop, watch)]
        self.ticker = Ticker(self.node, self.loop, self._parts[0], lambda: None)
        if decisions:
            made = DecisionPublisher(self.node, self.loop)
            self.ticker.listeners.append(made)
            self._parts.append(made)
        self.diagnostics = DiagnosticsPublisher(self.node, self.ticker, dict, watch)
        self.statistics = StatisticsPublisher(self.node, self.ticker)
        self._parts += [self.diagnostics, self.statistics]
        self._bare = [
            (self.node.create_publisher(Float64MultiArray, topic.topic + '/bare', COMMAND_QOS),
             Float64MultiArray(), sum(entry.size for entry in topic.entries))
            for topic in robot.commands]
        # Joints with position commands, if there are any.
        self._following = [
            (self.messages[entry.measured.reading.source], entry.measured.reading,
             self.loop.policy.spec.action_slices[entry.action])
            for topic in robot.commands for entry in topic.entries
            if entry.measured is not None and entry.measured.reading.joints]
        self.ticker.start()
        # Ticks are made by hand here, and sometimes not at all.
        self.ticker._watchdog.stop()

    def tick(self) -> None:
        """Receive a message of every source, and tick."""
        now = self._time.now
        for name, message in self.messages.items():
            stamp = now()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, _SECOND)
            self.ticker.receive(name, self.readers[name].read(message, stamp))
        stamp = now()
        self.ticker.store.pass_time(stamp)
        self.ticker.tick(stamp, self.ticker.store.at(stamp))

    def _be_typical(self, robot: RobotDescription) -> None:
        """Fill the messages with the middle of the training data, as far as that is simple."""
        for entry, field in zip(robot.observation, self.loop.policy.spec.observation, strict=True):
            reading = entry.reading
            if reading is None or entry.transform or entry.minus:
                continue
            values = [
                (low + high) / 2 / scale - offset for low, high, scale, offset in zip(
                    field.low, field.high, entry.scale, entry.offset, strict=True)]
            if reading.is_quaternion:
                length = math.hypot(*values)
                values = [value / length for value in values]
            *path, last = reading.path.split('.')
            holder = functools.reduce(getattr, path, self.messages[reading.source])
            for name, value in zip(reading.joints, values, strict=False):
                getattr(holder, last)[holder.name.index(name)] = value
            for name, value in zip(reading.components, values, strict=False):
                setattr(getattr(holder, last), name, value)

    def follow(self) -> None:
        """Move the joints to the last command."""
        for message, reading, place in self._following:
            for joint, value in zip(
                    reading.joints, self.ticker.log.last.sent[place].tolist(), strict=True):
                getattr(message, reading.path)[message.name.index(joint)] = value

    def bare(self) -> None:
        """Do the work of a timer that only publishes."""
        for publisher, message, size in self._bare:
            message.data = array.array('d', [0.0] * size)
            publisher.publish(message)

    def close(self) -> None:
        """Destroy everything."""
        self.ticker.stop()
        for part in reversed(self._parts):
            part.close()
        self.node.destroy_node()


def _message(robot: RobotDescription, source: Source, reader: SourceReader) -> Any:
    """Make a message with every field that is read: zeros, and no rotation."""
    message = reader.message_type()
    for reading in robot.readings(source.name):
        if reading.joints:
            # One message field each, with the joints of all of them.
            names = list(dict.fromkeys([*message.name, *reading.joints]))
            message.name = names
            setattr(message, reading.path, [0.0] * len(names))
    for name in ('position', 'velocity', 'effort'):
        if len(getattr(message, name, ())) not in (0, len(getattr(message, 'name', ()))):
            setattr(message, name, [0.0] * len(message.name))
    if hasattr(message, 'pose'):
        message.pose.orientation.w = 1.0
    return message
