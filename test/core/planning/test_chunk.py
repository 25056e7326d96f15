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
"""Noise and chunks: reproducibility by seed, and the action of each tick."""

import numpy as np
import pytest

from dfp_ros.core.planning.chunk_player import ChunkPlayer, Due
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.policy.noise import NoiseStream

PERIOD = 50_000_000


def chunk(horizon: int = 5) -> Chunk:
    """Make a chunk whose actions are their own index."""
    return Chunk(np.arange(horizon, dtype=np.float32)[:, None], 0.0, 0.0)


def play(tick: int, times: list[int]) -> list[int | None]:
    """Play one chunk that starts at the first of some times; the index at each."""
    player = ChunkPlayer(chunk(), times[0], PERIOD, tick)
    due = [player.next(now) for now in times]
    return [None if item is None else item.index for item in due]


def test_noise_is_that_of_the_generator() -> None:
    """One draw a chunk from PCG64, scaled; the same again after a reset."""
    stream = NoiseStream(7, candidates=3, size=4, scale=0.5)
    random = np.random.Generator(np.random.PCG64(7))
    first = stream.next()
    np.testing.assert_array_equal(
        first, np.float32(0.5) * random.standard_normal((3, 4), dtype=np.float32))
    np.testing.assert_array_equal(
        stream.next(), np.float32(0.5) * random.standard_normal((3, 4), dtype=np.float32))
    stream.reset(7)
    np.testing.assert_array_equal(stream.next(), first)
    stream.reset(8)
    assert (stream.next() != first).any()
    assert first.dtype == np.float32


@pytest.mark.parametrize('mode', ['held', 'zero'])
def test_noise_that_does_not_change(mode: str) -> None:
    """Held noise is the first draw of its seed, until a reset; zero noise is zero."""
    stream = NoiseStream(7, 3, 4, 0.5, mode)
    first = stream.next()
    expected = NoiseStream(7, 3, 4, 0.5).next() if mode == 'held' else np.zeros((3, 4))
    for _ in range(3):
        np.testing.assert_array_equal(stream.next(), expected)
    assert stream.draws == (mode == 'held')
    stream.reset(8)
    assert (stream.next() != first).any() == (mode == 'held')
    assert first.dtype == np.float32


def test_one_action_per_tick_with_any_jitter() -> None:
    """At the policy's own rate, every tick plays the next action, early or late."""
    times = [0, 30_000_000, 110_000_000, 149_999_999, 200_000_000, 250_000_000]
    assert play(PERIOD, times) == [0, 1, 2, 3, 4, None]


@pytest.mark.parametrize(('rate', 'expected'), [
    (40, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, None]),
    (30, [0, 0, 1, 2, 2, 3, 4, 4, None]),
    (200, [*(index // 10 for index in range(50)), None]),
    (10, [0, 2, 4, None]),
])
def test_other_rates_play_by_time(rate: int, expected: list[int | None]) -> None:
    """At another rate, an action is played as long as it is meant for, jitter notwithstanding."""
    tick = round(1e9 / rate)
    jitter = np.random.default_rng(0).integers(-tick // 5, tick // 5, len(expected))
    times = [i * tick + (int(jitter[i]) if i else 0) for i in range(len(expected))]
    assert play(tick, times) == expected


def test_missed_ticks_do_not_stretch_the_chunk() -> None:
    """At another rate, missed actions are skipped."""
    tick = PERIOD // 4
    assert play(tick, [0, tick, 9 * tick, 21 * tick]) == [0, 0, 2, None]


def test_clock_set_back_needs_a_new_chunk() -> None:
    """A chunk that begins in the future is not played."""
    assert play(PERIOD // 4, [10 * PERIOD, 5 * PERIOD]) == [0, None]


def test_says_how_much_of_an_action_is_over() -> None:
    """At four ticks an action, by quarters; and without the tick that is peeked at."""
    player = ChunkPlayer(chunk(), 0, PERIOD, PERIOD // 4)
    for i in range(20):
        now, due = i * PERIOD // 4, Due(i // 4, i % 4 / 4)
        assert player.peek(now) == due
        assert player.next(now) == due
    assert player.peek(5 * PERIOD) is None
    each = ChunkPlayer(chunk(), 0, PERIOD, PERIOD)
    each.skip()
    assert each.peek(PERIOD) == each.next(PERIOD) == Due(1, 0)
