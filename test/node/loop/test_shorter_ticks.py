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
"""Ticks that get shorter or longer while the robot moves: a command has the time it was for."""

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

_SLOWEST, _SLOW, _FAST = 1.0, 0.5, 0.02  # s


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


@pytest.mark.parametrize('how', ['policy', 'rate'])
def test_the_last_command_is_kept_no_longer(tmp_path: Path, how: str) -> None:
    """A velocity for 20 ms went on for a second, also past the position at which it has to end."""
    fast = write_policy(tmp_path / 'fast.onnx', POSITION_ARM.spec)
    slow = write_policy(
        tmp_path / 'slow.onnx', replace(POSITION_ARM.spec, period=_SLOWEST), seed=1)
    with FaultCell(POSITION_ARM, fast, simulated=True) as cell:
        cell.wait_for_motion(2)
        change: dict[str, Any] = {'policy': str(slow)} if how == 'policy' else {
            'rate': 1 / _SLOWEST}
        assert cell.set(**change).successful
        rows = [seen.row for seen in cell.wait_for(
            lambda: len({seen.row.entry.loop for seen in cell.decisions}) > 1 and [
                *cell.decisions], 'the other rate')]
        first = next(i for i, row in enumerate(rows) if row.entry.loop != rows[0].entry.loop)
        assert rows[first].stamp - rows[first - 1].stamp < _SLOWEST / 2 * 1e9
        second = cell.wait_for(
            lambda: len(cell.decisions) > first + 1 and cell.decisions[first + 1],
            'the tick after it').row
        assert second.stamp - rows[first].stamp > _SLOWEST / 2 * 1e9


def _gaps(commands: list[Command]) -> Any:
    """Return the times between the commands, by their stamps, in s."""
    return np.diff([command.stamp or 0 for command in list(commands)]) * 1e-9
