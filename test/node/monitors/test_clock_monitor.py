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
"""Clock monitor of a node: simulated time in long steps."""

from pathlib import Path

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from testing.processes.policy_cell import Cell


def test_a_node_says_that_its_clock_is_slow(tmp_path: Path) -> None:
    """The warning is in log and diagnostics; steps before the clock started do not count."""
    # The cell's clock comes every 10 ms, ten simulated times as long.
    with Cell(write_policy(tmp_path / 'policy.onnx'), pace=10) as cell:
        clock, cell._clock = cell._clock, None
        cell.report()
        subscribed = cell.peer.node.count_subscribers
        cell.peer.wait_for(lambda: subscribed('joint_states') and subscribed('/clock'))
        begun = cell.time
        cell.peer.wait_for(lambda: cell.time > begun + 5)
        cell._clock = clock
        cell.wait_for_motion()
        status, _ = cell.report(clock_step_ms='100')
        assert '/clock moves in steps of 100 ms' in status.message
        assert 'have the simulator publish /clock at 20 Hz or more' in cell.process.output
        assert 'clock_skew' not in cell.process.output
        assert 'holding' not in cell.process.output
