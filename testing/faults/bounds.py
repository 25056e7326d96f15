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
"""Checks that all commands are finite, within the robot's bounds, and smooth enough."""

from __future__ import annotations

import numpy as np

from testing.faults.cell import Command, FaultCell, joined, Seen
from testing.faults.robots import FaultRobot, Vector

# Tolerance for rounding of a difference of positions.
_ROUNDING = 1e-9


def check_commands(cell: FaultCell, commands: list[Command], seen: list[Seen]) -> None:
    """
    Check all commands.

    :param cell: Cell that received them.
    :param commands: All commands that the robot received, in order.
    :param seen: Decisions of the same time, in order.
    :raises AssertionError: At the first invalid command; it names it.
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
            ), f'no decision sent {command}'
    if robot.measured is not None:
        check_steps(robot, commands, {stamp for stamp, sent in decided.items() if sent})


def check_bounds(robot: FaultRobot, commands: list[Command]) -> None:
    """
    Check that each command has the right size, is finite, and is within the robot's bounds.

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
    Check that positions change within the limits of velocity and acceleration.

    A command that was lost in transit would make its neighbours look far apart; the node sends at
    most one per tick, so the time between two commands limits the number of missing ones.

    :param robot: The robot.
    :param commands: All commands that it received, in order.
    :param sent: Stamps of all commands that were sent to it.
    :raises AssertionError: At the first that moves too far, or changes its velocity too much.
    """
    speed: Vector | None = None
    for before, after in zip(commands, commands[1:], strict=False):
        begin, end = before.stamp or 0, after.stamp or 0
        step = after.numbers - before.numbers
        ticks = max(1, round((end - begin) * 1e-9 / robot.tick)) if end > begin else 1
        assert (np.abs(step) <= ticks * robot.velocity * robot.tick + _ROUNDING).all(), (
            f'exceeds the velocity {robot.velocity}: {before}, then {after}')
        is_lost = any(begin < stamp < end for stamp in sent)
        last, speed = speed, None if is_lost else step / robot.tick
        if last is not None and speed is not None and ticks == 1:
            change = np.abs(speed - last)
            assert (change <= robot.acceleration * robot.tick + _ROUNDING / robot.tick).all(), (
                f'exceeds the acceleration {robot.acceleration}: {before}, then {after}')


def check_stop(robot: FaultRobot, before: Seen | None, held: list[Seen]) -> None:
    """
    Check the commands during a hold.

    :param robot: The robot.
    :param before: Last decision before it; None if there was none.
    :param held: The decisions, in order.
    :raises AssertionError: If it is not a stop.
    """
    sent = [joined(each.row.sent) for each in held if each.row.sent is not None]
    assert len(sent) == len(held), 'no command was sent in a hold'
    if robot.measured is None:
        assert not np.any(sent), f'not zero in a hold: {sent}'
        return
    assert before is not None, 'no position to hold'
    assert before.row.sent is not None, 'no position to hold'
    path = np.array([joined(before.row.sent), *sent])
    speeds = np.abs(np.diff(path, axis=0))
    slower = np.diff(speeds, axis=0)
    assert (slower <= _ROUNDING).all(), f'does not decelerate: {path}'
    limit = robot.velocity**2 / (2 * robot.acceleration) + robot.velocity * robot.tick
    assert (np.abs(path[-1] - path[0]) <= limit).all(), f'moves too far for a stop: {path}'
