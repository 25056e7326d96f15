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
"""A policy that makes the processor fault: the robot is stopped before the process ends."""

from __future__ import annotations

from pathlib import Path
import platform
import signal
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from testing.faults.bounds import check_bounds
from testing.faults.cell import FaultCell
from testing.faults.robots import CUBE, FaultRobot, POSITION_ARM, ROBOTS
from testing.policies.faulting_policy import write_faulting_policy

_IS_TRAPPED = platform.machine() in ('x86_64', 'AMD64')


@pytest.mark.parametrize('robot', ROBOTS, ids=lambda robot: robot.name)
@pytest.mark.parametrize('response', ['warn', 'hold'])
@pytest.mark.skipif(not _IS_TRAPPED, reason='only x86 traps the division')
def test_the_robot_is_stopped_first(tmp_path: Path, robot: FaultRobot, response: str) -> None:
    """The last command is a stop, and the status is that of the fault."""
    policy = write_faulting_policy(tmp_path / 'faulting.onnx', robot.spec, robot.place)

    def fault(message: Any) -> Any:
        robot.slow(message, 0.9)
        return message
    with FaultCell(robot, policy, safety__late_inference=response,
                   safety__inference_deadline=1.0) as cell:
        cell.wait_for_motion()
        cell.disturb({robot.slow_topic: fault})
        _expect_stop(cell)


@pytest.mark.parametrize('robot', [CUBE, POSITION_ARM], ids=lambda robot: robot.name)
def test_the_signal_by_itself(tmp_path: Path, robot: FaultRobot) -> None:
    """Whoever sends it."""
    policy = write_faulting_policy(tmp_path / 'faulting.onnx', robot.spec, robot.place)
    with FaultCell(robot, policy) as cell:
        cell.wait_for_motion()
        cell.process.process.send_signal(signal.SIGFPE)
        _expect_stop(cell)


def _expect_stop(cell: FaultCell) -> None:
    """Wait for the end of the node, which stops the robot first."""
    assert cell.process.wait() == -signal.SIGFPE, cell.process.output
    assert 'do not use this policy file again' in cell.process.output
    check_bounds(cell.robot, list(cell.commands))
    for topic in cell.robot.commands:
        sent = [command.numbers for command in cell.commands if command.topic == topic]
        if cell.robot.measured is None:
            cell.wait_for(lambda topic=topic: not np.any([
                command.numbers for command in cell.commands if command.topic == topic][-1]),
                'a stop')
        else:
            step = np.abs(sent[-1] - sent[-2]).max()
            assert step <= cell.robot.velocity * cell.robot.tick + 1e-9
