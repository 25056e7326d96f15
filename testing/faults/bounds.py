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
"""That whatever a robot was sent is finite, within its bounds, and not too sudden."""

from __future__ import annotations

import numpy as np

from testing.faults.cell import Command, FaultCell, joined, Seen
from testing.faults.robots import FaultRobot, Vector

# Rounding of a difference of positions.
_ROUNDING = 1e-9


def check_commands(cell: FaultCell, commands: list[Command], seen: list[Seen]) -> None:
    """
    Check commands.

    :param cell: Where they were heard.
    :param commands: All that the robot got, in order.
    :param seen: The decisions of the same time, in order.
    :raises AssertionError: At the first that should not have been sent; it names it.
    """
    robot = cell.robot
    check_bounds(robot, commands)
    # Simulated time may stand still between two ticks.
    decided: dict[int, list[Vector]] = {}
    for each in seen:
        sent = decided.setdefault(each.row.stamp, [])
        if each.row.sent is not None:
            sent.append(joined(each.row.sent))
    for command in commands:
        if command.stamp in decided:
            place = robot.commands[command.topic].place
            assert any(
                np.array_equal(command.numbers, sent[place]) for sent in decided[command.stamp]
            ), f'nobody decided to send {command}'
    if robot.measured is not None:
        check_steps(robot, commands, {stamp for stamp, sent in decided.items() if sent})


def check_bounds(robot: FaultRobot, commands: list[Command]) -> None:
    """
    See that each command has the right size, is finite, and is within the robot's bounds.

    :raises AssertionError: At the first that is not.
    """
    for command in commands:
        place = robot.commands[command.topic].place
        low, high = robot.low[place], robot.high[place]
        assert command.numbers.shape == low.shape, f'another size: {command}'
        assert np.isfinite(command.numbers).all(), f'not finite: {command}'
        assert (command.numbers >= low - _ROUNDING).all(), f'below {low}: {command}'
        assert (command.numbers <= high + _ROUNDING).all(), f'above {high}: {command}'
        if robot.measured is not None:
            assert command.numbers.any(), f'zeros for positions: {command}'


def check_steps(robot: FaultRobot, commands: list[Command], sent: set[int]) -> None:
    """
    See that positions go in steps that velocity and acceleration allow.

    A command that got lost on its way would make its neighbours look far apart; the node does not
    send more than one a tick, so the time between two says how many may be missing.

    :param robot: The robot.
    :param commands: All that it got, in order.
    :param sent: Stamps of all that it was sent.
    :raises AssertionError: At the first that goes too far, or changes its velocity too much.
    """
    speed: Vector | None = None
    for before, after in zip(commands, commands[1:], strict=False):
        begin, end = before.stamp or 0, after.stamp or 0
        step = after.numbers - before.numbers
        ticks = max(1, round((end - begin) * 1e-9 / robot.tick)) if end > begin else 1
        assert (np.abs(step) <= ticks * robot.velocity * robot.tick + _ROUNDING).all(), (
            f'faster than {robot.velocity}: {before}, then {after}')
        is_lost = any(begin < stamp < end for stamp in sent)
        last, speed = speed, None if is_lost else step / robot.tick
        if last is not None and speed is not None and ticks == 1:
            change = np.abs(speed - last)
            assert (change <= robot.acceleration * robot.tick + _ROUNDING / robot.tick).all(), (
                f'harder than {robot.acceleration}: {before}, then {after}')


def check_stop(robot: FaultRobot, before: Seen | None, held: list[Seen]) -> None:
    """
    Check what was sent while the robot was to stand still.

    :param robot: The robot.
    :param before: The last decision before, None where there was none.
    :param held: The decisions, in order.
    :raises AssertionError: Where it is no stop.
    """
    sent = [joined(each.row.sent) for each in held if each.row.sent is not None]
    assert len(sent) == len(held), 'nothing was sent in a hold'
    if robot.measured is None:
        assert not np.any(sent), f'not zero in a hold: {sent}'
        return
    assert before is not None, 'positions are held from where they were'
    assert before.row.sent is not None, 'positions are held from where they were'
    path = np.array([joined(before.row.sent), *sent])
    speeds = np.abs(np.diff(path, axis=0))
    slower = np.diff(speeds, axis=0)
    assert (slower <= _ROUNDING).all(), f'not slower and slower: {path}'
    limit = robot.velocity**2 / (2 * robot.acceleration) + robot.velocity * robot.tick
    assert (np.abs(path[-1] - path[0]) <= limit).all(), f'too far to be a stop: {path}'
