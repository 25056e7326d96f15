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
"""Trial of one fault on a running node, with its effect, timing and reported reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time

import numpy as np

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.safety.reasons import Reason
from testing.faults.bounds import check_commands, check_stop
from testing.faults.cell import Command, FaultCell, joined, Seen

AGE, ARRIVAL, CLOCK, INFERENCE = 'age', 'arrival', 'clock', 'inference'
# Matches any source, by stamp or arrival: a robot may be killed between two messages.
SILENCE = 'maximum age'


@dataclass(frozen=True)
class Fault:
    """
    Fault that stops the robot.

    :param name: Display name.
    :param begin: Injects it; returns the time by the node's clock, in ns.
    :param reason: Expected reason.
    :param says: Expected text in log and diagnostics.
    :param limit: When the node must detect it: once a source's :data:`AGE` exceeds its maximum, at
        the :data:`ARRIVAL` of a faulty message, when the :data:`CLOCK` is set back, or when
        :data:`INFERENCE` takes longer than a tick.
    :param end: Removes it; None for a fault that ends by itself.
    """

    name: str
    begin: Callable[[FaultCell], int]
    reason: Reason
    says: str
    limit: str = ARRIVAL
    end: Callable[[FaultCell], object] | None = lambda cell: cell.disturb({})


@dataclass(frozen=True)
class Outcome:
    """
    Outcome of a trial; times are in ms after the injection, None if not applicable.

    :param fault: Its name.
    :param robot: The robot's name.
    :param stops: Whether the robot was stopped.
    :param reason: Reason in ~/decision, or another message.
    :param said: Text in log and diagnostics.
    :param limit: When its limit was passed.
    :param detected: Arrival of the first decision or answer that reflects it.
    :param stopped: When the robot had received a stop on every topic.
    :param steps: Number of decisions from the limit to the stop, inclusive.
    :param longest_gap: Longest time between two decisions, in ticks.
    """

    fault: str
    robot: str
    stops: bool
    reason: str
    said: str
    limit: float | None = None
    detected: float | None = None
    stopped: float | None = None
    steps: int | None = None
    longest_gap: float | None = None


def try_fault(cell: FaultCell, fault: Fault) -> Outcome:
    """
    Inject a fault into a running robot, and check that it stops, gives the reason and recovers.

    :param cell: The running cell.
    :param fault: The fault.
    :raises AssertionError: If the node does something that it must not.
    :raises TimeoutError: If it does not do what it must.
    """
    cell.wait_for_motion()
    first, first_command = len(cell.decisions), len(cell.commands)
    said_before = len(cell.process.output)
    begun, begun_stamp = time.monotonic(), fault.begin(cell)

    def found() -> int | None:
        return next((i for i in range(first, len(cell.decisions)) if (
            fault.reason in cell.decisions[i].row.reason
            and cell.decisions[i].row.state is State.HOLD)), None)

    detected = cell.wait_for(lambda: found() is not None, fault.reason.words) and found()
    assert detected is not None
    # Long enough for a braking robot to come to rest.
    cell.wait_for(lambda: len(cell.decisions) > detected + 12, 'more decisions')
    if fault.end is not None:
        # Not the first report with that reason: a stalling machine makes sources late as well.
        cell.wait_for(lambda: any(
            report.arrived > begun and fault.reason.words in report.values['reason']
            and fault.says in report.message for report in cell.reports),
            f'diagnostics that say {fault.says!r}')
    cell.wait_for(lambda: fault.says in cell.process.output[said_before:], fault.says)
    last = len(cell.decisions)
    if fault.end is not None:
        fault.end(cell)
    cell.wait_for_motion()
    seen, commands = cell.decisions[first - 1:], cell.commands[first_command:]
    check_commands(cell, commands, seen)

    after = _after_the_last_fresh(cell, first, last) if fault.limit == AGE else first
    wrong = _first_wrong(fault, cell, after)
    stop = next(i for i in range(after, last) if cell.decisions[i].row.state is State.HOLD)
    held = cell.decisions[stop:last]
    if fault.end is None:
        held = [each for each in held if each.row.state is State.HOLD]
    assert all(each.row.state is State.HOLD for each in held), 'it did not stay stopped'
    check_stop(cell.robot, cell.decisions[stop - 1], held)
    reasons = dict.fromkeys(cell.decisions[i].row.reason.words for i in (stop, detected))
    limit = _limit(fault, cell, cell.decisions[detected].row, begun_stamp)
    return Outcome(
        fault.name, cell.robot.name, True, ', then '.join(reasons),
        _holding(cell.process.output[said_before:]),
        limit=(limit - begun_stamp) * 1e-6,
        detected=(cell.decisions[detected].arrived - begun) * 1e3,
        stopped=(_stop_arrived(cell, commands, cell.decisions[stop], begun) - begun) * 1e3,
        steps=stop - wrong + 1, longest_gap=longest_gap(seen, cell.robot.tick))


def longest_gap(seen: list[Seen], tick: float) -> float:
    """Return the longest time between two decisions, in ticks, by their stamps."""
    stamps = np.array([each.row.stamp for each in seen])
    return float(np.diff(stamps).max() * 1e-9 / tick)


def explained(row: RecordedDecision, max_age: float) -> bool:
    """Tell whether the stop's reason is a source that really was late."""
    return any(row.stamp - stamp > max_age * 1e9 for stamp in row.samples.values())


