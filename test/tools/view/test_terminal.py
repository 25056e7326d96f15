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
"""View in the terminal: what it shows, and where it cannot be shown."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import io
import math
import os
import struct
import sys
import termios
import threading
from typing import TextIO

import pytest

pytest.importorskip('rich', reason='rich is not installed, which draws in the terminal')

from rich.console import Console

from dfp_ros.core.control.decision import State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.tools.view.situation import Situation
from dfp_ros.tools.view.terminal import (
    bar,
    draw,
    sparkline,
    TerminalView,
    why_no_terminal,
)
from testing.fixtures.statistics_rows import statistics


def show(situation: Situation, now: float = 0.5, width: int = 80) -> str:
    """Draw into text."""
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(draw(situation, now))
    return console.export_text()


@contextlib.contextmanager
def terminal(columns: int = 90, rows: int = 30) -> Iterator[tuple[TextIO, list[bytes]]]:
    """Open a terminal of this size; what it gets is complete in the list afterwards."""
    master, slave = os.openpty()
    got: list[bytes] = []

    def read() -> None:
        # Once the other end is closed, reading fails.
        with contextlib.suppress(OSError):
            while found := os.read(master, 1 << 16):
                got.append(found)

    reader = threading.Thread(target=read)
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        with open(slave, 'w', encoding='utf-8') as stream:
            reader.start()
            yield stream, got
        reader.join()
    finally:
        os.close(master)


@pytest.fixture
def situation() -> Situation:
    """Make the situation in the midst of the third episode."""
    made = Situation('/dfp_policy', 10, policy='cube', robot='arm', tick=50.0)
    for mark, time in (('start', 0.0), ('success', 0.0), ('start', 0.0), ('failure', 0.0),
                       ('start', 0.2)):
        made.take_mark(mark, time)
    made.take_statistics(statistics(), 0.0)
    return made


def test_it_shows_what_matters(situation: Situation) -> None:
    """In each of these lines."""
    lines = show(situation).splitlines()
    for words in (
            ('cube on arm',), ('episode', '3 of 10', '●○', '1 of 2 solved', '0.3 s'),
            ('state', 'running', 'commanded by policy'), ('reasons', 'limited (warn)'),
            ('missed ticks', '2 of 102'), ('period', '50.00 ms', 'of 50 ms'),
            ('inference', '0.40 ms'), ('observation age', '12.00 ms'),
            ('candidates', 'spread 0.5'),
            ('velocity', '0.100', 'asked 0.200'), ('█│', '-0.200'), ('grip', '│█', '3.000'),
            ('/dfp_policy',)):
        assert any(all(word in line for word in words) for line in lines), words
    assert all(len(line) == 80 for line in lines)


def test_a_fault_is_shown_with_its_names(situation: Situation) -> None:
    """As the node describes it; a node that fell silent, with how long it is."""
    situation.text = 'arm: 0.3 s old, the maximum is 0.2 s'
    situation.take_statistics(statistics(State.HOLD, Reason.STALE), 1.0)
    found = show(situation, 1.5)
    assert 'commanded by nobody' in found
    assert 'stale (warn): arm: 0.3 s old, the maximum is 0.2 s' in found
    assert '/dfp_policy is silent for 7 s' in show(situation, 8.2)
    assert 'waiting for /other' in show(Situation('/other'))


def test_a_person_did_not_ask_for_what_the_policy_did(situation: Situation) -> None:
    """The rows have the policy's request, whoever commands."""
    situation.take_statistics(statistics(State.RUNNING, Reason.PERSON), 0.0)
    found = show(situation)
    assert 'commanded by person' in found
    assert 'policy asked 0.200' in found
    assert ' policy asked' not in show(Situation('/dfp_policy'))


def test_a_narrow_terminal_shows_the_newest_and_whole_bars(situation: Situation) -> None:
    """A curve loses its oldest values, and a long name its end."""
    for period in range(40):
        situation.take_statistics(statistics(period=1.0 + 9.0 * (period == 39)), 0.0)
    situation.sent = {'left_arm_joint_position_targets': situation.sent['velocity']}
    situation.command = {name: 2 * sent for name, sent in situation.sent.items()}
    situation.largest = {name: abs(sent) for name, sent in situation.sent.items()}
    for width in (60, 80):
        lines = show(situation, width=width).splitlines()
        period, = (line for line in lines if 'period' in line)
        assert '…' not in period
        assert period.split('of 50 ms')[0].rstrip()[-1] == '▂'
        assert '10.00 ms' in period
        bar, = (line for line in lines if 'left_arm' in line)
        assert f'│{"█" * 10} ' in bar
        assert 'asked 0.200' in bar
    assert all(show(situation, width=width) for width in (1, 5, 20))


def test_missing_numbers_are_no_fault(situation: Situation) -> None:
    """Before the first decision everything is NaN; a wide robot does not fill the screen."""
    empty = Situation('/dfp_policy')
    empty.take_statistics(statistics(None), 0.0)
    assert 'not active' in show(empty)
    situation.sent = {f'joint_{i}': situation.sent['velocity'] for i in range(9)}
    situation.largest = {name: abs(sent) for name, sent in situation.sent.items()}
    found = show(situation)
    assert 'and 8 more' in found
    assert 'joint_5' not in found


def test_curves_and_bars() -> None:
    """By values that can be read off."""
    assert sparkline([0.0, 5.0, 10.0, 99.0, -1.0, math.nan], 10.0) == '▁▅██▁ '
    assert sparkline([1.0], 0.0) == ' '
    assert sparkline([1e308, -1e308], 1e-320) == '█▁'
    assert bar(0.5) == (' ' * 10, '█████     ')
    assert bar(-1.0) == ('█' * 10, ' ' * 10)
    assert bar(7.0) == (' ' * 10, '█' * 10)
    assert bar(math.nan) == (' ' * 10, ' ' * 10)


def test_where_it_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal that is one, large enough, and knows the characters."""
    monkeypatch.setenv('TERM', 'xterm')
    assert why_no_terminal(io.StringIO()) == 'the output is not a terminal'
    with terminal(40) as (stream, _):
        assert why_no_terminal(stream) == 'its size is 40 x 30, less than 60 x 15'
    with terminal() as (stream, _):
        assert why_no_terminal(stream) == ''
        with open(os.dup(stream.fileno()), 'w', encoding='ascii') as other:
            assert 'ascii, not UTF-8' in why_no_terminal(other)
        monkeypatch.setitem(sys.modules, 'rich', None)
        monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
        assert '`pip install rich`' in why_no_terminal(stream)
        monkeypatch.setenv('TERM', 'dumb')
        assert why_no_terminal(stream) == "the terminal is 'dumb' (TERM)"


def test_lines_stay_above_it(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn a few times a second, and leaves the lines and the cursor when it ends."""
    monkeypatch.setenv('TERM', 'xterm')
    for name in ('COLUMNS', 'LINES', 'NO_COLOR'):
        monkeypatch.delenv(name, raising=False)
    with terminal() as (stream, got):
        monkeypatch.setattr(sys, 'stdout', stream)
        view = TerminalView(situation)
        try:
            for now in (1.0, 1.01, 1.2):
                view.update(now)
            view.print('episode 1: [bold]solved')
            view.update(1.3)
        finally:
            view.close()
        monkeypatch.undo()
    found = b''.join(got).decode()
    before, line, after = found.partition('episode 1: [bold]solved')
    assert line
    assert before.count('cube on arm') == 1
    # Under the line again, at 1.3 s, and when it ends.
    assert after.count('cube on arm') >= 2
    assert before.count('\x1b[?25l') == after.count('\x1b[?25h') == 1
