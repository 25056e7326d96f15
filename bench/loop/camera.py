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
"""Camera that publishes stamped raw pictures at a rate; a process beside a loop."""

from __future__ import annotations

import argparse
import struct
import sys
import time

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from bench.common.sleep import sleep_until
from bench.loop.load import end_with_parent
from dfp_ros.node.ros.qos import SENSOR_QOS

#: Size of its pictures, which are rgb8.
WIDTH, HEIGHT = 640, 480
# Different pictures, published in turn.
_PICTURES = 4
# Offset of the stamp in a serialised message that begins with a header: after the encapsulation
# header of four bytes.
_STAMP = struct.Struct('<iI')
_STAMP_AT = 4


def main() -> None:
    """Publish until killed, each picture stamped just before its publication."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('topic')
    made.add_argument('--period', type=int, required=True, help='ns')
    asked = made.parse_args()
    end_with_parent()
    rclpy.init()
    node = Node(asked.topic)
    publisher = node.create_publisher(Image, asked.topic, SENSOR_QOS)
    generator = np.random.default_rng(0)
    contents = [bytearray(serialize_message(Image(
        width=WIDTH, height=HEIGHT, encoding='rgb8', step=3 * WIDTH,
        data=generator.bytes(3 * WIDTH * HEIGHT)))) for _ in range(_PICTURES)]
    deadline, count = time.monotonic_ns(), 0
    while True:
        # Missed deadlines are skipped.
        deadline += asked.period * max(
            1, (time.monotonic_ns() - deadline) // asked.period + 1)
        sleep_until(deadline)
        content = contents[count % _PICTURES]
        count += 1
        _STAMP.pack_into(content, _STAMP_AT, *divmod(time.time_ns(), 1_000_000_000))
        publisher.publish(bytes(content))


if __name__ == '__main__':
    sys.exit(main())
