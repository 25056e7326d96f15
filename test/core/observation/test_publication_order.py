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
"""Tests of dfp_ros.core.observation.publication_order."""

from __future__ import annotations

from dfp_ros.core.observation.publication_order import PublicationOrder


def test_what_was_replaced_does_not_come_back() -> None:
    """Of two kinds each has its own order; without a time of publication there is none."""
    order = PublicationOrder()
    order.published = 3_000_000_000
    assert order.find_earlier(None) == 0
    order.published = 1_000_000_000
    assert order.find_earlier(None) == 2.0
    # Sent once more, and of other joints.
    assert order.find_earlier((0, -1)) == 0
    order.published = 3_000_000_000
    assert order.find_earlier(None) == 0
    order.published = 3_000_000_001
    assert order.find_earlier(None) == 0
    order.published = 0
    assert order.find_earlier(None) == 0


def test_kinds_are_bounded() -> None:
    """Names from the network do not fill the memory."""
    order = PublicationOrder()
    for i in range(1000):
        order.published = i + 1
        assert order.find_earlier((i,)) == 0
    assert len(order._newest) <= 32


def test_a_clock_that_is_set_back() -> None:
    """What is published from then on counts, as the value in use was before that."""
    order = PublicationOrder()
    order.published = order.now = 100_000_000_000
    assert order.find_earlier(None) == 0
    order.now = 50_000_000_000
    order.published = 49_000_000_000
    assert order.find_earlier(None) == 0
    # Among these there is an order again.
    order.published = 48_000_000_000
    assert order.find_earlier(None) == 1.0
