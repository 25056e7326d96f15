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
Fault injection: the node stops in time, gives the reason, and recovers.

What is asserted is counted in the node's own decisions, regardless of other load on the machine;
bench/faults.py prints times.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from testing.faults.groups import GROUPS
from testing.faults.robots import CUBE, FaultRobot, POSITION_ARM, ROBOTS

#: Groups about clocks, transport, inference and files, which meet the same code whatever the
#: robot's commands are, with the robot of the default tests. How each robot is stopped, and goes
#: on, is tested by the other groups.
ONCE = {
    'simulated': POSITION_ARM, 'slow inference': CUBE, 'qos mismatch': POSITION_ARM,
    'unmoved': POSITION_ARM}
CASES = [
    pytest.param(
        robot, name, id=f'{robot.name}-{name}',
        marks=() if ONCE.get(name, robot) is robot else pytest.mark.long)
    for robot in ROBOTS for name in GROUPS]


@pytest.mark.parametrize(('robot', 'name'), CASES)
def test_faults(robot: FaultRobot, name: str, tmp_path: Path) -> None:
    """Each stop is decided two ticks after its limit at the latest; the others do not stop it."""
    for outcome in GROUPS[name](robot, tmp_path):
        if outcome.steps is not None:
            assert 1 <= outcome.steps <= 2, outcome
