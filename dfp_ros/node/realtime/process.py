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
"""Real-time settings of an active node: scheduling, memory lock, garbage collection."""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Any

from dfp_ros.core.settings.realtime import RealtimeSettings
from dfp_ros.node.realtime.garbage_collector import GARBAGE
from dfp_ros.node.realtime.memory_lock import MEMORY
from dfp_ros.node.realtime.privileges import RefusedError
from dfp_ros.node.realtime.thread_scheduling import read_scheduling, SCHEDULING
from dfp_ros.node.realtime.timer_slack import read_timer_slack, set_timer_slack

_IS_LINUX = sys.platform == 'linux'


class Realtime:
    """
    Requests scheduling, CPU affinity, locked memory and no automatic garbage collection.

    :ivar refused: Requests that were refused at the last :meth:`acquire`, and what they need.
    """

    def __init__(self) -> None:
        """Start without a request."""
        self.refused: tuple[str, ...] = ()
        self._given_back: list[Callable[[], None]] = []

    def acquire(self, settings: RealtimeSettings) -> None:
        """
        Request the settings, in place of those before.

        :param settings: The settings.
        """
        self.release()
        GARBAGE.acquire()
        self._given_back.append(GARBAGE.release)
        refused = []
        wanted: list[tuple[Callable[[], None], Callable[[], None]]] = []
        if settings.processors:
            wanted.append((
                lambda: SCHEDULING.acquire(0, settings.processors), SCHEDULING.release))
        if settings.priority:
            wanted.append((
                lambda: SCHEDULING.acquire(settings.priority, frozenset()), SCHEDULING.release))
        if settings.lock_memory:
            wanted.append((MEMORY.acquire, MEMORY.release))
        for ask, give_back in wanted:
            try:
                if not _IS_LINUX:
                    raise RefusedError('parameters realtime.*: are for Linux')
                ask()
                self._given_back.append(give_back)
            except RefusedError as error:
                refused.append(str(error))
        self.refused = tuple(refused)

    def acquire_or_warn(self, settings: RealtimeSettings, logger: Any) -> None:
        """
        Request the settings, and log those that the system refuses.

        :param settings: The settings.
        :param logger: The node's.
        :raises RefusedError: If the system refuses a required setting; nothing is kept then.
        """
        self.acquire(settings)
        if self.refused and settings.required:
            self.release()
            raise RefusedError('; '.join(self.refused))
        for text in self.refused:
            logger.warning(f'{text}; the node continues without it')

    def release(self) -> None:
        """Undo all granted requests."""
        while self._given_back:
            self._given_back.pop()()

    def facts(self) -> dict[str, str]:
        """Scheduling of the calling thread, and refused requests, for diagnostics."""
        facts = {'realtime_refused': '; '.join(self.refused)}
        if _IS_LINUX:
            found = read_scheduling()
            facts |= {
                'realtime_scheduling': str(found),
                'realtime_cpus': ','.join(map(str, sorted(found.processors))),
                'realtime_memory_locked': str(MEMORY.is_locked),
                'realtime_timer_slack_us': f'{read_timer_slack():g}'}
        return facts


def prepare_threads(timer_slack: int) -> None:
    """
    Set properties that later threads inherit; call it before the executor is made.

    :param timer_slack: In microseconds; 0 leaves it as it is.
    :raises RefusedError: If the system refuses.
    """
    if _IS_LINUX and timer_slack:
        set_timer_slack(timer_slack)
