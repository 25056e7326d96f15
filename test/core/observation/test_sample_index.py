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
"""Index of recorded samples: the message that a decision used."""

import pytest

from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_index import JITTER, SampleIndex, SampleTimes

MS = 1_000_000


def index(*arrivals: int, lasts: bool = False) -> SampleIndex:
    """Index messages without a stamp, whose number is their count."""
    made = SampleIndex(None)
    for number, received in enumerate(arrivals):
        made.add(Sample(None, received, {'data': [float(number)]}, lasts=lasts))
    return made


def find(made: SampleIndex, time: int, number: int = -1) -> int:
    """Find the message that arrived at a time, where only one with a number fits; -1 for none."""
    found = made.find(
        SampleTimes(time, time), time + MS, lambda sample: sample.values['data'] == [number])
    assert found is None or found.received == time
    return -1 if found is None else int(found.values['data'][0])


@pytest.mark.parametrize('later', [-1_400_000, 600_000, 1_400_000, 5_100_000])
def test_of_neighbours_without_a_stamp_the_one_that_fits(later: int) -> None:
    """At 500 Hz, the recorder hears it when the node hears another one."""
    made = index(*(number * 2 * MS + later for number in range(100)))
    for number in 10, 20, 21:
        assert find(made, number * 2 * MS, number) == number
        assert not made.is_doubtful
    # The nearest, if none fits, and then it may be another one.
    assert find(made, 20 * 2 * MS) == 20 - round(later / (2 * MS))
    assert made.is_doubtful


def test_far_from_its_neighbours_it_needs_no_fit() -> None:
    """At 20 Hz, there is no other one; and none is found far away."""
    made = index(*(number * 50 * MS for number in range(1, 10)))
    assert find(made, 100 * MS + JITTER) == 1
    assert not made.is_doubtful
    assert find(made, 100 * MS + JITTER + 1) == -1
    assert find(made, 0) == -1


def test_a_latched_one_from_any_earlier_time() -> None:
    """The newest before it, or the first after it that was there before the decision."""
    made = index(100 * MS, 200 * MS, lasts=True)
    assert find(made, 210 * MS) == 1
    assert find(made, 10_000 * MS) == 1
    assert find(made, 150 * MS) == 0
    assert find(made, 70 * MS) == -1
    assert made.find(SampleTimes(50 * MS, 50 * MS), 110 * MS) is not None
    assert not made.is_doubtful
