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
"""The node's log names settings that were set and have no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.policies.small_policy import cube_spec, write_policy

pytest.importorskip('rclpy')

from testing.processes.policy_cell import Cell


def test_settings_without_effect_are_in_the_log(tmp_path: Path) -> None:
    """Those from the start, and those that are set later, once each."""
    late = 'parameter safety.late_inference: hold has no effect without a deadline'
    replan = 'parameter planning.replan_every: 3 has no effect while planning.mode is open_loop'
    policy = write_policy(tmp_path / 'policy.onnx', cube_spec(name='first'))
    with Cell(policy, **{'safety.late_inference': 'hold'}) as cell:
        cell.peer.wait_for(lambda: cell.twists)
        assert cell.process.output.count(late) == 1
        assert cell.set('planning.replan_every', 3)[0]
        cell.peer.wait_for(lambda: replan in cell.process.output)
        assert cell.set('safety.slow_speed', 0.5)[0]
        assert cell.set('planning.mode', 'receding')[0]
        assert cell.process.stop() == 0
        assert cell.process.output.count('has no effect') == 2
