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
"""Background worker: a thread for long jobs, whose results are delivered between ticks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
import contextlib
from dataclasses import dataclass
import threading
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.hung_calls import give_up
from dfp_ros.node.realtime.switch_interval import ShortSwitchInterval
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING
from dfp_ros.spec_bounds import LONGEST_PERIOD

# Period of the timer that delivers results, in s, while there is work.
_POLL = 0.01
# Longest wait of a job for a tick, in s: ticks may end meanwhile.
_LONGEST_WAIT = 0.5
# Timeout for a thread that hangs when the worker is closed, in s.
_LONGEST_CLOSE = 2.0
# Two of the longest ticks: ticks of simulated time come later than this, or never.
_LONGEST_TICKLESS = 2 * LONGEST_PERIOD


@dataclass
class Job:
    """
    A job of a background worker.

    :param future: Its result.
    :param done: Called with the result.
    :param failed: Called with the error instead.
    :param work: The function of the job.
    :param is_cancelled: Whether the result is not needed any more.
    :param begun: Start by the monotonic clock in s; None before.
    """

    future: Future[Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    work: Callable[[], Any]
    is_cancelled: bool = False
    begun: float | None = None

    def drop(self) -> list[Any]:
        """
        Let go of the work and of its result.

        They refer to the job and the job to them, often by way of an error's traceback, and they
        may have a whole file in memory: without this, only Python's garbage collector frees them.

        :return: All that was held, without another reference.
        """
        if self.future.done() and not self.future.cancelled():
            error = self.future.exception()
            while error is not None:
                error.__traceback__ = None
                error = error.__cause__ or error.__context__
        held = [self.future, self.work, self.done, self.failed]
        self.future, self.work, self.done, self.failed = Future(), _nothing, _drop, _drop
        return held


class BackgroundWorker:
    """
    Runs jobs one after the other.

    Results are delivered right after a tick, when there is most time until the next. Without
    ticks, or while simulated time stands still and none comes, a timer of the node delivers them,
    which does not need an executor yet. In both cases, the callbacks run on the thread of the
    ticks.

    :param node: Creates the timer.
    :param is_ticking: Returns whether :meth:`deliver` is called after ticks.
    :param longest: Returns the timeout of a job in s; the thread of a job that takes longer is
        abandoned, and another continues. None for no timeout.
    """

    def __init__(
            self, node: Node, is_ticking: Callable[[], bool],
            longest: Callable[[], float] | None = None) -> None:
        """Start without a job."""
        self._node = node
        self._is_ticking = is_ticking
        self._longest = longest
        self._thread = _make_thread()
        self._jobs: deque[Job] = deque()
        self._ticked = threading.Event()
        self._timer: Any = None
        self._delivered = time.monotonic()
        # The worker must not hold the GIL when a tick is due.
        self._switch_interval = ShortSwitchInterval()

    def submit(
            self, work: Callable[[], Any], done: Callable[[Any], None],
            failed: Callable[[Exception], None]) -> Job:
        """
        Submit a job.

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
            # Without jobs, it may not be called after ticks.
            self._delivered = time.monotonic()
            self._timer = self._node.create_timer(
                _POLL, self._deliver_without_ticks, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return job

    def wait_for_tick(self) -> None:
        """
        Wait for the moment right after a tick; called by a job, in the worker's thread.

        Without ticks, it returns at once.
        """
        if self._is_ticking():
            self._ticked.clear()
            self._ticked.wait(_LONGEST_WAIT)

    def cancel(self, job: Job) -> None:
        """Cancel a job; one that has begun is finished, and its result discarded."""
        job.is_cancelled = True
        job.future.cancel()

    def close(self) -> None:
        """Cancel all jobs, and wait for the running one, up to a timeout."""
        for job in self._jobs:
            job.future.cancel()
            job.drop()
        self._jobs.clear()
        self._stop_timer()
        self._ticked.set()
        last = self._thread.submit(int)
        self._thread.shutdown(wait=False)
        try:
            last.result(_LONGEST_CLOSE)
        except TimeoutError:
            give_up(last)
            self._node.get_logger().error(
                'a thread that loads a file hangs, and is abandoned')
        self._switch_interval.close()

    def release(self, box: list[Any]) -> None:
        """
        Free an object in the worker's thread, as that may take long.

        :param box: Holds the only reference to it; it is emptied.
        """
        self._thread.submit(box.clear)

    def _deliver_without_ticks(self) -> None:
        """Deliver results while there are no ticks, or none has come for long."""
        if not self._is_ticking() or time.monotonic() > self._delivered + _LONGEST_TICKLESS:
            self._deliver()

    def deliver(self) -> None:
        """Deliver finished results after a tick, and release jobs that wait for one."""
        self._delivered = time.monotonic()
        self._deliver()

    def _deliver(self) -> None:
        """Deliver finished results."""
        self._ticked.set()
        while self._jobs and self._jobs[0].future.done():
            self._hand_over(self._jobs.popleft())
        if self._jobs:
            self._leave_alone(self._jobs[0])
        else:
            self._stop_timer()

    def _hand_over(self, job: Job) -> None:
        """Hand over a result, and free it afterwards."""
        error: BaseException | None = None
        try:
            if job.is_cancelled:
                return
            error = job.future.exception()
            if error is None:
                job.done(job.future.result())
            elif isinstance(error, Exception):
                job.failed(error)
        finally:
            # It may take long to free.
            error = None
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self.release(job.drop())

    def _leave_alone(self, job: Job) -> None:
        """Abandon a job that exceeds its timeout, and continue with the others in a new thread."""
        if self._longest is None or job.begun is None or (
                time.monotonic() < job.begun + self._longest()):
            return
        self._jobs.remove(job)
        give_up(job.future)
        hung, self._thread = self._thread, _make_thread()
        # The jobs behind it are submitted again, in the same order.
        waiting, self._jobs = self._jobs, deque()
        for other in waiting:
            if other.future.cancel() and not other.is_cancelled:
                other.future = self._thread.submit(other.work)
                self._jobs.append(other)
        hung.shutdown(wait=False)
        if not job.is_cancelled:
            job.failed(TimeoutError(
                'loading did not end within '
                f'{self._longest():g} s, and its thread is abandoned'))
        job.drop()

    @property
    def has_work(self) -> bool:
        """Whether there are jobs whose result was not delivered."""
        return bool(self._jobs)

    def _stop_timer(self) -> None:
        """Destroy the timer."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None


def _nothing() -> None:
    """Stand for work that is over."""


def _drop(_: Any) -> None:
    """Drop an unused result."""


def _make_thread() -> ThreadPoolExecutor:
    """Make a background thread."""
    return ThreadPoolExecutor(
        max_workers=1, thread_name_prefix='worker', initializer=SCHEDULING.step_aside)
