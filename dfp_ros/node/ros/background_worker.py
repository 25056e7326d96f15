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
"""A thread for what takes longer than a tick; its results come back between two ticks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
import threading
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.hung_calls import give_up
from dfp_ros.node.realtime.switch_interval import ShortSwitchInterval
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING

# How often results are looked for, in s, while there is work.
_POLL = 0.01
# How long work waits for a tick at most, in s: ticks may end while it waits.
_LONGEST_WAIT = 0.5
# How long a thread that does not come to an end is waited for when it is closed, in s.
_LONGEST_CLOSE = 2.0


@dataclass
class Job:
    """
    Work under way.

    :param future: Its result.
    :param done: Called with the result.
    :param failed: Called with the error instead.
    :param work: What is done.
    :param is_cancelled: Whether nobody wants the result any more.
    :param begun: When it began, by the monotonic clock in s; None before.
    """

    future: Future[Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    work: Callable[[], Any]
    is_cancelled: bool = False
    begun: float | None = None


class BackgroundWorker:
    """
    Works through jobs one after the other.

    Results are looked for right after a tick, when there is most time until the next. While there
    are no ticks, a timer of the node looks for them: it needs no executor to be there yet. Either
    way, whatever a result leads to happens on the thread that ticks.

    :param node: Creates the timer.
    :param is_ticking: Says whether :meth:`look` is called after ticks.
    :param longest: Gives how long a job may take in s; the thread of one that takes longer is left
        alone, and another goes on. None for ever.
    """

    def __init__(
            self, node: Node, is_ticking: Callable[[], bool],
            longest: Callable[[], float] | None = None) -> None:
        """Start without work."""
        self._node = node
        self._is_ticking = is_ticking
        self._longest = longest
        self._thread = _make_thread()
        self._jobs: deque[Job] = deque()
        self._ticked = threading.Event()
        self._timer: Any = None
        # The worker must not keep the interpreter from a tick that is due.
        self._switch_interval = ShortSwitchInterval()

    def submit(
            self, work: Callable[[], Any], done: Callable[[Any], None],
            failed: Callable[[Exception], None]) -> Job:
        """
        Take on a job.

        :param work: Runs in the worker's thread.
        :param done: Gets the result, in the node's thread.
        :param failed: Gets the error, in the node's thread.
        """
        def work_aside() -> Any:
            job.begun = time.monotonic()
            try:
                return work()
            finally:
                SCHEDULING.refresh()

        job = Job(Future(), done, failed, work_aside)
        job.future = self._thread.submit(work_aside)
        self._jobs.append(job)
        if self._timer is None:
            self._timer = self._node.create_timer(
                _POLL, self._look_without_ticks, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return job

    def wait_for_tick(self) -> None:
        """
        Wait for the moment when there is most time until a tick; for work, in its own thread.

        Where nothing ticks, there is nothing to wait for.
        """
        if self._is_ticking():
            self._ticked.clear()
            self._ticked.wait(_LONGEST_WAIT)

    def cancel(self, job: Job) -> None:
        """Give up a job; one that has begun is finished, and its result is dropped."""
        job.is_cancelled = True
        job.future.cancel()

    def close(self) -> None:
        """Give up all jobs, and wait for the one that has begun; for one that hangs, not long."""
        for job in self._jobs:
            job.future.cancel()
        self._jobs.clear()
        self._stop_looking()
        self._ticked.set()
        last = self._thread.submit(int)
        self._thread.shutdown(wait=False)
        try:
            last.result(_LONGEST_CLOSE)
        except TimeoutError:
            give_up(last)
            self._node.get_logger().error(
                'a thread that loads does not come to an end, and is left alone')
        self._switch_interval.close()

    def release(self, box: list[Any]) -> None:
        """
        Free in the worker's thread what takes long to free.

        :param box: Holds it, and nobody else does; it is emptied.
        """
        self._thread.submit(box.clear)

    def _look_without_ticks(self) -> None:
        """Look for results where no tick does."""
        if not self._is_ticking():
            self.look()

    def look(self) -> None:
        """Hand over results that have come, and let go who waits for a tick."""
        self._ticked.set()
        while self._jobs and self._jobs[0].future.done():
            job = self._jobs.popleft()
            if job.is_cancelled:
                continue
            error = job.future.exception()
            if error is None:
                job.done(job.future.result())
            elif isinstance(error, Exception):
                job.failed(error)
        if self._jobs:
            self._leave_alone(self._jobs[0])
        else:
            self._stop_looking()

    def _leave_alone(self, job: Job) -> None:
        """Give up a job that takes too long, and go on with the others in another thread."""
        if self._longest is None or job.begun is None or (
                time.monotonic() < job.begun + self._longest()):
            return
        self._jobs.remove(job)
        give_up(job.future)
        hung, self._thread = self._thread, _make_thread()
        # What waits behind it is asked for anew, in the same order.
        waiting, self._jobs = self._jobs, deque()
        for other in waiting:
            if other.future.cancel() and not other.is_cancelled:
                other.future = self._thread.submit(other.work)
                self._jobs.append(other)
        hung.shutdown(wait=False)
        if not job.is_cancelled:
            job.failed(TimeoutError(
                'loading did not come to an end within '
                f'{self._longest():g} s, and its thread is left alone'))

    @property
    def has_work(self) -> bool:
        """Return whether there is work whose result was not handed over."""
        return bool(self._jobs)

    def _stop_looking(self) -> None:
        """Destroy the timer."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None


def _make_thread() -> ThreadPoolExecutor:
    """Make a thread that works beside the loop."""
    return ThreadPoolExecutor(
        max_workers=1, thread_name_prefix='worker', initializer=SCHEDULING.step_aside)
