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
"""Freshness of samples: staleness, limits and reasons."""

from dataclasses import replace

import pytest

from dfp_ros.core.observation.freshness import check_sources, FreshnessMonitor
from dfp_ros.core.safety.reasons import Reason, Response
from testing.fixtures.robot_samples import rest_samples, shipped_robot

S = 1_000_000_000
NOW = 1000 * S
SOURCES = shipped_robot().sources.values()


def test_fresh() -> None:
    """Nothing is wrong up to the maximum age itself, by either clock."""
    for age in (0, S // 10, S // 5):
        assert check_sources(NOW, SOURCES, rest_samples(NOW - age)) == (Reason.NONE, '')


def test_never_seen() -> None:
    """Every source that is missing is named with its topic."""
    samples = rest_samples(NOW)
    del samples['gripper']
    reason, text = check_sources(NOW, SOURCES, {**samples, 'cube_0': None})
    assert reason == Reason.WAITING
    assert text == (
        "source 'gripper' (topic gripper_state): no message yet; "
        "source 'cube_0' (topic cube_0_pose): no message yet")


@pytest.mark.parametrize(('stamp', 'received', 'reason', 'text'), [
    (-0.3, -0.3, Reason.STALE, 'nothing arrived for 0.300 s, maximum age 0.2 s'),
    # A queue on the way hands over old messages: each has only just arrived.
    (-0.3, 0.0, Reason.STALE,
     'arrived 0.000 s ago and stamped 0.300 s ago, maximum age 0.2 s; its stamps are at least '
     '0.300 s behind their arrival (messages: 1); do the clocks agree?'),
    # A publisher whose clock is ahead cannot keep a dead source alive.
    (0.1, -0.3, Reason.STALE, 'nothing arrived for 0.300 s'),
    (5.0, 0.0, Reason.FUTURE, 'stamped 5.000 s in the future'),
    # The clock was set back by an hour after the message came.
    (3600.0, 3600.0, Reason.FUTURE, 'stamped 3600.000 s in the future'),
    (0.0, 3600.0, Reason.FUTURE, 'in the future'),
])
def test_age(stamp: float, received: float, reason: Reason, text: str) -> None:
    """One source is off, by its stamp, by its arrival, or by both."""
    samples = rest_samples(NOW)
    samples['arm'] = replace(
        samples['arm'], stamp=NOW + round(stamp * S), received=NOW + round(received * S))
    found, message = check_sources(NOW, SOURCES, samples)
    assert found == reason
    assert message.startswith("source 'arm' (topic joint_states): ")
    assert text in message


def test_stamp_left_empty() -> None:
    """An empty stamp is reported with the remedy."""
    samples = rest_samples(NOW)
    samples['arm'] = replace(samples['arm'], stamp=0)
    reason, text = check_sources(NOW, SOURCES, samples)
    assert reason == Reason.STALE
    assert 'header.stamp is empty' in text


def test_without_header_the_arrival_counts() -> None:
    """Messages without a header have only the time of their arrival."""
    samples = rest_samples(NOW)
    samples['arm'] = replace(samples['arm'], stamp=None)
    assert check_sources(NOW, SOURCES, samples)[0] == Reason.NONE
    samples['arm'] = replace(samples['arm'], received=NOW - S)
    assert check_sources(NOW, SOURCES, samples)[0] == Reason.STALE


@pytest.mark.parametrize(('time', 'stamp', 'received', 'reason'), [
    ('header', 0.0, -9.0, Reason.NONE), ('header', 0.0, 9.0, Reason.NONE),
    ('header', -0.3, 0.0, Reason.STALE), ('header', 0.3, 0.0, Reason.FUTURE),
    ('receive', -9.0, 0.0, Reason.NONE), ('receive', 9.0, 0.0, Reason.NONE),
    # 1000 s ago is an empty stamp.
    ('receive', -1000.0, 0.0, Reason.NONE), ('receive', 0.0, -0.3, Reason.STALE),
    ('receive', 0.0, 0.3, Reason.FUTURE)])
def test_a_source_may_name_its_clock(
        time: str, stamp: float, received: float, reason: Reason) -> None:
    """Only the stamp or only the arrival counts, however wrong the other is."""
    sources = {**shipped_robot().sources}
    sources['arm'] = replace(sources['arm'], time=time)
    samples = rest_samples(NOW)
    samples['arm'] = replace(
        samples['arm'], stamp=NOW + round(stamp * S), received=NOW + round(received * S))
    monitor = FreshnessMonitor(sources.values(), clock_skew=20.0 if time == 'header' else 0.1)
    findings = monitor.check(NOW, samples)
    assert [found.reason for found in findings] == ([reason] if reason else [])


def test_measures_how_far_clocks_differ() -> None:
    """Of many messages, the one that was fastest tells most; another clock's error is named."""
    watch = FreshnessMonitor(SOURCES, clock_skew=0.05)
    for i in range(150):
        now = NOW + i * S // 20
        late = (i % 7 + 1) * 1_000_000
        samples = {
            name: replace(sample, stamp=now - late + 100_000_000) if name == 'arm' else sample
            for name, sample in rest_samples(now).items()}
        for _ in range(2):
            findings = watch.check(now, samples)
        assert [found.reason for found in findings] == [Reason.CLOCK_SKEW]
        assert [found.response for found in findings] == [Response.WARN]
    assert findings[0].text == (
        "source 'arm' (topic joint_states): its stamps are up to 0.099 s ahead of their arrival "
        '(messages: 150); the clocks differ')
    for i in range(150, 350):
        findings = watch.check(NOW + i * S // 20, rest_samples(NOW + i * S // 20))
    assert not findings, 'a clock that was set right is forgiven'
    assert not FreshnessMonitor(SOURCES).check(now, samples), 'unless asked, ahead is no matter'


def test_a_clock_that_is_too_far_ahead_is_measured() -> None:
    """Beyond the maximum age it is a stop, and the text says how far off the stamps are."""
    samples = rest_samples(NOW + 5 * S, NOW)
    findings = FreshnessMonitor(SOURCES, clock_skew=0.05).check(NOW, samples)
    assert {found.reason for found in findings} == {Reason.FUTURE}
    assert (
        'its stamps are up to 5.000 s ahead of their arrival (messages: 1); do the clocks agree?'
        in findings[0].text)


@pytest.mark.parametrize(('step', 'is_skew'), [(2, False), (1, True)])
def test_a_clock_that_moves_in_steps_is_no_other_clock(step: int, is_skew: bool) -> None:
    """A sample between two steps seems to have arrived at the first, ahead of its stamp."""
    tick = S // 20
    watch = FreshnessMonitor(SOURCES, clock_skew=0.05, tick=tick)
    for i in range(12):
        now = NOW + i * step * tick
        # Stamped on the simulation's own time, 80 ms after the step.
        findings = watch.check(now, rest_samples(now + 80_000_000, now))
    assert {found.reason for found in findings} == ({Reason.CLOCK_SKEW} if is_skew else set())


def test_samples_before_simulated_time_do_not_affect_clock_checks() -> None:
    """It arrived at 0, and is stale; its stamp is not ahead of its arrival."""
    watch = FreshnessMonitor(SOURCES, clock_skew=0.05)
    assert {found.reason for found in watch.check(NOW, rest_samples(NOW, 0))} == {Reason.STALE}
    assert not watch.check(NOW, rest_samples(NOW))


def test_messages_in_another_frame_are_not_read() -> None:
    """Only if the description names a frame; frame names are arbitrary."""
    sources = {**shipped_robot().sources}
    sources['effector'] = replace(sources['effector'], frame_id='world')
    samples = rest_samples(NOW)

    def check(frame: str) -> list[str]:
        values = {**samples['effector'].values, 'header.frame_id': frame}
        framed = {**samples, 'effector': replace(samples['effector'], values=values)}
        found = FreshnessMonitor(sources.values()).check(NOW, framed)
        assert {each.reason for each in found} <= {Reason.UNREADABLE}
        return [each.text for each in found]

    assert not check('world')
    assert check('base\nlink') == [
        "source 'effector' (topic effector_pose): its messages are in the frame "
        r"'base\nlink', the robot description says 'world'"]
    assert check('')
