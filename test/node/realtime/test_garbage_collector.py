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
"""Garbage collector: collections after ticks, in their slack, and at the latest when due."""

from __future__ import annotations

from collections.abc import Iterator
import gc
import math
from typing import Any
import weakref

import pytest

from dfp_ros.node.realtime.garbage_collector import TickCollector

# How many objects Python lets add up by itself.
_ORDINARY = gc.get_threshold()[0]


def _plenty() -> float:
    return math.inf


def _nothing() -> float:
    return 0.0


class Knot:
    """Refers to itself, so that only a collector frees it."""

    def __init__(self) -> None:
        """Tie it."""
        self.itself = self


@pytest.fixture(name='collections')
def count_collections() -> Iterator[list[int]]:
    """Note the generation of each collection."""
    found: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == 'start':
            found.append(info['generation'])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


@pytest.fixture(name='collector')
def acquired() -> Iterator[TickCollector]:
    """Acquire a collector, and leave everything as it was."""
    before = gc.get_threshold()
    collector = TickCollector()
    collector.acquire()
    yield collector
    collector.release()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def _tie(knots: int) -> list[weakref.ref[Knot]]:
    """Make garbage."""
    return [weakref.ref(Knot()) for _ in range(knots)]


def test_nothing_is_collected_within_a_tick(
        collector: TickCollector, collections: list[int]) -> None:
    """However much adds up, it is collected when the tick is over, and then all of it."""
    tied = _tie(5000)
    assert collections == []
    collector.after_tick(_plenty)
    assert collections == [0]
    assert not any(knot() for knot in tied)


def test_a_tick_that_makes_nothing_collects_nothing(
        collector: TickCollector, collections: list[int]) -> None:
    """Collections cost time, so there are none without need."""
    for _ in range(1000):
        collector.after_tick(_plenty)
    assert collections == []


def test_garbage_stays_bounded_however_little_time_there_is(
        collector: TickCollector, collections: list[int]) -> None:
    """Ticks without any time left collect at last all the same, later than those with time."""
    alive: list[weakref.ref[Knot]] = []
    most = 0
    for _ in range(300):
        alive = [knot for knot in alive + _tie(200) if knot() is not None]
        most = max(most, len(alive))
        collector.after_tick(_nothing)
    assert collections
    assert 5 * _ORDINARY < most < 20 * _ORDINARY


def test_old_generations_are_collected_too(
        collector: TickCollector, collections: list[int]) -> None:
    """Garbage that outlived the younger generations does not stay."""
    kept = [Knot() for _ in range(10)]
    tied = [weakref.ref(knot) for knot in kept]
    for _ in range(40):
        _tie(1000)
        collector.after_tick(_plenty)
    kept.clear()
    for _ in range(300):
        _tie(1000)
        collector.after_tick(_plenty)
    assert {0, 1, 2} <= set(collections)
    assert not any(knot() for knot in tied)


def test_nodes_share_it(collections: list[int]) -> None:
    """While one of two is active, nothing is collected by itself."""
    collector = TickCollector()
    collector.acquire()
    collector.acquire()
    collector.release()
    try:
        collections.clear()
        _tie(5000)
        assert collections == []
    finally:
        collector.release()
    _tie(5000)
    assert collections
