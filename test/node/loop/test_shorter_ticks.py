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
"""Ticks that get shorter while the robot moves: it is never asked for more than its speed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from testing.faults.cell import Command, FaultCell
from testing.faults.robots import POSITION_ARM
from testing.policies.small_policy import write_policy

_SLOW, _FAST = 0.5, 0.02  # s


@pytest.mark.parametrize('how', ['policy', 'rate'])
@pytest.mark.parametrize('simulated', [False, True])
def test_the_last_command_keeps_its_time(tmp_path: Path, how: str, simulated: bool) -> None:
    """A command that may move the robot for half a second is not followed before that is over."""
    fast = write_policy(tmp_path / 'fast.onnx', POSITION_ARM.spec, gain=30.0)
    slow = write_policy(
        tmp_path / 'slow.onnx', replace(POSITION_ARM.spec, period=_SLOW), seed=1, gain=30.0)
    parameters: dict[str, Any] = {} if how == 'policy' else {'rate': 1 / _SLOW}
    with FaultCell(
            POSITION_ARM, slow if how == 'policy' else fast, simulated, **parameters) as cell:
        cell.wait_for(lambda: len(cell.commands) > 1, 'commands')
        change: dict[str, Any] = {'policy': str(fast)} if how == 'policy' else {'rate': 1 / _FAST}
        assert cell.set(**change).successful
        cell.wait_for(
            lambda: len(cell.commands) > 11 and _gaps(cell.commands)[-10:].mean() < 2 * _FAST,
            'short ticks')
        gaps = _gaps(cell.commands)
        steps = np.abs(np.diff(
            [command.numbers for command in cell.commands[:len(gaps) + 1]], axis=0)).max(axis=1)
        # What a command asks for is over before the next one comes; ticks have some jitter.
        needed = steps[:-1] / POSITION_ARM.velocity
        assert needed.max() > _SLOW / 2
        assert (gaps[1:] > needed - _FAST).all(), np.column_stack([needed, gaps[1:]])
        assert 'overdue' not in cell.process.output


def _gaps(commands: list[Command]) -> Any:
    """Return the times between the commands, by their stamps, in s."""
    return np.diff([command.stamp or 0 for command in list(commands)]) * 1e-9
