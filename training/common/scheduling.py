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
"""Scheduling of this process's threads."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import threading

_THREADS = '/proc/self/task'


@contextlib.contextmanager
def kept_scheduling() -> Iterator[None]:
    """
    Keep the scheduling of the calling thread, and give it to threads that are started within.

    For a library that takes a real-time priority where it may, as libraries of videos do for the
    user root: it would preempt the control loops of this machine.
    """
    if not os.path.isdir(_THREADS):
        yield
        return
    policy, wanted = os.sched_getscheduler(0), os.sched_getparam(0)
    before = set(os.listdir(_THREADS)) - {str(threading.get_native_id())}
    try:
        yield
    finally:
        for thread in set(os.listdir(_THREADS)) - before:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread), policy, wanted)
