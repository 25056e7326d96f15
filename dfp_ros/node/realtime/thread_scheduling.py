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
"""Thread scheduling: real-time priority and CPU affinity, and their restoration."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import os
import resource
import threading
import weakref

from dfp_ros.node.realtime.privileges import (
    CAP_SYS_NICE,
    format_limit,
    has_capability,
    RefusedError,
)


@dataclass(frozen=True)
class ThreadScheduling:
    """
    Scheduling of a thread.

    :param policy: One of ``os.SCHED_*``.
    :param priority: Priority of real-time policies, else 0.
    :param processors: Its CPU affinity.
    """

    policy: int
    priority: int
    processors: frozenset[int]

    def __str__(self) -> str:
        """Format policy and priority."""
        name = next((
            name for name in ('SCHED_OTHER', 'SCHED_FIFO', 'SCHED_RR', 'SCHED_BATCH', 'SCHED_IDLE')
            if getattr(os, name) == self.policy), str(self.policy))
        return f'{name} {self.priority}' if self.priority else name


def read_scheduling(thread: int = 0) -> ThreadScheduling:
    """
    Read the scheduling of a thread.

    :param thread: Its thread id; 0 is the calling thread.
    :raises ProcessLookupError: If it has ended.
    """
    # A policy may have the flag SCHED_RESET_ON_FORK.
    policy = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
    return ThreadScheduling(
        policy, os.sched_getparam(thread).sched_priority,
        frozenset(os.sched_getaffinity(thread)))


class ProcessScheduling:
    """
    Changes the scheduling of the threads of this process, and restores it.

    Later threads inherit from the one that starts them. Several nodes in a process share its
    threads: the last request applies, until all are released.
    """

    def __init__(self) -> None:
        """Start without a change."""
        self._lock = threading.RLock()
        self._before: dict[int, ThreadScheduling] = {}
        # Original scheduling of the threads that later ones descend from.
        self._ordinary: ThreadScheduling | None = None
        self._priority = 0
        self._processors: frozenset[int] = frozenset()
        self._holders = 0
        self._aside: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._ahead: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        # Background threads that need no interpreter for now, and threads that never do.
        self._below: set[int] = set()
        self._native: set[int] = set()

    def acquire(self, priority: int, processors: frozenset[int]) -> None:
        """
        Schedule all threads; background threads get one priority less.

        A background thread that loads a policy may hold the GIL when a tick is due, so other
        processes must not preempt it; but on a single processor it must not delay the tick either.
        Its affinity is not changed.

        :param priority: Under SCHED_FIFO, 1 to 99; 0 for no change.
        :param processors: CPU affinity; empty for no change.
        :raises RefusedError: If the system refuses; nothing has changed then.
        """
        with self._lock:
            if self._ordinary is None:
                self._ordinary = read_scheduling()
            done: set[int] = set()
            before = dict(self._before)
            try:
                while new := set(_threads()) - done:
                    aside, ahead = self._aside_now(), _numbers(self._ahead)
                    # The loop's threads come first: a refusal names the requested priority.
                    for thread in sorted(new, key=(aside | ahead).__contains__):
                        with contextlib.suppress(ProcessLookupError):
                            self._before.setdefault(thread, read_scheduling(thread))
                            if thread in self._native or thread in self._below:
                                continue
                            if thread in ahead:
                                _schedule_ahead(thread, priority)
                                continue
                            _schedule(
                                thread, priority if thread not in aside else _less(priority),
                                processors if thread not in aside else frozenset())
                    done |= new
            except RefusedError:
                if self._holders:
                    self._before = before
                else:
                    self._restore()
                raise
            self._priority = priority or self._priority
            self._processors = processors or self._processors
            self._holders += 1

    def release(self) -> None:
        """Undo one :meth:`acquire`; the last restores the scheduling."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._restore()

    def refresh(self) -> None:
        """Schedule threads of the loop that a background thread started: those of a policy."""
        with self._lock:
            if self._holders:
                self._native &= set(_threads())
                for thread in (set(_threads()) - self._aside_now() - _numbers(self._ahead)
                               - self._native):
                    with contextlib.suppress(ProcessLookupError, RefusedError):
                        _schedule(thread, self._priority, self._processors)

    def step_aside(self) -> None:
        """Make the calling thread a background thread, until it ends."""
        with self._lock:
            self._aside.add(threading.current_thread())
            if self._holders and self._ordinary is not None:
                with contextlib.suppress(RefusedError):
                    _schedule(0, _less(self._priority), self._ordinary.processors)

    def step_down(self) -> None:
        """
        Give a background thread its original scheduling, until :meth:`step_up`.

        For long work without the interpreter: no tick waits for it, and other processes need not.
        Other threads stay as they are.
        """
        with self._lock:
            if threading.current_thread() not in self._aside:
                return
            self._below.add(threading.get_native_id())
            if self._holders:
                self._make_ordinary(0)

    def step_up(self) -> None:
        """Undo :meth:`step_down`, right after the interpreter was taken again."""
        with self._lock:
            if threading.get_native_id() not in self._below:
                return
            self._below.remove(threading.get_native_id())
            if self._holders:
                with contextlib.suppress(RefusedError):
                    _schedule(0, _less(self._priority), frozenset())

    @contextlib.contextmanager
    def native_threads(self) -> Iterator[None]:
        """Leave threads with their original scheduling that are started within, by no Python."""
        before = set(_threads())
        try:
            yield
        finally:
            with self._lock:
                new = set(_threads()) - before - {
                    thread.native_id for thread in threading.enumerate()}
                self._native |= new
                for thread in new if self._holders else ():
                    with contextlib.suppress(ProcessLookupError):
                        self._make_ordinary(thread)

    def _make_ordinary(self, thread: int) -> None:
        """Give a thread the scheduling from before; 0 is the calling one."""
        old = self._ordinary
        assert old is not None, 'somebody has changed it'
        os.sched_setscheduler(thread, old.policy, os.sched_param(old.priority))

    def step_ahead(self) -> None:
        """
        Give the calling thread precedence over the loop, until it ends.

        If the loop has real-time priority, it gets one priority more, if the system allows it, and
        keeps its original affinity: a loop that hangs may occupy its processors for ever.
        """
        with self._lock:
            self._ahead.add(threading.current_thread())
            if self._holders and self._ordinary is not None:
                with contextlib.suppress(RefusedError):
                    _schedule(0, 0, self._ordinary.processors)
                    _schedule_ahead(0, self._priority)

    def _aside_now(self) -> set[int]:
        """Return the background threads."""
        return _numbers(self._aside)

    def _restore(self) -> None:
        """Restore the scheduling of all threads; later ones get that of the first."""
        assert self._ordinary is not None
        for thread in _threads():
            old = self._before.get(thread, self._ordinary)
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, old.processors)
                os.sched_setscheduler(thread, old.policy, os.sched_param(old.priority))
        self._before, self._ordinary = {}, None
        self._priority, self._processors = 0, frozenset()


