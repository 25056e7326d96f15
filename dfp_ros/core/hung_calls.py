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
"""Abandoned calls, which may never return, and process exit without waiting for them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
import os
import signal
import sys
import threading
from typing import Any
import weakref

_given_up: weakref.WeakSet[Future[Any]] = weakref.WeakSet()


def give_up(future: Future[Any]) -> None:
    """Register a call that is still running and is not awaited any more."""
    _given_up.add(future)


def leave(status: int) -> int:
    """
    End the process at once if a call hangs; Python and ONNX Runtime would wait for its thread.

    :param status: The exit status.
    :return: The same status, if no call hangs.
    """
    if all(future.done() for future in _given_up):
        return status
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


@contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """
    Have SIGINT end the process at once meanwhile, as SIGTERM does.

    For calls of other libraries that may take for ever: Python turns a signal into an exception
    only once they return. A handler of the application stays.
    """
    if threading.current_thread() is not threading.main_thread() or (
            signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
