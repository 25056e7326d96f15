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
"""Schema of ``~/statistics``: the newest decision and the peaks since the last row, for plots."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
import math

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.observation.sample import Sample

_STATES = tuple(State)
#: Label and meaning of the parts at the start of every row; each is one number.
HEAD = (
    ('ticks', 'ticks since the timer was started'),
    ('missed_ticks', 'missed ticks since then'),
    ('period_ms', 'longest period since the last row'),
    ('inference_ms', 'longest inference since the last row'),
    ('observation_age_ms', 'age of the oldest observation since the last row'),
    ('state', ', '.join(f'{i} {state.value}' for i, state in enumerate(State))),
    ('reason', 'sum of the reasons (`dfp_ros.core.safety.reasons.Reason`)'),
    ('response', 'response to these reasons (`dfp_ros.core.safety.reasons.Response`)'),
    ('chunk_index', 'index of the action in its chunk'),
    ('value', "value of the chunk by the policy's critics"),
    ('spread', 'disagreement of the candidates, in action units'),
)
#: The parts after these, which depend on robot and policy.
REST = (
    ('age_ms/SOURCE', 'age of the newest sample'),
    ('command/FIELD', 'requested command in SI units, before any limit'),
    ('sent/FIELD', 'command sent, in SI units'),
    ('operator_stops', 'calls of `~/stop` since the configuration'),
)


class StatisticsRow:
    """
    Writer of the rows of one robot and one policy.

    :param sources: Names of the robot's sources.
    :param action: Name and size of each field of the action, in the policy's order.

    :ivar parts: Label and size of each part of a row.
    """

    def __init__(self, sources: Iterable[str], action: Sequence[tuple[str, int]]) -> None:
        """Create the layout of the row."""
        self._sources = tuple(sources)
        self._size = sum(size for _, size in action)
        self.parts: tuple[tuple[str, int], ...] = (
            *((label, 1) for label, _ in HEAD),
            *((f'age_ms/{name}', 1) for name in self._sources),
            *((f'{kind}/{name}', size) for kind in ('command', 'sent') for name, size in action),
            ('operator_stops', 1))

    def write(
            self, ticks: int, missed: int, peaks: Mapping[str, float],
            decision: Decision | None, samples: Mapping[str, Sample], now: int,
            operator_stops: int = 0) -> array[float]:
        """
        Write a row; missing values are NaN.

        :param ticks: Ticks so far.
        :param missed: Deadlines so far without a tick.
        :param peaks: Largest value of each quantity since the last row, in ms.
        :param decision: The newest decision, None while the node is not active.
        :param samples: Newest samples by source.
        :param now: The time in ns.
        :param operator_stops: Calls of ``~/stop``.
        """
        row = array('d', (
            ticks, missed, *(peaks.get(name, math.nan) for name in (
                'period', 'inference', 'observation_age'))))
        row.extend((math.nan,) * 3 if decision is None else (
            _STATES.index(decision.state), decision.reason.value, decision.response))
        for name in ('chunk_index', 'value', 'spread'):
            value = getattr(decision, name, None)
            row.append(math.nan if value is None else value)
        row.extend(
            (now - samples[name].time) * 1e-6 if name in samples else math.nan
            for name in self._sources)
        for name in ('command', 'sent'):
            vector = getattr(decision, name, None)
            row.extend((math.nan,) * self._size if vector is None else vector.tolist())
        row.append(operator_stops)
        return row


def table() -> str:
    """Format the table of the parts for the documentation."""
    return '\n'.join([
        '| part | meaning |', '| --- | --- |',
        *(f'| `{label}` | {meaning} |' for label, meaning in (*HEAD, *REST))])
