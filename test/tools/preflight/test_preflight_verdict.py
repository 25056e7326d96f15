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
"""Verdict of a preflight: every fault and warning."""

from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

import pytest

from dfp_ros.node.ros.endpoints import Endpoint
from dfp_ros.tools.preflight.measurements import (
    Figures,
    Percentiles,
    PersonFigures,
    SourceFigures,
)
from dfp_ros.tools.preflight.verdict import fastest_rate, judge, Level, Remark
from testing.fixtures.preflights import COMMAND, good, source

DEAF = Endpoint('/other', 'requested reliable, offered best_effort')


def command(**changes: Any) -> Figures:
    """Make figures that are good but for a command topic."""
    return good(commands=(replace(COMMAND, **changes),))


def slow(part: str, p99: float, p999: float) -> Figures:
    """Make measurements with one slow part of the tick."""
    figures = good()
    return replace(
        figures, parts={**figures.parts, part: Percentiles(100, 1.0, p99, p999, p999)},
        together=Percentiles(100, 4.0, p99 + 3, p999 + 3, p999 + 3))


def only(figures: Figures) -> Remark:
    """Take the one remark that there is."""
    remarks = judge(figures).remarks
    assert len(remarks) == 1, remarks
    return remarks[0]


def test_nothing_wrong() -> None:
    """Without a fault there is no remark."""
    verdict = judge(good())
    assert verdict.passed
    assert verdict.remarks == ()
    assert verdict.sentence == 'PASSED at 50 Hz; ticks fit up to 200 Hz'


@pytest.mark.parametrize(('figures', 'about', 'text'), [
    (source(publishers=()), 'source arm (/joint_states)', 'it has no publisher'),
    (source(publishers=(), similar=('/arm/joint_states', '/x')), 'source arm (/joint_states)',
     "did you mean '/arm/joint_states'?"),
    (source(publishers=(DEAF,), count=0), 'source arm (/joint_states)',
     'nothing comes from /other: requested reliable, offered best_effort'),
    (source(count=0), 'source arm (/joint_states)',
     '/driver publishes it, but no message arrived in 5 s'),
    (source(missing_joints=('elbw',)), 'source arm (/joint_states)',
     "description; did you mean 'elbow'?"),
    (source(empty_stamps=3, offset=math.nan, smallest_offset=math.nan),
     'source arm (/joint_states)', '3 of 500 messages have an empty header.stamp'),
    (source(longest_gap=0.3), 'source arm (/joint_states)', 'no message arrived for 0.3 s'),
    (source(offset=0.5, smallest_offset=0.4), 'source arm (/joint_states)',
     'its stamps are 0.5 s before their arrival'),
    (source(offset=-0.5, smallest_offset=-0.6), 'source arm (/joint_states)',
     'its stamps are 0.5 s after their arrival'),
    (command(subscribers=()), 'command effector (/twist_command)', 'it has no subscriber'),
    (command(subscribers=(), similar=('/servo/twist', '/left/twist_command')),
     'command effector (/twist_command)', "; did you mean '/left/twist_command'? (same type)"),
    (command(subscribers=(DEAF,)), 'command effector (/twist_command)',
     'nothing gets to /other: requested reliable, offered best_effort'),
    (good(ticks=0), 'rate 50 Hz', 'there was no tick in 5 s'),
    (good(has_clock=False), 'clock', '/clock has no publisher'),
    (good(clock_step=0.1), 'clock', '80% of them are missed'),
    # What wakes up late for the clock has the clock as its remedy.
    (replace(slow('wake_up', 80.0, 80.0), clock_step=0.1), 'clock', 'have the simulator publish'),
    (good(stops={'stale': (2, 'source arm is old')}), 'stale',
     'in 2 of 250 ticks the node would not have commanded: source arm is old'),
    (slow('inference', 17.0, 17.0), 'rate 50 Hz',
     'a tick takes 20 ms (p99), expected at most 16, which is 0.8 of the period; most of it is '
     'inference, 17 ms (p99). Take fewer candidates'),
    (slow('wake_up', 1.0, 18.0), 'rate 50 Hz',
     'a tick takes 21 ms (p99.9), expected at most the period of 20 ms'),
    (slow('publishing', 17.0, 17.0), 'rate 50 Hz', 'most of it is publishing'),
    (slow('deciding', 17.0, 17.0), 'rate 50 Hz', 'up to 40 Hz would fit'),
    (slow('wake_up', 17.0, 17.0), 'rate 50 Hz', 'most of it is wake up, 17 ms (p99). Give the'),
])
def test_faults_fail_the_preflight(figures: Figures, about: str, text: str) -> None:
    """Each fault alone fails the preflight, with finding, subject and remedy."""
    verdict, remark = judge(figures), only(figures)
    assert (remark.level, remark.about) == (Level.FAIL, about)
    assert text in remark.text
    assert not verdict.passed
    assert verdict.sentence.startswith('FAILED at 50 Hz: 1 fault(s)')


