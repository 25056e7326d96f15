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
A decision as a row of numbers that says what they are, for a topic and back from a recording.

The row is the ``data`` of a std_msgs/Float64MultiArray, whose ``layout.dim`` has a label and a
size for each part, in order.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_ros.controller import Decision, State
from dfp_ros.observation import Sample
from dfp_ros.safety import Reason

# Times are split: a double holds no ns since 1970.
_SECOND = 1_000_000_000
_NEVER = (-1.0, 0.0)
_SAMPLE = 'sample'
_STATES = tuple(State)
# Parts that every row has, and their sizes.
_HEAD = {'number': 1, 'stamp': 2, 'lockstep': 1, 'state': 1, 'reason': 1}
_COMMANDS = ('action', 'command', 'sent')


@dataclass(frozen=True)
class RecordedDecision:
    """
    One control step, as the policy node published it.

    :param number: Counts the steps of a node; one that is missing was not recorded.
    :param stamp: Time of the step in ns, on the node's clock.
    :param lockstep: Whether the robot waits for each command, so that a step is a control period
        whatever the clock says.
    :param state: What the controller did.
    :param reason: Why the command was not simply what the policy answered.
    :param samples: Times in ns of the samples that the step saw, by source.
    :param observation: Shape (obs_dim,), or None where there was none.
    :param action: What the policy answered, by name of the action field, or None.
    :param command: The same in SI units before any limit, or None.
    :param sent: What was sent, likewise, in SI units, or None.
    """

    number: int
    stamp: int
    lockstep: bool
    state: State
    reason: Reason
    samples: Mapping[str, int]
    observation: NDArray[np.float64] | None
    action: Mapping[str, NDArray[np.float64]] | None
    command: Mapping[str, NDArray[np.float64]] | None
    sent: Mapping[str, NDArray[np.float64]] | None


class DecisionRow:
    """
    Writes decisions of one robot and one policy.

    :param sources: Names of the robot's sources.
    :param observation_size: Length of the observation.
    :param action: Name and size of each field of the action, in the policy's order.

    :ivar parts: Label and size of each part of a row.
    """

    def __init__(
            self, sources: Iterable[str], observation_size: int,
            action: Sequence[tuple[str, int]]) -> None:
        """Lay out the row."""
        self._sources = tuple(sources)
        action_size = sum(size for _, size in action)
        self._vectors = {
            'observation': observation_size, **dict.fromkeys(_COMMANDS, action_size)}
        self.parts: tuple[tuple[str, int], ...] = (
            *_HEAD.items(), *((f'{_SAMPLE}/{name}', 2) for name in self._sources),
            ('observation', observation_size),
            *((f'{kind}/{name}', size) for kind in _COMMANDS for name, size in action))

    def write(
            self, number: int, stamp: int, lockstep: bool, decision: Decision,
            samples: Mapping[str, Sample]) -> array[float]:
        """
        Write a decision; vectors that it has not are not numbers.

        :param number: Counts the steps.
        :param stamp: Time of the step in ns.
        :param lockstep: Whether the robot waits for each command.
        :param decision: The decision.
        :param samples: The samples that it was made from, by source.
        """
        row = array('d', (
            number, *divmod(stamp, _SECOND), lockstep, _STATES.index(decision.state),
            decision.reason.value))
        for name in self._sources:
            sample = samples.get(name)
            row.extend(_NEVER if sample is None else divmod(sample.time, _SECOND))
        for name, size in self._vectors.items():
            vector = getattr(decision, name)
            row.extend((np.nan,) * size if vector is None else vector.tolist())
        return row


def read_decision(
        parts: Iterable[tuple[str, int]], data: Sequence[float] | NDArray[np.float64],
) -> RecordedDecision:
    """
    Read what :class:`DecisionRow` wrote.

    :param parts: Label and size of each part.
    :param data: The row.
    :raises ValueError: Where a part is missing or not what it should be, or the row is shorter
        than its parts.
    """
    numbers = np.asarray(data, np.float64)
    found: dict[str, NDArray[np.float64]] = {}
    named: dict[str, dict[str, NDArray[np.float64]]] = {kind: {} for kind in (_SAMPLE, *_COMMANDS)}
    start = 0
    for label, size in parts:
        kind, _, name = label.partition('/')
        named.get(kind, found)[name if kind in named else label] = numbers[start:start + size]
        start += size
    if start != len(numbers):
        raise ValueError(f'found {len(numbers)} numbers, expected the {start} of the layout')
    for label, size in _HEAD.items():
        if label not in found:
            raise ValueError(f'the part {label!r} is missing; found {", ".join(found)}')
        _require_numbers(label, found[label], size)
    for name, values in named[_SAMPLE].items():
        _require_numbers(f'{_SAMPLE}/{name}', values, 2)
    state = int(found['state'][0])
    if not 0 <= state < len(_STATES):
        raise ValueError(f'found the state {state}, expected 0 to {len(_STATES) - 1}')
    observation = found.get('observation')

    def command(kind: str) -> Mapping[str, NDArray[np.float64]] | None:
        there = not all(np.isnan(values).all() for values in named[kind].values())
        return named[kind] if there else None

    return RecordedDecision(
        number=int(found['number'][0]), stamp=_time(found['stamp']),
        lockstep=bool(found['lockstep'][0]), state=_STATES[state],
        reason=Reason(int(found['reason'][0])),
        samples={
            name: _time(values) for name, values in named[_SAMPLE].items() if values[0] >= 0},
        observation=(
            None if observation is None or np.isnan(observation).all() else observation),
        action=command('action'), command=command('command'), sent=command('sent'))


def _require_numbers(label: str, values: NDArray[np.float64], size: int) -> None:
    """See that a part has so many numbers."""
    if len(values) != size or not np.isfinite(values).all():
        raise ValueError(f'the part {label!r}: found {values.tolist()}, expected {size} numbers')


def _time(parts: NDArray[np.float64]) -> int:
    """Put a time together."""
    return int(parts[0]) * _SECOND + int(parts[1])
