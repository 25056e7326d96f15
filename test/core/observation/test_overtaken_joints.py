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
"""Joints of messages that others have overtaken on their way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.safety.reasons import Reason
from testing.fixtures.bags import header, make, MS, START
from testing.fixtures.robot_samples import ARM, shipped_robot

ROBOT = shipped_robot()
SHOULDER, WRIST, S = ARM[:2], ARM[2:], 1_000_000_000


def message(names: Sequence[str], stamp: int, positions: Sequence[float]) -> Any:
    """Make a JointState."""
    return make(
        'JointState', header=header(stamp), name=list(names), position=np.array(positions, float),
        velocity=np.zeros(len(names)), effort=np.zeros(0))


def test_a_message_that_was_overtaken_changes_no_joint() -> None:
    """Each joint has its own order, as its drivers have their own delays."""
    sources = {'arm': ROBOT.sources['arm']}
    store, read = SampleStore(sources, in_order=True), SampleReader(
        ROBOT.readings('arm'), stamped=True).read

    def joints(names: Sequence[str], stamp: int, positions: Sequence[float]) -> list[float]:
        store.add('arm', read(message(names, stamp, positions), START))
        builder = ObservationBuilder(ROBOT.observation[:1])
        return builder.build(store.at(START), START).tolist()

    store.add('arm', read(message(SHOULDER, START, [1, 2]), START))
    assert joints(WRIST, START - 9 * MS, [3, 4, 5, 6]) == [1, 2, 3, 4, 5, 6]
    before = store.samples['arm']
    assert joints(SHOULDER, START - MS, [9, 9]) == [1, 2, 3, 4, 5, 6]
    assert store.samples['arm'] == before
    assert joints(ARM, START - MS, [10, 20, 30, 40, 50, 60]) == [1, 2, 30, 40, 50, 60]
    # Older than the maximum age: it is told.
    assert joints(SHOULDER, START - 9 * S, [7, 8]) == [7, 8, 30, 40, 50, 60]
    found = FreshnessMonitor(sources.values()).check(START, store.at(START))
    assert [each.reason for each in found] == [Reason.STALE]
