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
"""Sanitising of external text: it cannot forge lines, control terminals or flood logs."""

from __future__ import annotations

from itertools import count
import sys
import time

import pytest

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.text.errors import explain, nearest
from dfp_ros.core.text.printable import listed, printable, quoted
from dfp_ros.node.commanding.decision_log import DecisionLog


@pytest.mark.parametrize(('text', 'shown'), [
    ('shoulder_pan_joint', 'shoulder_pan_joint'),
    ('Gelenk größer 関節', 'Gelenk größer 関節'),
    ('x\n[INFO] [1.0] [dfp_policy]: running', r'x\n[INFO] [1.0] [dfp_policy]: running'),
    ('\x1b[2K\r\x00\x7f', r'\x1b[2K\r\x00\x7f'),
    # Half a character, a line separator, and text that runs the other way.
    ('\ud800 \u2028 \u202e', r'\ud800 \u2028 \u202e'),
    ('', ''), (7, '7')])
def test_escapes(text: object, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode('utf-8')


def test_cuts() -> None:
    """The result never exceeds the limit, including escapes; huge texts cost no time."""
    assert printable('a' * 80) == 'a' * 80
    assert printable('a' * 81) == 'a' * 77 + '...'
    assert len(printable('\n' * 80)) == 80
    assert printable('abc', limit=3) == 'abc'
    huge = '\x1b' * 50_000_000
    begin = time.thread_time()
    assert len(printable(huge)) == 80
    assert time.thread_time() - begin < 0.1


def test_every_character() -> None:
    """All that is printed is printable, and stays on its line."""
    for start in range(0, sys.maxunicode, 4096):
        text = ''.join(map(chr, range(start, start + 4096)))
        found = printable(text, limit=100_000)
        assert found.isprintable()
        assert len(found.splitlines()) == 1


def test_quotes_and_lists() -> None:
    assert quoted('a\nb') == r"'a\nb'"
    assert quoted("it's") == '"it\'s"'
    assert listed(['a', 'b\n']) == r'a, b\n'
    assert listed([f'joint_{i}' for i in range(10_000)], few=2) == (
        'joint_0, joint_1 and 9998 more')
    assert listed((f'{i}' for i in count()), few=2) == '0, 1 and more'


def test_the_log_has_a_line_for_a_line() -> None:
    """Text of a message cannot forge another log line, in a decision or in an error."""
    lines: list[str] = []

    class Logger:
        """Recorder of log messages."""

        info = warning = staticmethod(lines.append)

    forged = 'joint x\n[INFO] [1.0] [dfp_policy]: running\x1b[2K'
    DecisionLog(Logger(), lambda: 0.0).add(Decision(State.HOLD, Reason.UNREADABLE, forged))
    lines += [explain(DescriptionError(forged)), explain(ValueError(forged))]
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_the_nearest_name_costs_a_moment() -> None:
    """However many there are, and however long they are."""
    begin = time.thread_time()
    assert 'did you mean' in nearest(
        'shoulder_lift_joint', [f'shoulder_lift_join_{i}' for i in range(100_000)])
    assert 'known: ' in nearest('a' * 1_000_000, ['b' * 1_000_000, 'c'])
    assert time.thread_time() - begin < 2.0
    assert nearest('name', ['nam\n']) == r"did you mean 'nam\n'?"