@pytest.mark.parametrize(('figures', 'text'), [
    (source(publishers=(Endpoint('/driver'), DEAF)), 'nothing comes from /other'),
    (source(publishers=(Endpoint('/a'), Endpoint('/b'))), '2 publish it: /a, /b'),
    (source(offset=-0.15, smallest_offset=-0.15), 'its stamps are up to 0.15 s after'),
    (source(rate=40.0), 'it comes at 40 Hz, slower than the ticks at 50 Hz'),
    (command(subscribers=(Endpoint('/controller'), DEAF)), 'nothing gets to /other'),
    (command(others=('/teleop',)), '/teleop publishes there too'),
    (command(unlimited=('the velocity of arm',)), 'nothing limits the velocity of arm'),
    (good(missed=2), '2 of 252 ticks were missed'),
    (good(left_out=('cuda',)), 'has no cuda'),
    (good(unused=('parameter rate: 5.0 has no effect',)), 'rate: 5.0 has no effect'),
    (good(outside={'joint_positions[2]': 250}), 'joint_positions[2] (250)'),
])
def test_warnings_do_not_fail_the_preflight(figures: Figures, text: str) -> None:
    """Each warning alone is reported, without failing the preflight."""
    remark = only(figures)
    assert remark.level is Level.WARN
    assert text in remark.text
    assert judge(figures).passed


@pytest.mark.parametrize('figures', [
    source(rate=48.0), source(longest_gap=0.2), source(offset=0.2, smallest_offset=0.2),
    source(offset=-0.1, smallest_offset=-0.1), source(offset=math.nan, smallest_offset=math.nan),
    replace(source(offset=-0.15, smallest_offset=-0.15), clock_skew=0.0),
    # Arrivals are known to a step of the clock.
    replace(source(offset=-0.05, smallest_offset=-0.105), clock_step=0.01),
    good(clock_step=0.02), good(clock_step=0.1, is_lockstep=True),
    good(outside={'joint_positions[2]': 12}), slow('inference', 13.0, 17.0),
    # A robot that waits for each command sends nothing of its own accord.
    replace(source(longest_gap=5.0, rate=2.0, offset=3.0), is_lockstep=True),
    good(is_lockstep=True, stops={'stale': (200, 'old')}),
])
def test_values_up_to_their_limit_pass(figures: Figures) -> None:
    """Values up to their limit are not reported."""
    assert judge(figures).remarks == ()


def test_a_silent_source_is_one_thing_to_mend() -> None:
    """Unknown values are not reported."""
    silent = SourceFigures('arm', '/joint_states', 'a/msg/B', 0.2)
    assert 'it has no publisher' in only(good(sources=(silent,))).text


def test_the_worst_comes_first() -> None:
    """Failures are listed before warnings of any subject."""
    figures = replace(source(rate=40.0), commands=(replace(COMMAND, subscribers=()),))
    assert [remark.level for remark in judge(figures).remarks] == [Level.FAIL, Level.WARN]


@pytest.mark.parametrize(('p99', 'p999', 'rate'), [
    (4.0, 4.0, 200.0), (4.0, 6.0, 160.0), (8.0, 9.0, 100.0), (0.01, 0.01, 1000.0),
    (70.0, 70.0, 11.0), (math.nan, math.nan, math.nan)])
def test_the_fastest_rate(p99: float, p999: float, rate: float) -> None:
    """It is the fastest that the verdict would let pass, rounded down."""
    figures = good(together=Percentiles(100, p99, p99, p999, p999))
    assert fastest_rate(figures) == pytest.approx(rate, nan_ok=True)
    if math.isfinite(rate):
        assert judge(replace(figures, period=1 / rate, sources=(), commands=())).passed


PERSON = PersonFigures('pad', '/joy', 'sensor_msgs/msg/Joy')


def test_a_person_need_not_be_there() -> None:
    """Nobody, or one, is no fault; two would be mixed, and one that is not understood fails."""
    assert judge(good(people=(PERSON,))).passed
    assert judge(good(people=(PERSON,))).remarks == ()
    assert judge(good(people=(replace(PERSON, publishers=(Endpoint('/joy'),)),))).remarks == ()
    two = only(good(people=(replace(PERSON, publishers=(Endpoint('/a'), Endpoint('/b'))),)))
    assert two.level is Level.WARN
    assert '2 publish it: /a, /b; their commands would be mixed' in two.text
    deaf = only(good(people=(replace(PERSON, publishers=(DEAF,)),)))
    assert (deaf.level, deaf.about) == (Level.FAIL, 'person pad (/joy)')
    assert 'nothing comes from /other, so this person could not take over' in deaf.text
