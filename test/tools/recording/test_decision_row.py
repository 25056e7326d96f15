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
"""Decisions as rows of numbers: round trip."""

from __future__ import annotations

from array import array

from hypothesis import given, strategies
import numpy as np
import pytest

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, HEAD, read_decision, REST, table
from dfp_ros.core.control.input_log import Entry, Failed, InputLog
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.node.reporting.statistics_row import table as statistics_table
from testing import ROOT

ROW = DecisionRow(('arm', 'cube'), 3, [('turn', 1), ('grip', 1)])


@given(
    strategies.integers(1, 2**40), strategies.integers(0, 2**63 - 1),
    # A driver that subtracts a delay stamps before the beginning of simulated time.
    strategies.integers(-2**31 * 10**9, 2**63 - 1).filter((-10**9).__ne__),
    strategies.booleans(), strategies.sampled_from(State), strategies.sampled_from(Reason),
    strategies.booleans())
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


@pytest.mark.parametrize('commander', Commanding)
def test_who_commands(commander: Commanding) -> None:
    """With the person's request; in a recording from before, the policy in each running step."""
    asked = np.array([0.5, np.nan]) if commander is Commanding.PERSON else None
    state = State.HOLD if commander is Commanding.NOBODY else State.RUNNING
    decision = Decision(state, Reason.NONE, '', commander=commander, person=asked)
    row = DecisionRow(('arm', 'pad'), 3, [('turn', 1), ('grip', 1)], has_person=True)
    found = read_decision(row.parts, row.write(1, 2, False, decision, {}))
    assert found.commander is commander
    if asked is None:
        assert found.person is None
    else:
        assert found.person is not None
        assert found.person['turn'] == [0.5]
        assert np.isnan(found.person['grip']).all()
    old = DecisionRow(('arm',), 3, [('turn', 1), ('grip', 1)], has_commander=False)
    assert {*dict(old.parts)} == {*dict(ROW.parts)} - {
        'commander', 'sample/cube', 'received/cube'}
    found = read_decision(old.parts, old.write(1, 2, False, decision, {}))
    assert found.commander is (
        Commanding.NOBODY if state is State.HOLD else Commanding.POLICY)
    assert found.person is None


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
            ('stamp', np.inf, r"'stamp': found \[inf, 2\], expected 2 numbers"),
            ('sample/arm', np.inf, "'sample/arm': found"),
            ('stamp', 1e12, r'found a time of 1e\+12 s'), ('number', 1e300, "'number': found"),
            ('draw', np.inf, "'draw': found"), ('draw', 1e300, "'draw': found"),
            ('commander', 3, "'commander': found 3, expected 0 to 2"),
            ('loop', 1e200, "'loop': found"),
            ('reason', 1e9, 'found the reasons 1000000000, expected 0 to')):
        bad = array('d', row)
        bad[first[label]] = number
        with pytest.raises(ValueError, match=message):
            read_decision(ROW.parts, bad)


@given(
    strategies.integers(0, 2**53 - 1),
    strategies.text('0123456789abcdef', min_size=64, max_size=64),
    strategies.integers(0, 2**63 - 1), strategies.integers(1, 2**40), strategies.booleans(),
    strategies.integers(0, 100), strategies.sampled_from(Failed))
def test_rows_are_read_as_written(
        loop: int, sha256: str, seed: int, step: int, is_stopped: bool, stops: int,
        failed: Failed) -> None:
    """All that a replay needs, every bit of a seed and of the hash's beginning."""
    entry = Entry(loop, int(sha256[:12], 16), seed, step, is_stopped, stops, failed)
    decision = Decision(
        State.RUNNING, Reason.NONE, '', np.array([1.0, 2]), response=Response.SLOW,
        limited=np.array([3.0, 4]), draw=7, chunk_index=2, value=0.1, spread=0.2, inference=0.3,
        observation_age=0.4, observation_stamp=2**62 + 1)
    row = ROW.write(1, 2, False, decision, {'cube': Sample(None, 2**61 + 1, {})}, entry)
    found = read_decision(ROW.parts, row)
    assert found.entry == entry
    assert (found.draw, found.inference) == (7, 0.3)
    assert found.samples == found.received == {'cube': 2**61 + 1}
    parts, start = {}, 0
    for label, size in ROW.parts:
        parts[label] = row[start:start + size].tolist()
        start += size
    assert parts['response'] == [Response.SLOW]
    assert parts['observation_stamp'] == [*map(float, divmod(2**62 + 1, 10**9))]
    assert (parts['limited/turn'], parts['limited/grip'], parts['sent/grip']) == ([3], [4], [2])
    assert [parts[label] for label in ('chunk_index', 'value', 'spread', 'observation_age')] == [
        [2], [0.1], [0.2], [0.4]]


def test_journal() -> None:
    """Steps count from the reset on; a loop has a number that no other has."""
    input_log, sha = InputLog(), 'ff' * 32
    first = input_log.loop
    input_log.reset(5)
    input_log.ask_for_stop()
    entry = input_log.step(sha, False, Failed.NOTHING)
    assert (entry.seed, entry.step, entry.stop_commands, entry.policy) == (5, 1, 1, 2**48 - 1)
    assert input_log.step(sha, True, Failed.SENDING).stop_commands == 0
    input_log.note_transfer(9)
    input_log.note_transfer(8)
    entry = input_log.step(sha, False, Failed.NOTHING)
    assert (entry.seed, entry.step) == (8, 3)
    assert entry.loop >= first + 2
    input_log.reset(8)
    assert input_log.step(sha, False, Failed.NOTHING).step == 1


def test_rows_of_the_first_layout_are_read() -> None:
    """Recordings from before there were replays can be learned from as ever."""
    found = read_decision(
        [('number', 1), ('stamp', 2), ('lockstep', 1), ('state', 1), ('reason', 1),
         ('sample/arm', 2), ('action/turn', 1)], [1, 2, 3, 0, 1, 0, 4, 5, 0.5])
    assert (found.entry, found.draw, found.inference, found.received) == (None, None, None, {})
    assert found.samples == {'arm': 4_000_000_005}


def test_the_documentation_is_current() -> None:
    """Its tables are those that the code prints, and they have every part."""
    text = (ROOT / 'docs' / 'explaining.md').read_text()
    assert table() in text
    assert statistics_table() in text
    documented = {label for label, *_ in (*HEAD, *REST)}
    for label, size in ROW.parts:
        kind, _, name = label.partition('/')
        assert label in documented or any(each.startswith(f'{kind}/') for each in documented)
        assert name or kind == 'observation' or (label, size) in [each[:2] for each in HEAD]
