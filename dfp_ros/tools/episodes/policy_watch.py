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
Watch over a policy node, from the rows of its ``~/statistics``.

Each row has the number of calls of ``~/stop`` so far. With the number of its own calls, a program
that stops and releases the robot knows whether another has stopped it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from dfp_ros.core.control.decision import State
from dfp_ros.tools.episodes.machine import Event

#: Silence in s after which a policy node is gone.
GONE = 3.0
# Time in s without a decision after which it is not active.
_INACTIVE = 3.0
# Rows that arrive within this time in s after an answer may have been sent before it.
_IN_FLIGHT = 0.5
_STATES = tuple(State)
# Bound of counts, up to which a float has every whole number.
_MOST = 2.0 ** 53
_NEEDED = ('ticks', 'state', 'operator_stops')


@dataclass(frozen=True)
class Row:
    """
    What is needed of a row.

    :param ticks: Number of control steps.
    :param state: State of the last decision; None without one.
    :param stops: Number of calls of ``~/stop``.
    """

    ticks: int
    state: State | None
    stops: int


class RowReader:
    """Reader of messages of ``~/statistics``, whose layout names the parts of a row."""

    def __init__(self) -> None:
        """Start without a layout."""
        self._indices: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}

    def read(self, message: Any) -> Row | None:
        """Read a std_msgs/Float64MultiArray; None if it is not such a row."""
        dimensions = message.layout.dim
        if not dimensions or len(dimensions) > 1000:
            return None
        layout = tuple((part.label, part.size) for part in dimensions)
        if layout not in self._indices:
            self._indices = {layout: _find(layout)}
        return _read(self._indices[layout], message.data)


