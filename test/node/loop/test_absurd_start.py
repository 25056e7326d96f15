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
"""Tests of a position arm whose driver publishes nonsense when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from testing.faults.cell import FaultCell
from testing.faults.robots import POSITION_ARM


def test_nothing_is_sent_to_where_no_robot_can_be(tmp_path: Path) -> None:
    """Neither a command nor a stop, and ``~/stop`` does not say so; then it starts as usual."""
    places = [1e16]

    def lost(message: Any) -> Any:
        message.position[0] = places[-1]
        return message

    policy = write_policy(tmp_path / 'good.onnx', POSITION_ARM.spec, gain=0.7)
    cell = FaultCell(POSITION_ARM, policy)
    cell.disturb({'joint_states': lost})
    with cell:
        for place in 1e16, -65535.0:
            places.append(place)
            before = len(cell.decisions)
            cell.wait_for(
                lambda before=before: len(cell.decisions) > before + 20, 'decisions')
            assert cell.decisions[-1].row.state is State.HOLD
            answer = cell.answer(cell.ask(Trigger, 'stop', Trigger.Request()))
            assert answer.success
            assert 'nothing was commanded yet' in answer.message
            assert not cell.commands
            assert cell.answer(cell.ask(Trigger, 'resume', Trigger.Request())).success
        cell.disturb({})
        cell.wait_for_motion()
        assert POSITION_ARM.measured is not None
        assert abs(cell.commands[0].numbers - POSITION_ARM.measured).max() < 0.05
