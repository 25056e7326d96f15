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
"""Node with a timer that only publishes a command; a process of bench/loop."""

from __future__ import annotations

import argparse
import gc
import math
from pathlib import Path
import sys
import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from bench.loop.record import COMMAND, Record
from dfp_ros.node.realtime.timer_slack import set_timer_slack
from dfp_ros.node.ros.node_main import run_node
from dfp_ros.node.ros.qos import COMMAND_QOS, SENSOR_QOS


class BareTimer(Node):
    """
    Lower bound of a node at a rate, in the executor of the policy node.

    :param record: Table for the times of its ticks.
    :param rate: Hz.
    :param command: Size of a command.
    :param listens: Whether it also receives the observations, without using them.
    """

    def __init__(self, record: Record, rate: float, command: int, listens: bool) -> None:
        """Create the message and its publisher."""
        super().__init__('bare_timer')
        self._record = record
        self._message = Float64MultiArray(data=[0.0] * command)
        self._publisher = self.create_publisher(Float64MultiArray, 'command', COMMAND_QOS)
        if listens:
            self.create_subscription(
                JointState, 'joint_states', lambda message: None, SENSOR_QOS)
        self._period = 1 / rate

    def autostart(self) -> bool:
        """Start to tick."""
        self._timer = self.create_timer(
            self._period, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        gc.collect()
        gc.freeze()
        return True

    def stop(self) -> None:
        """Stop to tick."""
        self.destroy_timer(self._timer)

    def close(self) -> None:
        """Destroy the node."""
        self.destroy_node()

    def _tick(self) -> None:
        """Publish."""
        began = time.monotonic_ns()
        self._message.data[0] = began
        self._publisher.publish(self._message)
        sent = time.monotonic_ns()
        self._record.add(
            began, sent, time.monotonic_ns() + self._timer.time_until_next_call(), math.nan,
            math.nan, began)


def main() -> int:
    """Run until a signal."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('record', type=Path)
    made.add_argument('--capacity', type=int, required=True)
    made.add_argument('--command', type=int, required=True, help='numbers of a command')
    made.add_argument('--rate', type=float, required=True, help='Hz')
    made.add_argument('--listen', action='store_true')
    asked = made.parse_args()
    # The policy node requests this itself.
    set_timer_slack(1)
    record = Record(asked.record, COMMAND + asked.command, asked.capacity)
    return run_node(
        'bare_timer', lambda: BareTimer(record, asked.rate, asked.command, asked.listen), None)


if __name__ == '__main__':
    sys.exit(main())
