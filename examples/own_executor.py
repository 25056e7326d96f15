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
Policy node inside a custom program, with a custom executor.

``python examples/own_executor.py cube_single ur5e_cube --seconds 10 --ros-args -r __ns:=/left``

The node is an ordinary lifecycle node: other nodes may share its executor, as long as their
callbacks are short, because its ticks run there too.
"""

from __future__ import annotations

import argparse
import sys
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from dfp_ros.node.process.end_requests import Requests
from dfp_ros.node.ros.start import join
from dfp_ros.policy_node import PolicyNode


def main() -> int:
    """Run a policy for some seconds, and stop the robot."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('policy')
    parser.add_argument('robot')
    parser.add_argument('--seconds', type=float, default=10.0)
    asked = parser.parse_args(remove_ros_args(sys.argv)[1:])
    # Signals are handled beside ROS: rclpy's handlers would end it before the robot is stopped.
    requests = Requests()
    requests.tell(lambda: None)
    join(None)
    node = PolicyNode(parameter_overrides=[
        Parameter('policy', value=asked.policy), Parameter('robot', value=asked.robot)])
    executor = SingleThreadedExecutor()
    try:
        # Configures and activates; if that fails, the reason has been logged.
        if not node.autostart():
            return 1
        executor.add_node(node)
        end = time.monotonic() + asked.seconds
        while time.monotonic() < end and not requests.ending.is_set():
            executor.spin_once(timeout_sec=0.1)
            if requests.is_suspending:
                node.suspend()
                requests.suspend()
        return 0
    finally:
        executor.shutdown()
        # Stops the robot in any case, and destroys the node.
        node.close()
        rclpy.try_shutdown()
        requests.close()


if __name__ == '__main__':
    sys.exit(main())
