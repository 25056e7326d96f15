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
"""Keys of an operator: letters, and special keys of a terminal, which are none."""

from __future__ import annotations

import os
import pty
import select
import sys
import time

import pytest

from dfp_ros.tools.recording.escape_sequences import EscapeSequences
from dfp_ros.tools.recording.operator_keys import OperatorKeys

# What terminals send for keys that are no letters.
SPECIAL = {
    'up': '\x1b[A', 'left': '\x1b[D', 'end': '\x1b[F', 'application up': '\x1bOA',
    'delete': '\x1b[3~', 'F1': '\x1bOP', 'F2': '\x1bOQ', 'F3': '\x1bOR', 'F4': '\x1bOS',
    'F5': '\x1b[15~', 'F1 of a console': '\x1b[[A', 'Ctrl up': '\x1b[1;5A', 'Alt s': '\x1bs',
    'report': '\x1b[?1;2c'}
READER = """
import time
from dfp_ros.tools.recording.operator_keys import OperatorKeys
with OperatorKeys() as keys:
    print('ready', flush=True)
    while True:
        if key := keys.pressed():
            print(f'<{key}>', flush=True)
        time.sleep(0.005)
"""


@pytest.mark.parametrize('sequence', SPECIAL.values(), ids=SPECIAL)
def test_special_keys_are_no_letters(sequence: str) -> None:
    """F4 ends in S, which starts an episode; arrow up ends in A, which moves a robot."""
    assert EscapeSequences().removed_from(f'w{sequence}d', 5.0) == 'wd'
    # A slow connection may break it anywhere.
    for i in range(1, len(sequence)):
        slow = EscapeSequences()
        pieces = f'w{sequence[:i]}', '', f'{sequence[i:]}d'
        assert [slow.removed_from(text, 5.0 + 0.02 * j) for j, text in enumerate(pieces)] == [
            'w', '', 'd']


def test_the_key_escape_swallows_no_letter() -> None:
    """It is the beginning of a sequence only if that goes on at once."""
    keys = EscapeSequences()
    assert keys.removed_from('\x1b', 5.0) == ''
    assert keys.removed_from('s', 5.5) == 's'
    assert keys.removed_from('\x1b\x1b', 6.0) == ''
    assert keys.removed_from('[A', 6.01) == ''
    assert keys.removed_from('y', 6.02) == 'y'


def test_special_keys_in_a_terminal() -> None:
    """A real terminal, in whose foreground the program runs."""
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, '-c', READER])
    output = ''

    def read_until(text: str) -> None:
        nonlocal output
        deadline = time.monotonic() + 30
        while text not in output:
            assert select.select([terminal], [], [], deadline - time.monotonic())[0], output
            output += os.read(terminal, 1000).decode()

    try:
        read_until('ready')
        for sequence in SPECIAL.values():
            os.write(terminal, sequence.encode())
        os.write(terminal, b'w')
        read_until('<w>')
        assert output.count('<') == 1, output
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def test_a_terminal_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks is the end of the keys, and no error."""
    master, slave = os.openpty()
    with open(slave, encoding='utf-8') as terminal:
        monkeypatch.setattr(sys, 'stdin', terminal)
        with OperatorKeys() as keys:
            os.write(master, b'w')
            assert select.select([slave], [], [], 30)[0]
            assert keys.all_pressed() == 'w'
            os.close(master)
            assert keys.all_pressed() == ''
            assert keys.is_at_end
