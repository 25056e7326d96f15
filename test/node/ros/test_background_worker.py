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
"""Background worker: results are taken right after a tick."""

from __future__ import annotations

from functools import partial
import gc
import threading
import time
import weakref

import pytest

pytest.importorskip('rclpy')

from rclpy.node import Node

from dfp_ros.node.ros.background_worker import BackgroundWorker

LIMIT = 10.0  # s


def test_work_goes_on_after_the_next_tick(node: Node) -> None:
    worker = BackgroundWorker(node, lambda: True)
    worker.deliver()
    begun, went_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        worker.wait_for_tick()
        went_on.set()

    future = worker.submit(work, lambda _: None, lambda _: None).future
    assert begun.wait(LIMIT)
    # The tick before does not count: how much time is left until the next is not known.
    assert not went_on.is_set()
    while not went_on.wait(0.01):
        worker.deliver()
    future.result(LIMIT)
    worker.close()


def test_where_nothing_ticks_there_is_no_wait(node: Node) -> None:
    worker = BackgroundWorker(node, lambda: False)
    done = worker.submit(worker.wait_for_tick, lambda _: None, lambda _: None)
    done.future.result(LIMIT)
    worker.close()


def test_work_whose_ticks_end_goes_on(node: Node) -> None:
    worker = BackgroundWorker(node, lambda: True)
    done = worker.submit(worker.wait_for_tick, lambda _: None, lambda _: None)
    done.future.result(LIMIT)
    worker.close()


def test_work_that_never_ends_is_left_alone(node: Node) -> None:
    """It fails in time, later work is done, and closing does not wait for it."""
    may_end = threading.Event()
    worker = BackgroundWorker(node, lambda: True, lambda: 0.2)
    failed: list[Exception] = []
    done: list[str] = []
    try:
        worker.submit(may_end.wait, lambda _: None, failed.append)
        worker.submit(lambda: 'next', done.append, failed.append)
        deadline = time.monotonic() + LIMIT
        while not done:
            worker.deliver()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert 'did not end within 0.2 s' in str(failed[0])
        worker.submit(may_end.wait, lambda _: None, failed.append)
        worker.close()
    finally:
        # A failure must not leave a thread that keeps the interpreter from ending.
        may_end.set()
    assert len(failed) == 1


class Content:
    """Stands for a file in memory."""


@pytest.mark.parametrize('end', ['result', 'error', 'cancelled', 'closed', 'left alone'])
def test_nothing_of_a_job_is_left(node: Node, end: str) -> None:
    """Without a garbage collection: while a node ticks, there may be none for long."""
    may_end = threading.Event()
    worker = BackgroundWorker(node, lambda: True, lambda: 0.2 if end == 'left alone' else LIMIT)
    content = Content()
    found = weakref.ref(content)
    ended: list[str] = []

    def work(content: Content) -> Content:
        if end == 'left alone':
            may_end.wait(LIMIT)
        if end == 'error':
            try:
                raise ValueError('inner')
            except ValueError as error:
                raise ValueError('outer') from error
        return content

    gc.collect()
    gc.disable()
    try:
        job = worker.submit(
            partial(work, content), lambda content: ended.append('result'),
            lambda error: ended.append('error'))
        del content
        if end == 'cancelled':
            worker.cancel(job)
        if end == 'closed':
            worker.close()
        deadline = time.monotonic() + LIMIT
        while worker.has_work:
            worker.deliver()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        may_end.set()
        while found() is not None:
            assert time.monotonic() < deadline, gc.get_referrers(found())
            time.sleep(0.01)
    finally:
        gc.enable()
        if end != 'closed':
            worker.close()
    assert ended == {
        'result': ['result'], 'error': ['error'], 'left alone': ['error']}.get(end, [])
