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
"""Synthetic robot that publishes stamped observations and takes commands; for bench/loop."""

from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path
import struct
import sys
import threading
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from bench.common.sleep import sleep_until
from bench.loop.record import ARRIVED_COMMAND, Record
from dfp_ros.node.ros.node_main import run_node

# Offset of the stamp in a serialised message that begins with a header: after the encapsulation
# header of four bytes.
_STAMP = struct.Struct('<iI')
_STAMP_AT = 4


class Robot(Node):
    """
    Publisher of one JointState at a rate, stamped just before each publication.

    Messages are sent and received serialised, so that the robot takes little of the machine's
    processor time.

    :param record: Table for the arrivals of commands.
    :param message: The JointState.
    :param period: Period in ns.
    """

    def __init__(self, record: Record, message: JointState, period: int) -> None:
        """Create the topics; publishing starts with :meth:`autostart`."""
        super().__init__('robot')
        self._record = record
        self._content = bytearray(serialize_message(message))
        self._period = period
        # Reliable, so that it also fits a node that waits for each observation.
        self._publisher = self.create_publisher(JointState, 'joint_states', QoSProfile(depth=10))
        self.create_subscription(
            Float64MultiArray, 'command', self._receive, QoSProfile(depth=10), raw=True)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def autostart(self) -> bool:
        """Start to publish."""
        gc.collect()
        gc.freeze()
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop to publish."""
        self._ended.set()
        self._thread.join()

    def close(self) -> None:
        """Destroy the node."""
        self.destroy_node()

    def _publish(self) -> None:
        deadline = time.monotonic_ns()
        while not self._ended.is_set():
            # Missed deadlines are skipped.
            deadline += self._period * max(
                1, (time.monotonic_ns() - deadline) // self._period + 1)
            sleep_until(deadline)
            _STAMP.pack_into(self._content, _STAMP_AT, *divmod(time.time_ns(), 1_000_000_000))
            self._publisher.publish(bytes(self._content))

    def _receive(self, content: bytes) -> None:
        arrived = time.monotonic_ns()
        self._record.add(arrived, *deserialize_message(content, Float64MultiArray).data)


def main() -> int:
    """Run until a signal."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('record', type=Path)
    made.add_argument('message', type=Path, help='JointState as JSON')
    made.add_argument('--capacity', type=int, required=True)
    made.add_argument('--command', type=int, required=True, help='numbers of a command')
    made.add_argument('--period', type=int, required=True, help='ns')
    asked = made.parse_args()
    record = Record(asked.record, ARRIVED_COMMAND + asked.command, asked.capacity)
    message = JointState(**json.loads(asked.message.read_text()))
    return run_node('robot', lambda: Robot(record, message, asked.period), None)


if __name__ == '__main__':
    sys.exit(main())
