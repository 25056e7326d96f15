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
"""Policy node with recorded tick times; a process of bench/loop."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import math
from pathlib import Path
import sys
import time
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from bench.loop.record import COMMAND, Record
from dfp_ros import policy_node
from dfp_ros.core.control.decision import Decision
from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.ros import node_main
from dfp_ros.node.ros.qos import SENSOR_QOS


class Commands(CommandPublishers):
    """Command publishers that store the last command and its time."""

    sent: tuple[float, Decision] | None = None

    def send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """Send, and store the time."""
        super().send(loop, decision, stamp)
        self.sent = time.monotonic_ns(), decision


def keep_times(record: Record, source: str = '') -> None:
    """
    Have the next node record the times of its ticks.

    :param record: Table for them.
    :param source: Source whose stamp is recorded; empty for the newest of each tick.
    """
    # Offset of the stamps; both clocks are slewed alike.
    epoch = time.time_ns() - time.monotonic_ns()

    class TimedTicker(Ticker):
        """Ticker that records a row per tick."""

        def tick(self, now: int, samples: Mapping[str, Sample]) -> None:
            """Tick, and record its times and command."""
            began = time.monotonic_ns()
            super().tick(now, samples)
            commands = self.commander.publishers
            assert isinstance(commands, Commands)
            if commands.sent is None:
                return
            (sent, decision), commands.sent = commands.sent, None
            stamp = decision.observation_stamp
            if source and source in samples:
                stamp = samples[source].time
            if decision.sent is not None and stamp is not None:
                record.add(
                    began, sent, _next_deadline(self), stamp - epoch,
                    math.nan if decision.inference is None else decision.inference,
                    *decision.sent)

    # The node is composed from these names.
    names: Any = policy_node
    names.Ticker, names.CommandPublishers = TimedTicker, Commands


def _next_deadline(ticker: Ticker) -> float:
    """Ask the trigger when it is due next, in ns; NaN if there is none."""
    left = ticker._trigger.time_left()
    return time.monotonic_ns() + 1e9 * left if math.isfinite(left) else math.nan


def share_with_a_camera() -> None:
    """Have a second node of this process receive images, on the same executor."""
    make = node_main.make_executor

    def make_with_camera(*args: Any) -> Any:
        executor = make(*args)
        node = Node('viewer')
        node.create_subscription(Image, 'image', lambda image: None, SENSOR_QOS)
        executor.add_node(node)
        return executor

    names: Any = node_main
    names.make_executor = make_with_camera


def main() -> int:
    """Run until a signal."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('record', type=Path)
    made.add_argument('--capacity', type=int, required=True)
    made.add_argument('--command', type=int, required=True, help='numbers of a command')
    made.add_argument('--images', action='store_true')
    made.add_argument('--source', default='', help='whose stamps are recorded')
    asked, for_node = made.parse_known_args()
    keep_times(Record(asked.record, COMMAND + asked.command, asked.capacity), asked.source)
    if asked.images:
        share_with_a_camera()
    return policy_node.main(for_node)


if __name__ == '__main__':
    sys.exit(main())