def _after_the_last_fresh(cell: FaultCell, first: int, last: int) -> int:
    """Skip decisions before the fault, in which a stalling machine may have stopped the robot."""
    rows = [cell.decisions[i].row for i in range(first, last)]
    fresh = [i for i, row in enumerate(rows) if row.state is not State.HOLD
             and not explained(row, cell.robot.max_age)]
    return first + fresh[-1] + 1 if fresh else first


def _first_wrong(fault: Fault, cell: FaultCell, first: int) -> int:
    """Find the first decision that could reflect a fault."""
    for i in range(first, len(cell.decisions)):
        row, before = cell.decisions[i].row, cell.decisions[i - 1].row
        if {AGE: explained(row, cell.robot.max_age),
                CLOCK: row.stamp < before.stamp,
                ARRIVAL: bool(cell.faulty & set(row.samples.values())),
                INFERENCE: fault.reason in row.reason}[fault.limit]:
            return i
    raise AssertionError('no decision could reflect the fault')


def _limit(fault: Fault, cell: FaultCell, row: RecordedDecision, begun: int) -> int:
    """Return when the limit was passed, by the node's clock in ns."""
    if fault.limit == AGE:
        return max(begun, min(row.samples.values()) + round(cell.robot.max_age * 1e9))
    if fault.limit == INFERENCE:
        return row.stamp + round(cell.robot.tick * 1e9)
    return begun if fault.limit == CLOCK else cell.first_faulty or begun


def _stop_arrived(cell: FaultCell, commands: list[Command], stop: Seen, begun: float) -> float:
    """Return when the robot had received a stop on every topic."""
    arrived = []
    for topic in cell.robot.commands:
        here = [command for command in commands
                if command.topic == topic and command.arrived >= begun]
        stamped = [command for command in here if command.stamp == stop.row.stamp]
        # Without a stamp, a stop is recognised by its zeros.
        stops = stamped or [command for command in here if not command.numbers.any()]
        assert stops, f'no stop on {topic}'
        arrived.append(stops[0].arrived)
    return max(arrived)


def _holding(output: str) -> str:
    """Find the log line about the stop."""
    for line in output.splitlines():
        if 'holding: ' in line:
            return line.split('holding: ', 1)[1]
    return ''


def same_commands(before: list[Seen], after: list[Seen]) -> bool:
    """Tell whether the requested commands are the same in any order."""
    asked = [
        {tuple(joined(each.row.command)) for each in seen if each.row.command is not None}
        for seen in (before, after)]
    return bool(asked[1]) and asked[1] <= asked[0]
