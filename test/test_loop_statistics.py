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
"""Statistics of the control loop, against numpy's."""

import math

import numpy as np
import pytest

from dfp_ros.loop_statistics import LoopStatistics, Series


def test_series_against_numpy() -> None:
    """Windows end with each report; the run goes on."""
    series, values = Series(), np.random.default_rng(0).lognormal(size=300)
    for part in (values[:100], values[100:]):
        for value in part:
            series.add(value)
        found = series.window()
        assert found['mean'] == pytest.approx(part.mean())
        assert found['std'] == pytest.approx(part.std())
        assert found['p50'] == pytest.approx(np.percentile(part, 50))
        assert found['p99'] == pytest.approx(np.percentile(part, 99))
        assert found['max'] == part.max()
    run = series.run()
    assert run['mean'] == pytest.approx(values.mean())
    assert run['std'] == pytest.approx(values.std())
    assert run['p99'] == pytest.approx(np.percentile(values, 99))
    assert run['max'] == values.max()
    assert math.isnan(series.window()['mean'])


def test_memory_is_flat() -> None:
    """In a long run the exact figures stay exact; percentiles are those of the newest numbers."""
    series = Series()
    for value in range(70_000):
        series.add(float(value))
        if value % 1000 == 0:
            series.window()
    assert series.run()['mean'] == pytest.approx(34_999.5)
    assert series.run()['max'] == 69_999
    assert series.run()['p50'] == pytest.approx(70_000 - 65_536 / 2, abs=1)


def missed(*times: float) -> int:
    """Count missed ticks of a loop with a period of 1 s."""
    statistics = LoopStatistics(1.0)
    for time in times:
        statistics.tick(time)
    return statistics.missed_ticks


def test_missed_ticks() -> None:
    """A deadline that passes without a tick is missed; one that is late is not."""
    assert missed(0, 1, 2, 3) == 0
    assert missed(0, 1.4, 2, 2.9, 4.3) == 0
    assert missed(0, 1, 4, 5) == 2
    assert missed(10, 13.2, 14, 20) == 7
    # The very first tick was late; those that follow are on a grid of their own.
    assert missed(0.7, 1.0, 2.0, 3.0, 5.0) == 1


def test_report() -> None:
    """Counts and figures since the last report, and since the beginning."""
    statistics = LoopStatistics(0.05)
    for time, inference in ((0.0, 0.001), (0.05, None), (0.15, 0.003)):
        statistics.tick(time)
        statistics.add(inference, 0.01)
    first = statistics.report()
    assert first['period_mean_ms'] == pytest.approx(75)
    assert first['inference_p50_ms'] == pytest.approx(2)
    assert first['observation_age_max_ms'] == pytest.approx(10)
    assert (first['ticks'], first['missed_ticks']) == (3, 1)
    statistics.tick(0.2)
    second = statistics.report()
    assert (second['ticks'], second['missed_ticks']) == (1, 0)
    assert (second['run_ticks'], second['run_missed_ticks']) == (4, 1)
    assert math.isnan(second['inference_p50_ms'])
    assert second['run_inference_max_ms'] == pytest.approx(3)
