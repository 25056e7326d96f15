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
"""Which decisions are worth a line in the log: changes once, what lasts now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dfp_ros.decision import Decision, State

# How long a source may be missing, in s, before that is worth a warning, and between warnings.
PATIENCE, REPEAT = 3.0, 5.0


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
        self.restart()

    def restart(self) -> None:
        """Forget what was logged."""
        self.last: Decision | None = None
        self._next_warning = self._clock() + PATIENCE

    def add(self, decision: Decision) -> None:
        """Log a decision, if there is something to say."""
        last, self.last = self.last, decision
        now = self._clock()
        if decision.state in (State.HOLD, State.STOPPED):
            if last is None or last.state is not decision.state or last.reason != decision.reason:
                what = 'holding' if decision.state is State.HOLD else 'stopped until ~/resume'
                self._logger.warning(f'{what}: {decision.text}')
            return
        if decision.state is State.RUNNING and (last is None or last.state is not State.RUNNING):
            self._logger.info('running')
            self._next_warning = now
        if decision.reason and now >= self._next_warning:
            self._next_warning = now + REPEAT
            what = (
                'waiting, nothing is commanded' if decision.state is State.WAITING
                else decision.reason.words)
            self._logger.warning(f'{what}: {decision.text}')
