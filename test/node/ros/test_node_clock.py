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
"""Clock of a node, simulated or not."""

import time
from typing import Any

import pytest

pytest.importorskip('rclpy')

from rclpy.parameter import Parameter

from dfp_ros.node.ros.node_clock import NodeClock


def test_time_follows_the_node(node: Any) -> None:
    """It is the system's, and from the parameter on simulated, which begins at 0; and back."""
    mine = NodeClock(node)
    for is_simulated in (False, True, False):
        node.set_parameters([Parameter('use_sim_time', value=is_simulated)])
        before, found, after = time.time_ns(), mine.now(), time.time_ns()
        assert found == 0 if is_simulated else before <= found <= after