def _threads() -> Iterator[int]:
    """Iterate over the thread ids of this process."""
    return map(int, os.listdir('/proc/self/task'))


def _numbers(threads: weakref.WeakSet[threading.Thread]) -> set[int]:
    """Return the thread ids of running threads."""
    return {thread.native_id for thread in threads if thread.native_id is not None
            and thread.is_alive()}


def _schedule_ahead(thread: int, priority: int) -> None:
    """Give a thread one priority above the loop's, or the same if that is refused."""
    if priority:
        try:
            _schedule(thread, min(99, priority + 1), frozenset())
        except RefusedError:
            _schedule(thread, priority, frozenset())


def _less(priority: int) -> int:
    """Return one priority less, but at least 1."""
    return max(min(priority, 1), priority - 1)


def _schedule(thread: int, priority: int, processors: frozenset[int]) -> None:
    """Schedule a thread; 0 and empty leave priority and affinity unchanged."""
    if processors:
        before = os.sched_getaffinity(thread)
        try:
            os.sched_setaffinity(thread, processors)
            # The kernel silently ignores processors that do not exist.
            found = os.sched_getaffinity(thread)
        except ProcessLookupError:
            raise
        except OSError:
            found = set()
        if found != processors:
            wanted = ','.join(map(str, sorted(processors)))
            os.sched_setaffinity(thread, before)
            raise RefusedError(
                f'processors {wanted} were refused: of them this process can have '
                f'{",".join(map(str, sorted(found))) or "none"}; see `nproc --all`, and the '
                'cpuset of the container or service')
    if priority:
        try:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
        except PermissionError:
            raise RefusedError(_explain(priority)) from None


def _explain(priority: int) -> str:
    """Explain the requirements of SCHED_FIFO."""
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    allowed = limit == resource.RLIM_INFINITY or limit >= priority
    if allowed or has_capability(CAP_SYS_NICE):
        why = (
            "the limits allow it, so it is the control group's real-time budget or a security "
            'profile that does not; see docs/realtime.md')
    else:
        why = (
            f'the limit is {format_limit(resource.RLIMIT_RTPRIO)} (`ulimit -r`), and the process '
            f'lacks CAP_SYS_NICE; set rtprio {priority} in /etc/security/limits.conf, '
            f'LimitRTPRIO={priority} in a systemd unit, or --ulimit rtprio={priority} for a '
            'container; see docs/realtime.md')
    return f'SCHED_FIFO with priority {priority} was refused: {why}'


#: The scheduling of this process.
SCHEDULING = ProcessScheduling()
