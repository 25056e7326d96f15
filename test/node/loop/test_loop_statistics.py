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
"""Loop statistics, compared with numpy's."""

import math
import time

import numpy as np
import pytest

from dfp_ros.node.loop.statistics import LoopStatistics, Series


def test_series_against_numpy() -> None:
    """Windows end with each report; totals continue."""
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
    assert run['p50'] == pytest.approx(np.percentile(values, 50), rel=0.01)
    assert run['p99'] == pytest.approx(np.percentile(values, 99), rel=0.01)
    assert run['max'] == values.max()
    assert math.isnan(series.window()['mean'])


@pytest.mark.parametrize('scale', [1e-4, 1.0, 1e4])
def test_percentiles_of_a_long_run(scale: float) -> None:
    """Right to 1 % over all of it, and so cheap that the control loop does not notice."""
    series, values = Series(), scale * np.random.default_rng(0).lognormal(size=100_000)
    for value in values:
        series.add(value)
    begin = time.process_time()
    for _ in range(20):
        run = series.run()
    # A sort of all of them would take more than this for one report; it takes 0.05 ms.
    assert (time.process_time() - begin) / 20 < 1e-3
    for key, percent in (('p50', 50), ('p99', 99)):
        assert run[key] == pytest.approx(np.percentile(values, percent), rel=0.01)


def test_percentiles_of_values_outside_the_bins() -> None:
    """Negative ages, from a publisher's clock ahead, count as 0; huge ones as the largest."""
    series = Series()
    for value in (-3.0, 0.0, 0.0):
        series.add(value)
    assert series.run()['p50'] == 0
    assert series.run()['mean'] == pytest.approx(-1)
    for _ in range(10):
        series.add(1e9)
    assert series.run()['p50'] > 1e5
    assert series.run()['max'] == 1e9


def missed(*times: float) -> int:
    """Count missed ticks of a loop with a deadline each whole second."""
    statistics = LoopStatistics(1.0)
    for moment in times:
        statistics.tick(moment, math.floor(moment))
    return statistics.missed_ticks


def test_missed_ticks() -> None:
    """A deadline that passes without a tick is missed; one that is late is not."""
    assert missed(0, 1, 2, 3) == 0
    assert missed(0, 1.4, 2, 3.9, 4.3) == 0
    assert missed(0, 1, 4, 5) == 2
    assert missed(10, 13.2, 14, 20) == 7
    # The very first tick was late.
    assert missed(0.7, 1.0, 2.0, 3.0, 5.0) == 1


def test_nothing_is_missed_without_deadlines() -> None:
    statistics = LoopStatistics(1.0)
    for moment in (0.0, 1.0, 5.0):
        statistics.tick(moment)
    assert statistics.missed_ticks == 0
    assert statistics.report()['period_error_max_ms'] == pytest.approx(3000)


def test_a_clock_that_is_set_back() -> None:
    """Simulated time starts again: no tick is missed for it, and no period is negative."""
    assert missed(100, 101, 102, 0.3, 1.3, 2.3, 3.3) == 0
    assert missed(100, 101, 102, 0.3, 1.3, 4.3) == 2
    statistics = LoopStatistics(1.0)
    for moment in (100, 101, 0.3, 1.3):
        statistics.tick(moment)
    report = statistics.report()
    assert report['period_mean_ms'] == pytest.approx(1000)
    assert report['ticks'] == 4


def test_report() -> None:
    """Counts and figures since the last report, and since the beginning."""
    statistics = LoopStatistics(0.05)
    for moment, inference in ((0.0, 0.001), (0.05, None), (0.15, 0.003)):
        statistics.tick(moment, moment)
        statistics.add(inference, 0.01)
    first = statistics.report()
    assert first['period_mean_ms'] == pytest.approx(75)
    assert first['inference_p50_ms'] == pytest.approx(2)
    assert first['observation_age_max_ms'] == pytest.approx(10)
    assert (first['ticks'], first['missed_ticks']) == (3, 1)
    statistics.tick(0.2, 0.2)
    second = statistics.report()
    assert (second['ticks'], second['missed_ticks']) == (1, 0)
    assert (second['run_ticks'], second['run_missed_ticks']) == (4, 1)
    assert math.isnan(second['inference_p50_ms'])
    assert second['run_inference_max_ms'] == pytest.approx(3)


def test_late_is_not_missed() -> None:
    """A tick that comes before the next deadline was late; one that comes after it is lost."""
    assert missed(0, 1.99, 2, 3) == 0
    assert missed(0, 1, 3.99, 4, 5) == 1
    assert missed(0, 1, 3.8, 4.7, 5) == 1


def test_a_pause_misses_no_tick() -> None:
    """Deadlines begin anew with the tick after it, and the time until then is no period."""
    statistics = LoopStatistics(0.1)
    for begin in (0.0, 0.1, 0.2):
        statistics.tick(begin, begin)
    statistics.pause()
    for begin in (0.75, 0.85, 1.05):
        statistics.tick(begin, begin)
    report = statistics.report()
    assert (report['ticks'], report['missed_ticks']) == (6, 1)
    assert report['period_max_ms'] == pytest.approx(200)
