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
"""Timing of calls in interleaved blocks, so that other load affects all conditions alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import gc
import time

import numpy as np
from numpy.typing import NDArray

from bench.common.sleep import sleep_until

Call = Callable[[int], object]
# Warm-up calls before the timed ones, because another condition has used the caches.
_WARM_UP = 20


def wait_until(due: float) -> None:
    """Sleep until a time of ``perf_counter``, in s; on Linux, that is CLOCK_MONOTONIC."""
    sleep_until(round(due * 1e9))


def tight(call: Call, calls: int) -> NDArray[np.float64]:
    """
    Call in a tight loop, with warm caches and clocks.

    :param call: Function of a count.
    :param calls: Number of calls.
    :return: Duration of each call in s, shape (calls,).
    """
    for i in range(_WARM_UP):
        call(i)
    taken = np.empty(calls)
    clock = time.perf_counter
    for i in range(calls):
        start = clock()
        call(i)
        taken[i] = clock() - start
    return taken


def paced(
        call: Call, calls: int, rate: float,
        wait: Callable[[float], None] = wait_until) -> NDArray[np.float64]:
    """
    Call at a rate, as a control loop does: in between, other processes use caches and processor.

    :param call: Function of a count.
    :param calls: Number of calls.
    :param rate: Hz.
    :param wait: Waits until a time of ``perf_counter``, in s.
    :return: Duration of each call in s, shape (calls,).
    """
    taken = np.empty(calls)
    clock = time.perf_counter
    due = clock()
    # The first two run in the caches of the condition before.
    for i in range(-2, calls):
        due = max(due + 1 / rate, clock())
        wait(due)
        start = clock()
        call(i)
        taken[max(i, 0)] = clock() - start
    return taken


def in_turns(
        conditions: Mapping[str, tuple[Callable[[int], NDArray[np.float64]], int]],
        turns: int) -> dict[str, NDArray[np.float64]]:
    """
    Time several conditions in interleaved blocks.

    :param conditions: By name, a function that times a number of calls, and the total number.
    :param turns: Number of blocks of each condition.
    :return: Duration of each call in s, by name.
    """
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in conditions}
    gc.collect()
    gc.disable()
    try:
        for _ in range(turns):
            for name, (timed, calls) in conditions.items():
                found[name].append(timed(-(-calls // turns)))
    finally:
        gc.enable()
    return {name: np.concatenate(blocks) for name, blocks in found.items()}
