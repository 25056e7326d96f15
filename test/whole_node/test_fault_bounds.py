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
"""Checks of the fault tests: they detect abrupt commands, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from testing.faults.bounds import check_steps
from testing.faults.cell import Command
from testing.faults.robots import POSITION_ARM

_TICK = POSITION_ARM.tick
_SPEED, _CHANGE = 0.9 * POSITION_ARM.velocity, POSITION_ARM.acceleration * _TICK


def commands(*speeds: float) -> list[Command]:
    """Make the commands of a robot that moves at these speeds, a tick each."""
    places = np.cumsum([0.0, *speeds]) * _TICK
    return [
        Command(i * _TICK, 'joint_trajectory', round((100 + i) * _TICK * 1e9), np.full(3, place))
        for i, place in enumerate(places)]


def stamps(all_sent: list[Command]) -> set[int]:
    """List the stamps of commands."""
    return {command.stamp for command in all_sent if command.stamp is not None}


def test_abrupt_commands_are_found() -> None:
    good = commands(_SPEED, _SPEED, _SPEED - _CHANGE, _SPEED)
    check_steps(POSITION_ARM, good, stamps(good))
    for bad, says in (
            (commands(_SPEED, _SPEED - 1.1 * _CHANGE), 'exceeds the acceleration'),
            (commands(1.01 * POSITION_ARM.velocity), 'exceeds the velocity')):
        with pytest.raises(AssertionError, match=says):
            check_steps(POSITION_ARM, bad, stamps(bad))


def test_one_that_got_lost_does_not_look_sudden() -> None:
    """The step over it is twice as far, and the next one only looks like braking."""
    sent = commands(_SPEED, _SPEED, _SPEED, _SPEED)
    check_steps(POSITION_ARM, sent[:2] + sent[3:], stamps(sent))


def test_a_tick_that_was_missed_is_no_excuse() -> None:
    """Nothing was sent in between, so that the speed before is known."""
    before, after = commands(_SPEED, 0.0, 0.0)[:2], commands(_SPEED, 0.0, 1.1 * _CHANGE)[2:]
    later = [
        Command(command.arrived, command.topic, (command.stamp or 0) + round(2 * _TICK * 1e9),
                command.numbers) for command in after]
    with pytest.raises(AssertionError, match='exceeds the acceleration'):
        check_steps(POSITION_ARM, before + later, stamps(before + later))
