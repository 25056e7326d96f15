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
"""Summary of the runs of slow policies."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from bench.slow import Condition, line, summarise
from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.safety.reasons import Reason
from testing.faults.robots import CUBE


def row(
        number: int, command: float | None, inference: float | None = None,
        reason: Reason = Reason.NONE) -> RecordedDecision:
    """Make a decision; without a command the robot was held."""
    numbers = None if command is None else {'all': command * CUBE.high}
    return RecordedDecision(
        number, number * 20_000_000, False, State.HOLD if command is None else State.RUNNING,
        reason, {}, None, None, numbers, numbers, inference=inference)


def test_a_run_is_summarised() -> None:
    """Joins apart from other steps, ticks without a command, missed ticks, long answers."""
    rows = [
        row(1, 0.0, 0.1), row(2, 0.1), row(3, 0.15, 0.31),
        row(4, None, reason=Reason.LATE_INFERENCE), row(5, 0.9, 0.1), row(8, 0.92),
        row(9, None, reason=Reason.STALE)]
    found = summarise(
        rows, np.array([0.0, 0.02, 0.04, 0.07]), Condition(50.0, 0.1, has_tail=True))
    assert found['ticks'] == 7
    assert found['answers'] == 3
    assert found['long'] == 1
    assert (found['holds'], found['other_holds']) == (1, 1)
    assert found['missed'] == 2
    # The one after a hold joins nothing.
    assert found['join'] == pytest.approx(0.05)
    assert found['step'] == pytest.approx(0.1)
    assert found['spacing_max_ms'] == pytest.approx(30.0)
    assert '0.050, 0.100' in line({'policy': 'x', 'rate': 50.0, **found})
