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
"""Situation of a policy node, from the messages that it publishes."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.tools.view.labelled_row import LabelledRows
from dfp_ros.tools.view.situation import KEPT, Situation
from testing.fixtures.bags import array
from testing.fixtures.statistics_rows import statistics


def diagnostics(node: str, **values: str) -> Any:
    """Make a message of /diagnostics."""
    return SimpleNamespace(status=[SimpleNamespace(
        name=f'{node}: {concern}', message='because', hardware_id='arm\x1b[2J', values=[
            SimpleNamespace(key=key, value=value) for key, value in values.items()])
        for concern in ('control loop', 'policy')])


def test_rows_fill_it() -> None:
    """The newest row counts, the curves keep the last ones, and the scales the largest."""
    situation = Situation('/dfp_policy')
    for i in range(KEPT + 5):
        situation.take_statistics(statistics(period=50.0 + i), float(i))
    situation.take_statistics(statistics(sent=(-0.7, 0.0, 1.0)), 99.0)
    assert (situation.heard, situation.state) == (99.0, State.RUNNING)
    assert (situation.ticks, situation.missed, situation.spread) == (100, 2, 0.5)
    assert (situation.reason, situation.response) == (Reason.LIMITED, Response.WARN)
    assert len(situation.periods) == KEPT
    assert situation.periods[-2] == 50.0 + KEPT + 4
    assert situation.sent['velocity'].tolist() == [-0.7, 0.0]
    assert situation.largest['velocity'].tolist() == pytest.approx([0.7, 0.2])
    assert situation.largest['grip'].tolist() == [3.0]
    # Nor are fields kept that are not published any more: anybody may publish others each time.
    situation._take_commands({'sent/other': np.ones(1)})
    assert set(situation.largest) == {'other'}


@pytest.mark.parametrize(('state', 'reason', 'commander'), [
    (State.RUNNING, Reason.LIMITED, Commanding.POLICY),
    (State.RUNNING, Reason.PERSON | Reason.LIMITED, Commanding.PERSON),
    (State.HOLD, Reason.STALE | Reason.PERSON, Commanding.NOBODY),
    (State.STOPPED, Reason.OPERATOR_STOP, Commanding.NOBODY),
    (None, Reason.NONE, Commanding.NOBODY)])
def test_who_commands(state: State | None, reason: Reason, commander: Commanding) -> None:
    """It is told by state and reasons, which every row has."""
    situation = Situation('/dfp_policy')
    situation.take_statistics(statistics(state, reason), 0.0)
    assert situation.commander is commander


def test_diagnostics_of_another_node_are_not_taken() -> None:
    """Nor those of a node whose name begins alike; text is escaped."""
    situation = Situation('/left/dfp_policy')
    for node in ('/right/dfp_policy', '/left/dfp_policy_2', '/dfp_policy'):
        situation.take_diagnostics(diagnostics(node, policy='other', rate_hz='50'))
    assert (situation.policy, situation.robot) == ('', '')
    situation.take_diagnostics(diagnostics('/left/dfp_policy', policy='x', rate_hz='20'))
    assert (situation.policy, situation.tick, situation.text) == ('x', 50.0, 'because')
    assert situation.robot == r'arm\x1b[2J'
    situation.take_diagnostics(diagnostics('/left/dfp_policy', rate_hz='none'))
    assert math.isnan(situation.tick)


def test_marks_count_episodes() -> None:
    """A start begins one; the demo counts the results itself."""
    counting, other = Situation('/x'), Situation('/x', 10, counts_marks=False)
    for situation in (counting, other):
        for time, mark in enumerate(('start', 'success', 'start', 'start', 'failure', 'start')):
            situation.take_mark(mark, float(time))
        assert situation.began == 5.0
        situation.take_mark('failure', 6.0)
        assert situation.began is None
    assert counting.results == [True, False, False]
    assert other.results == []


def test_an_end_without_a_start_ends_no_episode() -> None:
    """As the recorder counts: a key that is pressed twice is no second success."""
    situation = Situation('/x')
    for time, mark in enumerate(('failure', 'start', 'success', 'success', 'failure')):
        situation.take_mark(mark, float(time))
    assert situation.results == [True]


def test_words_are_for_the_state_that_they_describe() -> None:
    """Diagnostics come once a second, and rows ten times."""
    situation = Situation('/dfp_policy')
    held = statistics(State.HOLD, Reason.STALE)
    situation.take_diagnostics(diagnostics('/dfp_policy', state='running', reason='none'))
    situation.take_statistics(held, 0.0)
    assert situation.explanation == ''
    situation.take_diagnostics(diagnostics('/dfp_policy', state='hold', reason='stale jump'))
    assert situation.explanation == 'because'
    situation.take_statistics(statistics(State.HOLD, Reason.INFERENCE_FAILED), 1.0)
    assert situation.explanation == ''
    situation.take_diagnostics(diagnostics(
        '/dfp_policy', state='hold', reason='inference_failed'))
    assert situation.explanation == 'because'


@pytest.mark.parametrize('message', [
    array([]), array([1.0]), array([1.0], [('ticks', 2)]), array([1.0, 2.0], [('ticks', 1)]),
    array([1.0], [('other', 1)]), array([1.0] * 2001, [('ticks', 1)] * 2001)])
def test_other_rows_are_left_out(message: Any) -> None:
    """Anybody may publish anything."""
    situation = Situation('/dfp_policy')
    situation.take_statistics(message, 1.0)
    assert situation.heard is None


@pytest.mark.parametrize('value', [-1.0, 1e300, math.nan, math.inf, 99.0])
def test_absurd_numbers_are_no_state(value: float) -> None:
    """They are shown as nothing known."""
    situation = Situation('/dfp_policy')
    situation.take_statistics(array(
        [1.0, value, value, value], [('ticks', 1), ('state', 1), ('reason', 1), ('response', 1)]),
        1.0)
    assert situation.state is None
    assert situation.response is Response.PASS
    assert situation.commander is Commanding.NOBODY


def test_names_of_fields_are_for_people() -> None:
    """Anybody may publish others, which must not reach a terminal as they are."""
    situation = Situation('/dfp_policy')
    situation.take_statistics(array(
        [1.0, 2.0, 3.0],
        [('ticks', 1), ('sent/\x1b[2J\n\u202e', 1), (f'sent/{"x" * 9999}', 1)]), 0.0)
    evil, long = situation.sent
    assert evil == '\\x1b[2J\\n\\u202e'
    assert len(long) == 80


def test_a_layout_may_change() -> None:
    """As when the node is restarted with another robot."""
    rows = LabelledRows()
    first = rows.read(array([1.0, 2.0], [('a', 2)]))
    second = rows.read(array([1.0, 2.0], [('b', 1), ('c', 1)]))
    assert first is not None
    assert second is not None
    assert list(first) == ['a']
    assert second['c'].tolist() == [2.0]


@pytest.mark.parametrize(('node', 'marks'), [
    ('/dfp_policy', '/episode_marks'), ('/left/dfp_policy', '/left/episode_marks')])
def test_marks_are_those_of_the_namespace_of_the_node(node: str, marks: str) -> None:
    """Those of another robot are not its episodes."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.view.node_topics import NodeTopics
    topics: list[str] = []
    NodeTopics(SimpleNamespace(
        create_subscription=lambda kind, topic, *_: topics.append(topic)), Situation(node))
    assert topics == [f'{node}/statistics', '/diagnostics', marks]
