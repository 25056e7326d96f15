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
"""Measurements of a preflight: wake-ups, percentiles, arrivals."""

from __future__ import annotations

import math

from hypothesis import given, strategies
import pytest

from dfp_ros.core.observation.sample import Sample
from dfp_ros.tools.preflight.arrivals import Arrivals
from dfp_ros.tools.preflight.measurements import Percentiles, WakeUps

MS = 1_000_000


def test_percentiles() -> None:
    """They are those of numpy, in ms."""
    figures = Percentiles.of([i * 1e-3 for i in range(1001)])
    assert figures.count == 1001
    assert (figures.p50, figures.p99, figures.p999, figures.largest) == pytest.approx(
        (500, 990, 999, 1000))
    assert math.isnan(Percentiles.of([]).p50)


def test_a_late_tick_costs_the_deadlines_that_it_passes_and_no_more() -> None:
    """Latency counts from the tick's own deadline; the grid does not move."""
    wake_ups = WakeUps(100 * MS, 10 * MS)
    assert wake_ups.add(101 * MS) == 1 * MS
    assert wake_ups.add(109 * MS) == 0
    assert wake_ups.missed == 0
    # Due at 120, begins at 145: 130 and 140 are gone, and the next is 150.
    assert wake_ups.add(145 * MS) == 25 * MS
    assert wake_ups.missed == 2
    assert wake_ups.add(152 * MS) == 2 * MS
    assert wake_ups.missed == 2


@given(strategies.lists(strategies.integers(0, 50 * MS), min_size=1, max_size=50))
def test_every_deadline_is_met_or_missed(lates: list[int]) -> None:
    """Each deadline is met or missed exactly once, and the next one is after the last tick."""
    wake_ups, due = WakeUps(0, 10 * MS), 0
    for ticks, late in enumerate(lates, 1):
        time = due + late
        assert wake_ups.add(time) == late
        due = (ticks + wake_ups.missed) * 10 * MS
        assert time < due <= max(time, due - late) + 10 * MS


def sample(received: int, stamp: int | None, *joints: str) -> Sample:
    """Make a sample of a source of joints."""
    return Sample(stamp, received, {'name': list(joints)})


def test_arrivals() -> None:
    """Rate, jitter, gaps to both ends, offsets, joints."""
    arrivals = Arrivals(1000 * MS)
    for received in (1010, 1020, 1030, 1060):
        arrivals.add(sample(received * MS, (received + 5) * MS, 'b', 'a'))
    figures = arrivals.figures(1200 * MS, [('a', 'name'), ('c', 'name')])
    assert figures['count'] == 4
    assert figures['rate'] == pytest.approx(3 / 0.05)
    assert figures['jitter'] == pytest.approx(math.sqrt(((10 / 1e3 - 50 / 3e3) ** 2 * 2 + (
        30 / 1e3 - 50 / 3e3) ** 2) / 3))
    assert figures['longest_gap'] == pytest.approx(0.14)
    assert figures['offset'] == figures['smallest_offset'] == pytest.approx(-0.005)
    assert figures['joints'] == ('b', 'a')
    assert figures['missing_joints'] == ('c',)
    assert figures['empty_stamps'] == 0


def test_a_source_that_is_late_at_the_start() -> None:
    """The time until its first message is a gap like others."""
    arrivals = Arrivals(0)
    for received in (400, 410):
        arrivals.add(sample(received * MS, None))
    assert arrivals.figures(420 * MS, [])['longest_gap'] == pytest.approx(0.4)


def test_stamps_that_are_empty_or_none() -> None:
    """An empty stamp is counted; a message without one has no offset."""
    arrivals = Arrivals(0)
    arrivals.add(sample(5, 0))
    arrivals.add(sample(6, None))
    figures = arrivals.figures(10, [])
    assert figures['empty_stamps'] == 1
    assert math.isnan(figures['offset'])


def test_no_arrival() -> None:
    """The gap is as long as the measuring; no joint is missed before a message came."""
    figures = Arrivals(0).figures(3000 * MS, [('a', 'name')])
    assert figures['count'] == 0
    assert math.isnan(figures['rate'])
    assert math.isnan(figures['jitter'])
    assert figures['longest_gap'] == pytest.approx(3)
    assert figures['missing_joints'] == ()
