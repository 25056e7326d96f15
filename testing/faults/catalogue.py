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
"""Catalogue of the faults that stop a robot; :mod:`testing.faults.groups` has the others."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

from dfp_ros.core.safety.reasons import Reason
from testing.faults.cell import Change, FaultCell
from testing.faults.trial import AGE, ARRIVAL, CLOCK, Fault, INFERENCE

_ARM = "source 'arm' (topic joint_states)"
# More than any transport delay, less than the jump that the sample store takes for a new episode.
_JUMP = 0.5137


def _arm(change: Change) -> Callable[[FaultCell], int]:
    """Modify the messages of the arm's joints."""
    return lambda cell: cell.disturb({'joint_states': change})


def _silent(message: Any) -> None:
    """Drop the message."""


def stamped(seconds: float) -> Change:
    """Shift the stamps of messages by some seconds."""
    def change(message: Any) -> Any:
        stamp = message.header.stamp
        total = stamp.sec * 1_000_000_000 + stamp.nanosec + round(seconds * 1e9)
        stamp.sec, stamp.nanosec = divmod(total, 1_000_000_000)
        return message
    return change


def _since_start(message: Any) -> Any:
    """Stamp with the time since the robot was switched on."""
    message.header.stamp.sec %= 1000
    return message


def _without_stamp(message: Any) -> Any:
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    return message


def _number(value: float) -> Change:
    """Report a joint position that is not finite."""
    def change(message: Any) -> Any:
        message.position[1] = value
        return message
    return change


def _without_joint(message: Any) -> Any:
    """Remove the second joint."""
    for array in (message.name, message.position, message.velocity):
        del array[1:2]
    return message


def _twice(message: Any) -> Any:
    """Name the first joint twice, with two positions."""
    message.name = [message.name[0], *message.name]
    message.position = [message.position[0] + 1.0, *message.position]
    message.velocity = [0.0, *message.velocity] if message.velocity else []
    return message


def reordered(message: Any) -> Any:
    """Reverse the order of the joints."""
    for name in ('name', 'position', 'velocity'):
        setattr(message, name, list(reversed(getattr(message, name))))
    return message


def _clock(cell: FaultCell) -> object:
    """Synchronise all clocks again."""
    return cell.jump_clock(cell.jump, cell.jump)


def _far_outside(cell: FaultCell) -> int:
    """Report a number far outside the training data."""
    def change(message: Any) -> Any:
        cell.robot.slow(message, 50.0)
        return message
    return cell.disturb({cell.robot.slow_topic: change})


STEADY = (
    Fault('dropped source', _arm(_silent), Reason.STALE, _ARM, AGE),
    Fault('delayed source', _arm(stamped(-0.5)), Reason.STALE, 'stamped 0.5', ARRIVAL),
    Fault('stamps of another clock', _arm(_since_start), Reason.STALE, 'do the clocks agree?'),
    Fault('no stamps', _arm(_without_stamp), Reason.STALE, 'header.stamp is empty'),
    Fault('NaN', _arm(_number(math.nan)), Reason.NOT_FINITE_OBSERVATION,
          'joint_positions[1] is nan'),
    Fault('infinity', _arm(_number(math.inf)), Reason.NOT_FINITE_OBSERVATION,
          'joint_positions[1] is inf'),
    Fault('missing joint', _arm(_without_joint), Reason.STALE, 'joint(s) shoulder', AGE),
    Fault('ambiguous joint', _arm(_twice), Reason.UNREADABLE, 'twice'),
    Fault('far outside the training data', _far_outside, Reason.OUTSIDE_ENVELOPE,
          'the training data have'),
    # The node remembers for a while how far stamps were ahead, so this comes last.
    Fault('source clock ahead', _arm(stamped(0.5)), Reason.FUTURE, 'in the future'),
)

SIMULATED = (
    Fault('clock jumps ahead of the robot', lambda cell: cell.jump_clock(
        cell.jump + _JUMP, cell.robot_jump), Reason.STALE, _ARM, AGE, _clock),
    Fault('clock jumps back behind the robot', lambda cell: cell.jump_clock(
        cell.jump - _JUMP, cell.robot_jump), Reason.FUTURE, 'in the future', CLOCK, _clock),
    Fault('clock and robot jump back', lambda cell: cell.jump_clock(
        cell.jump - _JUMP, cell.robot_jump - _JUMP), Reason.CLOCK_RESET,
        'the clock was set back by', CLOCK, None),
)


def slow(number: float) -> Fault:
    """
    Make inference take longer than a tick.

    :param number: Element of the observation that requests it; see
        :mod:`testing.policies.slow_policy`.
    """
    def begin(cell: FaultCell) -> int:
        def change(message: Any) -> Any:
            cell.robot.slow(message, number)
            return message
        return cell.disturb({cell.robot.slow_topic: change})
    return Fault(
        'slow inference', begin, Reason.LATE_INFERENCE, 'inference was given up', INFERENCE)
