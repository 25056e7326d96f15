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
"""Sample store: complete sets of samples, and repeated ones."""

import pytest

from dfp_ros.core.description.sources import Source
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_store import Instant, SampleStore

S = 1_000_000_000


def sources(*names: str, sampling: str = 'newest') -> dict[str, Source]:
    """Describe sources."""
    return {
        name: Source(name, name, 'some_msgs/msg/Type', 1.0, 'here', sampling=sampling)
        for name in names}


def test_an_instant_is_complete_once() -> None:
    """New once all sources have one stamp; repeated once all have sent it again; old never."""
    store = SampleStore(sources('a', 'b'))

    def add(name: str, stamp: int) -> Instant:
        return store.add(name, Sample(stamp, 10 * stamp, {}))

    assert store.missing == ['a', 'b']
    assert add('a', 1) is Instant.INCOMPLETE
    assert store.missing == ['b']
    assert add('b', 1) is Instant.NEW
    assert add('b', 2) is Instant.INCOMPLETE
    assert add('a', 2) is Instant.NEW
    assert add('a', 2) is Instant.INCOMPLETE
    assert add('b', 2) is Instant.REPEATED
    assert add('a', 2) is Instant.INCOMPLETE
    assert add('b', 2) is Instant.REPEATED
    assert add('a', 1) is Instant.INCOMPLETE
    assert add('b', 1) is Instant.INCOMPLETE


def test_clearing_forgets_samples_but_not_the_past() -> None:
    """After a reset, messages of the old episode that are still on their way do not count."""
    store = SampleStore(sources('a'))
    assert store.add('a', Sample(5, 5, {})) is Instant.NEW
    store.clear()
    assert store.missing == ['a']
    assert store.add('a', Sample(4, 4, {})) is Instant.INCOMPLETE
    assert store.add('a', Sample(6, 6, {})) is Instant.NEW


def test_after_clearing_the_last_instant_is_answered_at_its_first_repetition() -> None:
    """A robot that still waits for its answer when someone else resets is not left waiting."""
    store = SampleStore(sources('a', 'b'))
    for name in 'ab':
        store.add(name, Sample(5, 5, {}))
    store.clear()
    assert store.add('b', Sample(5, 6, {})) is Instant.INCOMPLETE
    assert store.add('a', Sample(5, 6, {})) is Instant.REPEATED
    assert store.add('b', Sample(5, 7, {})) is Instant.INCOMPLETE
    assert store.add('a', Sample(5, 7, {})) is Instant.REPEATED


@pytest.mark.parametrize('cleared', [False, True])
def test_a_robot_that_starts_again_at_an_earlier_time(cleared: bool) -> None:
    """Much earlier is a new start at once; a little earlier once it was sent again."""
    store = SampleStore(sources('a', 'b'))

    def add(stamp: float) -> list[Instant]:
        return [store.add(name, Sample(round(stamp * S), 0, {})) for name in 'ab']

    assert add(100) == [Instant.INCOMPLETE, Instant.NEW]
    if cleared:
        store.clear()
    assert add(0) == [Instant.INCOMPLETE, Instant.NEW]
    assert add(0.5) == [Instant.INCOMPLETE, Instant.NEW]
    if cleared:
        store.clear()
    assert add(0) == [Instant.INCOMPLETE, Instant.INCOMPLETE]
    assert add(0) == [Instant.INCOMPLETE, Instant.NEW]
    assert add(0) == [Instant.INCOMPLETE, Instant.REPEATED]
    assert add(0.05) == [Instant.INCOMPLETE, Instant.NEW]


def test_a_clock_set_back_discards_earlier_samples() -> None:
    """Samples are forgotten by a step back, even one that the arrival alone shows."""
    store = SampleStore(sources('a'))
    assert not store.pass_time(90)
    store.add('a', Sample(None, 100, {}))
    assert not store.pass_time(100)
    assert not store.pass_time(100)
    assert store.missing == []
    assert store.pass_time(99)
    assert store.missing == ['a']
    assert not store.pass_time(100)
    store.add('a', Sample(None, 110, {}))
    assert store.pass_time(105)
    assert store.missing == ['a']


def test_without_header_the_arrival_counts() -> None:
    """A message without a stamp has the time of its arrival."""
    store = SampleStore(sources('a'))
    assert store.add('a', Sample(None, 3, {})) is Instant.NEW
    assert store.samples['a'].time == 3


def test_the_newest_before_the_tick() -> None:
    """A sample stamped after the tick waits for its own tick; a late one is sorted in."""
    store = SampleStore({**sources('a', sampling='before_tick'), **sources('b')})

    def taken(now: int) -> dict[str, int]:
        return {name: sample.time for name, sample in store.at(now).items()}

    for stamp in (10, 30, 20):
        for name in 'ab':
            store.add(name, Sample(stamp, 40, {}))
    assert taken(9) == {'b': 20}
    assert taken(10) == {'a': 10, 'b': 20}
    assert taken(29) == {'a': 20, 'b': 20}
    assert taken(30) == {'a': 30, 'b': 20}
    assert taken(1000) == {'a': 30, 'b': 20}
    store.clear()
    assert taken(1000) == {}


def test_a_sample_that_was_overtaken_replaces_none() -> None:
    """Within the maximum age: an older stamp is a fault to be told, or of a clock set back."""
    store = SampleStore(sources('a'), in_order=True)

    def add(stamp: float | None, received: float) -> float:
        store.add('a', Sample(
            None if stamp is None else round(stamp * S), round(received * S), {}))
        return store.samples['a'].time / S

    assert add(10.0, 10.1) == 10.0
    assert add(9.9, 10.2) == 10.0
    assert add(10.0, 10.3) == 10.0
    assert store.samples['a'].received == round(10.3 * S)
    assert add(10.2, 10.4) == 10.2
    for told in (9.3, 0.0):
        assert add(told, 10.5) == told
        assert add(10.2, 10.5) == 10.2
    # The clock was set back: by more, and by less than the maximum age.
    assert add(8.6, 9.1) == 8.6
    assert add(9.0, 9.2) == 9.0
    assert add(8.8, 9.0) == 9.0
    assert add(9.01, 9.21) == 9.01
    # What has no stamp comes in order.
    assert add(None, 9.3) == 9.3
    assert add(9.2, 9.4) == 9.2
    store = store.renewed()
    assert add(9.1, 9.5) == 9.1
    assert add(9.0, 9.5) == 9.1


@pytest.mark.parametrize('behind', [0.0, 0.4, 0.9])
@pytest.mark.parametrize('ahead', [-0.2, 0.0, 0.4, 0.9])
def test_stamps_that_go_back_count_again_after_the_maximum_age(
        ahead: float, behind: float) -> None:
    """As of a driver that begins anew with another clock, each within 1 s of the node's."""
    store = SampleStore(sources('a'), in_order=True)
    store.add('a', Sample(round((10 + ahead) * S), 10 * S, {'new': False}))
    waited = 0.0
    while not store.samples['a'].values['new']:
        waited += 0.01
        received = 10 + waited
        store.add('a', Sample(
            round((received - behind) * S), round(received * S), {'new': True}))
    assert waited <= 1.01


def test_samples_that_are_no_use_any_more_are_not_kept() -> None:
    """However long a source publishes, few samples wait."""
    store = SampleStore(sources('a', sampling='before_tick'))
    for stamp in range(0, 5000, 10):
        store.add('a', Sample(stamp, stamp, {}))
        store.at(stamp - 5)
    assert len(store._before_tick['a']) == 2
