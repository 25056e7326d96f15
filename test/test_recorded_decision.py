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
"""Decisions as rows of numbers: what is written is what is read."""

from __future__ import annotations

from array import array

from hypothesis import given, strategies
import numpy as np
import pytest

from dfp_ros.controller import Decision, State
from dfp_ros.observation import Sample
from dfp_ros.recorded_decision import DecisionRow, read_decision
from dfp_ros.safety import Reason

ROW = DecisionRow(('arm', 'cube'), 3, [('turn', 1), ('grip', 1)])


@given(
    strategies.integers(1, 2**40), strategies.integers(0, 2**63 - 1),
    strategies.integers(0, 2**63 - 1), strategies.booleans(), strategies.sampled_from(State),
    strategies.sampled_from(Reason), strategies.booleans())
def test_comes_back_whole(
        number: int, stamp: int, sample: int, lockstep: bool, state: State, reason: Reason,
        running: bool) -> None:
    """To the nanosecond, which no double holds, and to the last digit of each vector."""
    vectors = {
        'observation': np.array([0.1, -2, 3], np.float32),
        'action': np.array([0.3, 1], np.float32),
        'command': np.array([0.7, 1 / 3]), 'sent': np.array([0.7, 0.25])} if running else {}
    found = read_decision(ROW.parts, ROW.write(
        number, stamp, lockstep, Decision(state, reason, 'text', **vectors),
        {'cube': Sample(sample, 0, {})}))
    assert (found.number, found.stamp, found.lockstep) == (number, stamp, lockstep)
    assert (found.state, found.reason) == (state, reason)
    assert found.samples == {'cube': sample}, 'the arm was never seen'
    if not running:
        assert (found.observation, found.action, found.command, found.sent) == (None,) * 4
        return
    assert found.observation is not None
    np.testing.assert_array_equal(found.observation, vectors['observation'])
    for name in ('action', 'command', 'sent'):
        turn, grip = vectors[name].tolist()
        assert getattr(found, name) == {'turn': [turn], 'grip': [grip]}


def test_says_what_is_wrong() -> None:
    """Another layout, and a row that is too short."""
    row = ROW.write(1, 2, False, Decision(State.WAITING, Reason.WAITING, ''), {})
    with pytest.raises(ValueError, match=f'found {len(row) - 1} numbers, expected the {len(row)}'):
        read_decision(ROW.parts, row[:-1])
    with pytest.raises(ValueError, match="the part 'number' is missing; found x"):
        read_decision([('x', len(row))], row)
    first = {label: sum(size for _, size in ROW.parts[:i]) for i, (label, _) in
             enumerate(ROW.parts)}
    for label, number, message in (
            ('state', len(State), f'found the state {len(State)}, expected 0 to'),
            ('state', -1, 'found the state -1, expected 0 to'),
            ('number', np.nan, r"'number': found \[nan\], expected 1 numbers"),
            ('stamp', np.inf, r"'stamp': found \[inf, 2\.0\], expected 2 numbers"),
            ('sample/arm', np.inf, "'sample/arm': found"), ('reason', 1e9, 'invalid value')):
        bad = array('d', row)
        bad[first[label]] = number
        with pytest.raises(ValueError, match=message):
            read_decision(ROW.parts, bad)
