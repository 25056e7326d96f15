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
"""Non-blocking keyboard input of an operator."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from typing import Any

from dfp_ros.tools.recording.escape_sequences import EscapeSequences

_MOST = 4096


class OperatorKeys:
    """
    Keys pressed in a terminal; of any other input, the first letter of each line.

    Keys of a terminal that are no character, such as arrows, are left out.
    A context manager, which restores the terminal's settings on exit.
    """

    def __init__(self) -> None:
        """Inspect the standard input, which may be absent."""
        try:
            self._descriptor = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):
            self._descriptor = -1
        self.is_terminal = self._descriptor >= 0 and os.isatty(self._descriptor)
        # Whose settings are restored, also after its last key.
        self._terminal = self._descriptor
        self._before: list[Any] | None = None
        self._is_line_new = True
        self._sequences = EscapeSequences()
        self._waiting = ''

    def __enter__(self) -> OperatorKeys:
        """Switch a terminal to unbuffered input, unless other processes are to read it."""
        if self.is_terminal:
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            # A terminal that has vanished needs no settings.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    @property
    def is_at_end(self) -> bool:
        """Whether no key can come any more."""
        return self._descriptor < 0 and not self._waiting

    def pressed(self) -> str:
        """Return the next key pressed; empty for none."""
        self._waiting = self._waiting or self._read()
        key, self._waiting = self._waiting[:1], self._waiting[1:]
        return key

    def all_pressed(self) -> str:
        """Return the keys pressed since the last call, in order; of an endless input, some."""
        keys, self._waiting = self._waiting + self._read(), ''
        return keys

    def _read(self) -> str:
        """Read some keys, in order."""
        if self._descriptor < 0:
            return ''
        try:
            if self.is_terminal and self._is_in_background():
                return ''
            if not select.select([self._descriptor], [], [], 0)[0]:
                return ''
            text = os.read(self._descriptor, _MOST).decode(errors='replace')
        except OSError:
            text = ''
        if not text:
            # End of input; marks may still arrive from elsewhere.
            self._descriptor = -1
        return (
            self._sequences.removed_from(text, time.monotonic()) if self.is_terminal
            else self._first_letters(text))

    def _is_in_background(self) -> bool:
        """Tell whether reading the terminal would stop this process."""
        try:
            return os.tcgetpgrp(self._descriptor) != os.getpgrp()
        except OSError:
            return False  # it is not the terminal that this process is controlled by

    def _first_letters(self, text: str) -> str:
        """Return the first letter of each line."""
        found = ''
        for letter in text:
            if self._is_line_new and not letter.isspace():
                found += letter
            self._is_line_new = letter == '\n' or self._is_line_new and letter.isspace()
        return found
