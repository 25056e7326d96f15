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
"""Staleness, bounds and reasons."""

from dataclasses import replace

import pytest
from robot_samples import rest_samples, shipped_robot

from dfp_ros.safety import check_sources, Reason

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
     'arrived 0.000 s ago and stamped 0.300 s ago, maximum age 0.2 s; do the clocks agree?'),
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
    """A publisher that does not stamp its messages is told so."""
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


def test_words() -> None:
    """Reasons read as words."""
    assert Reason.NONE.words == 'none'
    assert (Reason.STALE | Reason.FUTURE).words == 'stale future'
