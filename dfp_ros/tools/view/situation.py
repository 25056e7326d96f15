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
"""Situation of a policy node, from the messages that it publishes: what a terminal shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.view.labelled_row import fields, LabelledRows, number, Row

#: Rows that are kept for curves; there are ten a second.
KEPT = 60
_STATES = tuple(State)
_KNOWN = sum(member.value for member in Reason)
_MOST_RESULTS = 100_000


def read_state(value: float) -> State | None:
    """Read a state from its number in a row; None without one."""
    return _STATES[int(value)] if 0 <= value < len(_STATES) else None


def read_reason(value: float) -> Reason:
    """Read reasons from their sum in a row, without those that this version does not know."""
    return Reason(int(value) & _KNOWN) if 0 <= value < 2.0**53 else Reason.NONE


def read_response(value: float) -> Response:
    """Read a response from its number in a row."""
    return Response(int(value)) if 0 <= value < len(Response) else Response.PASS


def find_commander(state: State | None, reason: Reason) -> Commanding:
    """Find out who commands, from what every row has."""
    if state is not State.RUNNING:
        return Commanding.NOBODY
    return Commanding.PERSON if Reason.PERSON in reason else Commanding.POLICY


@dataclass
class Situation:
    """
    Newest values of a policy node.

    :param node: Full name of the node.
    :param asked: Number of episodes that are to be run; 0 if unknown.
    :param counts_marks: Whether the results of episodes are those of the marks.

    :ivar heard: Time of the newest row in s, on any monotonic clock; None before.
    :ivar text: The node's description of the reasons, with names and values, once a second.
    :ivar told: State and reasons that it describes, in words; empty if unknown.
    :ivar command: Requested command in SI units before any limit, by field.
    :ivar sent: Sent command, likewise.
    :ivar largest: Largest magnitudes of both so far, by field.
    :ivar results: Whether each ended episode was a success.
    :ivar began: Start of the running episode; None between episodes.
    """

    node: str
    asked: int = 0
    counts_marks: bool = True
    policy: str = ''
    robot: str = ''
    tick: float = math.nan
    heard: float | None = None
    state: State | None = None
    reason: Reason = Reason.NONE
    response: Response = Response.PASS
    text: str = ''
    told: tuple[str, str] = ('', '')
    ticks: float = math.nan
    missed: float = math.nan
    value: float = math.nan
    spread: float = math.nan
    periods: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    inferences: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    ages: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    command: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    sent: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    largest: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    results: list[bool] = field(default_factory=list)
    began: float | None = None
    _rows: LabelledRows = field(default_factory=LabelledRows)

    @property
    def commander(self) -> Commanding:
        """Who commands the robot."""
        return find_commander(self.state, self.reason)

    @property
    def explanation(self) -> str:
        """Return the node's description of the reasons; empty if it is of an earlier state."""
        state, reasons = self.told
        is_of_now = self.state is not None and state == self.state.value and not (
            {*reasons.split()}.isdisjoint(self.reason.words.split()))
        return self.text if is_of_now or self.told == ('', '') else ''

    def take_statistics(self, message: Any, now: float) -> None:
        """Take a message of ``~/statistics``."""
        row = self._rows.read(message)
        if row is None or 'ticks' not in row:
            return
        self.heard = now
        self.state = read_state(number(row, 'state'))
        self.reason = read_reason(number(row, 'reason'))
        self.response = read_response(number(row, 'response'))
        self.ticks, self.missed = number(row, 'ticks'), number(row, 'missed_ticks')
        self.value, self.spread = number(row, 'value'), number(row, 'spread')
        self.periods.append(number(row, 'period_ms'))
        self.inferences.append(number(row, 'inference_ms'))
        self.ages.append(number(row, 'observation_age_ms'))
        self._take_commands(row)

    def take_diagnostics(self, message: Any) -> None:
        """Take a message of ``/diagnostics``, which may be of another node."""
        for status in message.status:
            name, _, concern = status.name.partition(': ')
            if name.strip('/') != self.node.strip('/'):
                continue
            values = {pair.key: pair.value for pair in status.values}
            if concern == 'control loop':
                self.text = printable(status.message, 300)
                self.told = values.get('state', ''), values.get('reason', '')
                self.robot = printable(status.hardware_id)
                self.tick = 1e3 / _positive(values.get('rate_hz', ''))
            elif concern == 'policy':
                self.policy = printable(values.get('policy', ''))

    def take_mark(self, mark: str, now: float) -> None:
        """Take an episode mark."""
        if mark == START:
            self.began = now
        elif mark in (SUCCESS, FAILURE) and self.began is not None:
            # A repeated end ends nothing.
            self.began = None
            if self.counts_marks and len(self.results) < _MOST_RESULTS:
                self.results.append(mark == SUCCESS)

    def _take_commands(self, row: Row) -> None:
        self.command, self.sent = fields(row, 'command'), fields(row, 'sent')
        # Anybody may publish other fields with each message.
        self.largest = {
            name: sizes for name, sizes in self.largest.items()
            if name in self.command or name in self.sent}
        for values in (self.command, self.sent):
            for name, vector in values.items():
                sizes = np.abs(np.nan_to_num(vector, posinf=0.0, neginf=0.0))
                before = self.largest.get(name)
                if before is None or before.shape != sizes.shape:
                    self.largest[name] = sizes
                else:
                    np.maximum(before, sizes, out=before)


def _positive(text: str) -> float:
    """Parse a positive number; NaN if it is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if value > 0 else math.nan
