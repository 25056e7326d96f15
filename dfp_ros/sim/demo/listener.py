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
"""Subscriber to the episodes of a simulated robot and the diagnostics of its policy node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
import time
from typing import Any

from dfp_ros.sim.demo.report import Episode

#: Name of the policy node in the launch files.
POLICY_NODE = 'dfp_policy'
# Longest time until another robot is discovered, in s.
_DISCOVERY = 1.5


def find_another_robot() -> str:
    """Explain that a robot is there already, which a demo would disturb; empty if none is."""
    listener = Listener('dfp_demo_search', lambda _: None, lambda _: None)
    try:
        deadline = time.monotonic() + _DISCOVERY
        while not (found := listener.find_others(0)) and time.monotonic() < deadline:
            listener.listen(0.1)
        return found
    finally:
        listener.close()


class Listener:
    """
    Subscriber to the episodes and diagnostics.

    :param name: Name of its node.
    :param on_episode: Called with each episode's result.
    :param on_policy: Called with each diagnostics message of the policy node, by key.

    :ivar node: The node, for further subscriptions.
    """

    def __init__(
            self, name: str, on_episode: Callable[[Episode], object],
            on_policy: Callable[[Mapping[str, str]], object]) -> None:
        """Create the participant."""
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from dfp_ros.sim.sim_robot.qos import EPISODE_QOS

        self._on_episode, self._on_policy, self._rclpy = on_episode, on_policy, rclpy
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(name)
        self.node.create_subscription(DiagnosticStatus, 'episode', self._hear_episode, EPISODE_QOS)
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._hear_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def listen(self, timeout: float) -> None:
        """Wait up to ``timeout`` s for one message."""
        self._executor.spin_once(timeout)

    def find_others(self, own: int = 1) -> str:
        """
        Explain that another robot publishes episodes, too.

        :param own: Number of robots that there may be.
        :return: The explanation; empty if there is no other.
        """
        robots = self.node.count_publishers('episode')
        return '' if robots <= own else (
            f'found {robots} robot(s) that publish episodes in ROS domain '
            f'{os.environ.get("ROS_DOMAIN_ID") or 0}, expected {own}: end the other demo or '
            'robot, or set another ROS_DOMAIN_ID')

    def close(self) -> None:
        """Destroy the participant."""
        self._executor.shutdown()
        self.node.destroy_node()
        self._rclpy.try_shutdown()

    def _hear_episode(self, message: Any) -> None:
        self._on_episode(Episode.from_values({pair.key: pair.value for pair in message.values}))

    def _hear_diagnostics(self, message: Any) -> None:
        """Pass on what the policy node says, if it is from that node."""
        values = {
            pair.key: pair.value for status in message.status if POLICY_NODE in status.name
            for pair in status.values}
        if values:
            self._on_policy(values)
