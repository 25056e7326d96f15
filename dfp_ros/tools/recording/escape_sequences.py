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
"""Escape sequences of a terminal: arrows, function keys and the like, which are no letters."""

from __future__ import annotations

ESCAPE = '\x1b'
# Time in s after which a sequence does not go on: Escape itself is a key, too.
_LONGEST = 0.1
# After these, another character belongs to the sequence: F1 to F4, and F1 to F5 on a console.
_ONE_MORE = ('O', '[[')


class EscapeSequences:
    """
    Removes escape sequences from the text of a terminal.

    The arrow key up is ``ESC [ A``, F4 is ``ESC O S``, and Alt with s is ``ESC s``: without this,
    they would be taken for the keys a and s.
    """

    def __init__(self) -> None:
        """Start outside of a sequence."""
        # What came of a sequence that goes on, and when; None outside of one.
        self._begun: str | None = None
        self._time = 0.0

    def removed_from(self, text: str, now: float) -> str:
        """
        Remove sequences, which may go on in the next text.

        :param text: Text that was read from a terminal.
        :param now: Monotonic time in s.
        :return: The keys that are characters.
        """
        if text and now - self._time > _LONGEST:
            self._begun = None
        if text:
            self._time = now
        return ''.join(letter for letter in text if not self._belongs(letter))

    def _belongs(self, letter: str) -> bool:
        """Tell whether a character belongs to a sequence."""
        if letter == ESCAPE:
            self._begun = ''
            return True
        if self._begun is None:
            return False
        self._begun += letter
        if not self._goes_on(self._begun):
            self._begun = None
        return True

    @staticmethod
    def _goes_on(begun: str) -> bool:
        """Tell whether a sequence is not complete; without its first character."""
        if begun in ('[', *_ONE_MORE):
            return True
        # Parameters, then a letter or a tilde.
        return begun.startswith('[') and begun[:2] != '[[' and ' ' <= begun[-1] <= '?'
