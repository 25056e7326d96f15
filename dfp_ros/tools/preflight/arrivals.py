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
"""Arrival statistics of a source during a preflight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math
from typing import Any

import numpy as np

from dfp_ros.core.observation.sample import Sample

# Largest number of names kept from messages, to find the nearest one.
_NAMES = 1000


class Arrivals:
    """
    Arrivals of a source's messages.

    If an arm and its gripper publish on one topic, each joint has its own arrivals.

    :param start: Start of the measurement, in ns.
    :param before: Last value of a latched source before that; None if there is none.
    """

    def __init__(self, start: int, before: Sample | None = None) -> None:
        """Start empty, or with the value that is already valid."""
        self._start = start
        self._received: list[int] = []
        # Keyed by the joints that are read and that a message has; None for all joints read.
        self._kinds: dict[tuple[str, ...] | None, list[int]] = {}
        self._offsets: list[int] = []
        self._empty = 0
        self._last: Mapping[str, Any] = {}
        self._heard: dict[str, None] = {}
        self._others: set[tuple[str, ...]] = set()
        self._lasting = before
        if before is not None:
            self._last = before.values

    def add(self, sample: Sample) -> None:
        """Count a message."""
        kind = None
        if sample.joints is None:
            self._last = sample.values
        else:
            kind = tuple(joint for part in sample.joints.parts for joint in part.joints)
            if len(self._heard) < _NAMES:
                self._heard.update(dict.fromkeys(sample.joints.heard))
                if not kind:
                    self._others.add(sample.joints.heard)
        if sample.lasts:
            self._lasting = sample
        self._received.append(sample.received)
        self._kinds.setdefault(kind, []).append(sample.received)
        if sample.stamp:
            self._offsets.append(sample.received - sample.stamp)
        elif sample.stamp is not None:
            self._empty += 1

    def figures(self, end: int, wanted: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """
        Summarise the arrivals.

        :param end: End of the measurement, in ns.
        :param wanted: Joints that are read, each with the message field that names them.
        :return: Fields of :class:`SourceFigures`.
        """
        wanted = tuple(wanted)
        offsets = np.array(self._offsets) * 1e-9
        joints, kinds = dict(wanted), self._kinds
        by_joint = {
            joint: sorted(
                time for kind, times in kinds.items() for time in times
                if (joint in self._last.get(names, ()) if kind is None else joint in kind))
            for joint, names in joints.items()}
        there = {joint: times for joint, times in by_joint.items() if times}
        # The slowest joint gives the source's rate, and the longest gap is that of any joint.
        slowest = min(there.values(), key=len, default=self._received)
        between = np.diff(slowest) * 1e-9
        gaps = {
            joint: float(np.diff([self._start, *times, end]).max()) * 1e-9
            for joint, times in (there or {'': self._received}).items()}
        last = max(gaps, key=lambda joint: gaps[joint])
        # Messages without any of the joints do not affect the statistics.
        naming = [kind for kind in kinds if kind != ()]
        is_shared = len(naming) > 1
        each = [joint for kind in naming for joint in kind or joints]
        shares = len(naming) + len(self._others)
        return {
            'count': len(self._received),
            'rate': float(1 / between.mean()) if between.sum() > 0 else math.nan,
            'jitter': float(between.std()) if len(between) else math.nan,
            'longest_gap': gaps[last],
            'gap_joint': last if is_shared else '',
            'offset': float(np.median(offsets)) if len(offsets) else math.nan,
            'smallest_offset': float(offsets.min()) if len(offsets) else math.nan,
            'empty_stamps': self._empty,
            'shares': shares if len(each) == len({*each}) else 1,
            'has_value': self._lasting is not None,
            'joints': tuple(dict.fromkeys(
                [name for _, field in wanted for name in self._last.get(field, ())]
                + list(self._heard))),
            'missing_joints': tuple(
                joint for joint in joints if self._received and joint not in there)}