def _find(layout: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Find the indices of the parts."""
    found, index = {}, 0
    for label, size in layout:
        found[label] = index
        index += size
    return found


def _read(indices: dict[str, int], data: Sequence[float]) -> Row | None:
    """Read the parts."""
    if any(indices.get(name, len(data)) >= len(data) for name in _NEEDED):
        return None
    ticks, state, stops = (float(data[indices[name]]) for name in _NEEDED)
    if not (0 <= ticks < _MOST and 0 <= stops < _MOST):
        return None
    if math.isnan(state):
        return Row(int(ticks), None, int(stops))
    if not 0 <= state < len(_STATES):
        return None
    return Row(int(ticks), _STATES[int(state)], int(stops))


class PolicyWatch:
    """
    Tells events from the rows of a policy node.

    :param name: The node's name, for messages.

    :ivar rows: Number of rows so far.
    :ivar ticks: Control steps of the node according to the newest row; NaN without one.
    :ivar held_rows: Number of rows, of which there are ten a second, with a held robot.
    :ivar is_present: Whether the node is there, and active.
    :ivar is_released: Whether this program has deactivated the node for a while.
    :ivar is_held: Whether this program has stopped the robot and not released it since.
    """

    def __init__(self, name: str) -> None:
        """Start without a row."""
        self._name = name
        self.ticks = math.nan
        self.rows = self.held_rows = 0
        self.is_held = self.is_released = False
        self.is_present = False
        self._is_readable = True
        self._heard = -math.inf
        # When the first of the last rows without a decision came.
        self._undecided: float | None = None
        self._row: Row | None = None
        self._events: list[tuple[Event, str]] = []
        # Why it was lost, and when it was last heard before.
        self._lost, self._last_heard = '', -math.inf
        # Whether the number of stops is known, from the first row of the node's process on.
        self._is_counting = False
        self._expected = 0
        self._pending = 0
        self._unanswered = 0
        self._answered = -math.inf
        # Own stops since the last row of a node that was there, which a new one may have executed.
        self._recent = 0
        # Steps at the first row since the robot was stopped in which it is not.
        self._loose: int | None = None

    def note_stop(self) -> None:
        """Note that this program calls ``~/stop``."""
        self._pending += 1
        self._recent += 1

    def note_answer(self, now: float, has_answered: bool) -> None:
        """Note the answer of a call of ``~/stop``, or that there is none."""
        if not self._pending:
            return
        self._pending -= 1
        self._answered = now
        if has_answered:
            self._expected += 1
        else:
            self._unanswered += 1
            self._recent -= 1

    def set_held(self, is_held: bool) -> None:
        """Note that the robot is stopped, or about to be released."""
        self.is_held, self._loose = is_held, None

    def set_released(self, is_released: bool) -> None:
        """Note that the node is deactivated for a while, or active again."""
        self.is_released, self._undecided = is_released, None

    def hear(self, row: Row | None, now: float) -> None:
        """
        Hear a row.

        :param row: The row; None for a message without what is needed.
        :param now: The time in s, on any monotonic clock.
        """
        self._heard = now
        self._is_readable = row is not None
        if row is None:
            return
        self.rows += 1
        last, self._row = self._row, row
        self.ticks = row.ticks
        if row.state is not None:
            self._undecided = None
        elif self._undecided is None:
            self._undecided = now
        self.held_rows += row.state is State.HOLD
        if last is not None and row.stops < last.stops:
            self._lose('the policy node was restarted')
            self._is_counting = False
        if not self.is_present:
            if row.state is not None:
                self._find(row, now)
            return
        self._recent = self._pending
        self._count(row, now)
        self._look_for_release(row)

    def beat(self, now: float) -> None:
        """Hear another sign of life, such as diagnostics."""
        self._heard = now

    def poll(self, now: float, is_offered: bool) -> list[tuple[Event, str]]:
        """
        Return events since the last call, with their reasons.

        :param now: The time in s.
        :param is_offered: Whether the node's services are known.
        """
        if self.is_present:
            recent = self._pending
            if not is_offered:
                self._lose(f'the policy node {self._name!r} has ended')
            elif now - self._heard > GONE:
                self._lose(
                    f'the policy node {self._name!r} has been silent for {GONE:g} s; it was '
                    'killed, or hangs')
            elif self._undecided is not None and not self.is_released and (
                    now - self._undecided > _INACTIVE):
                self._lose(f'the policy node {self._name!r} is not active')
            if not self.is_present:
                # Those that were answered were not executed by a node that comes now.
                self._recent = recent
        events, self._events = self._events, []
        return events

    def explain(self, now: float) -> str:
        """Explain why the policy node is not found; empty if it is."""
        if self.is_present:
            return ''
        if self._lost and self._heard <= self._last_heard:
            return self._lost
        if now - self._heard > GONE:
            return f'no policy node {self._name!r}; start it, or set policy_node'
        if not self._is_readable:
            return (
                f'the statistics of {self._name!r} lack one of {", ".join(_NEEDED)}; run the '
                'policy node of the same version')
        return f'the policy node {self._name!r} is not active; activate it'

    def _find(self, row: Row, now: float) -> None:
        self.is_present, self.is_released = True, False
        self.set_held(False)
        self._events.append((Event.FOUND, ''))
        if self._is_counting:
            self._count(row, now)
            return
        self._is_counting = True
        self._expected, self._pending, self._unanswered = row.stops, 0, 0
        recent, self._recent = self._recent, 0
        if row.state is State.STOPPED and not 0 < row.stops <= recent:
            self._events.append((
                Event.OTHER_STOP, 'the robot was stopped before this node came'))

    def _lose(self, why: str) -> None:
        if self.is_present:
            self.is_present = False
            self._lost, self._last_heard = why, self._heard
            # What was called may have been executed.
            self._unanswered, self._pending = self._unanswered + self._pending, 0
            self.set_held(False)
            self._events.append((Event.LOST, why))

    def _count(self, row: Row, now: float) -> None:
        """Compare the number of stops with that of this program's."""
        is_settled = not self._pending and now - self._answered > _IN_FLIGHT
        if row.stops > self._expected + self._pending + self._unanswered:
            self._expected, self._unanswered = row.stops, 0
            self._events.append((
                Event.OTHER_STOP, 'another than this node called ~/stop of the policy node'))
        elif is_settled and row.stops != self._expected:
            self._unanswered = max(0, self._unanswered - max(0, row.stops - self._expected))
            self._expected = row.stops

    def _look_for_release(self, row: Row) -> None:
        """Find out whether another has released the robot."""
        if not self.is_held or self._pending or row.stops < self._expected or (
                row.state in (None, State.STOPPED)):
            self._loose = None
        elif self._loose is None:
            self._loose = row.ticks
        elif row.ticks >= self._loose + 2:
            # A first decision may be from before the stop, and a second one was under way.
            self.set_held(False)
            self._events.append((Event.OTHER_RELEASE, ''))
