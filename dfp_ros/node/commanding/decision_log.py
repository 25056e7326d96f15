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
"""Log of decisions: a line for each change, and periodic lines while a fault lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.text.printable import printable, TEXT

# Time without a source before a warning, and between warnings, in s.
PATIENCE, REPEAT = 3.0, 5.0
# Largest burst of lines, and lines per second: a line takes longer than the decision itself.
BURST, PER_SECOND = 20, 1.0


class DecisionLog:
    """
    Logs decisions.

    :param logger: A logger with ``info`` and ``warning``.
    :param clock: Monotonic time in s.

    :ivar last: The last decision, None before the first.
    """

    def __init__(self, logger: Any, clock: Callable[[], float]) -> None:
        """Start before the first decision."""
        self._logger = logger
        self._clock = clock
        self._may_say, self._unsaid, self._last_time = float(BURST), 0, clock()
        self.restart()

    def restart(self) -> None:
        """Start anew, without a last decision."""
        self.last: Decision | None = None
        self._said_text = ''
        self._next_warning = self._clock() + PATIENCE

    def add(self, decision: Decision) -> None:
        """Log a decision, if it differs from the last or a repetition is due."""
        last, self.last = self.last, decision
        now = self._clock()
        is_new = last is None or last.state is not decision.state
        if decision.state in (State.HOLD, State.STOPPED):
            if is_new or (last is not None and last.reason != decision.reason):
                self._unsaid += 1
            elif decision.text != self._said_text and now >= self._next_warning:
                # The same reason, but for another joint or source.
                self._unsaid += 1
            if self._unsaid:
                self._said_text, self._next_warning = decision.text, now + REPEAT
                what = 'holding' if decision.state is State.HOLD else 'stopped until ~/resume'
                self._say(f'{what}: {printable(decision.text, TEXT)}', now, is_warning=True)
            return
        if decision.state is State.RUNNING:
            if is_new:
                self._unsaid += 1
                self._next_warning = now
            elif last is not None and last.commander is not decision.commander:
                self._unsaid += 1
            if self._unsaid:
                is_person = decision.commander is Commanding.PERSON
                self._say('a person commands' if is_person else 'running', now, is_warning=False)
        if decision.reason and now >= self._next_warning:
            self._next_warning = now + REPEAT
            what = (
                'waiting, nothing is commanded' if decision.state is State.WAITING
                else decision.reason.words)
            self._logger.warning(f'{what}: {printable(decision.text, TEXT)}')

    def _say(self, text: str, now: float, is_warning: bool) -> None:
        """Log the newest change, unless there were too many lines recently."""
        self._may_say = min(BURST, self._may_say + (now - self._last_time) * PER_SECOND)
        self._last_time = now
        if self._may_say >= 1:
            self._may_say -= 1
            unsaid, self._unsaid = self._unsaid - 1, 0
            text += f' (and {unsaid} changes before it)' if unsaid else ''
            # rclpy requires that a line of code always logs with the same severity.
            if is_warning:
                self._logger.warning(text)
            else:
                self._logger.info(text)
