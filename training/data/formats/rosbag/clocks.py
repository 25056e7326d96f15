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
"""Clock check of a recording: offset between header stamps and reception times of each source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dfp_ros.core.description.sources import RECEIVE, Source
from training.data.formats.rosbag.steps import Event


class StampClocks:
    """
    Compares header stamps with reception times.

    :param sources: The robot's sources.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        """Start without a message."""
        # Latched (transient local) messages have no maximum age.
        self._sources = {
            source.name: source for source in sources
            if source.time != RECEIVE and source.qos.durability != 'transient_local'}
        self._nearest: dict[str, int] = {}
        self._stamped: set[str] = set()

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events through, and record the stamps of samples."""
        for event in events:
            if event.kind == 'sample' and event.name in self._sources and (
                    event.content.stamp is not None):
                passed = event.time - event.content.stamp
                nearest = self._nearest.setdefault(event.name, passed)
                if abs(passed) < abs(nearest):
                    self._nearest[event.name] = passed
                if event.content.stamp:
                    self._stamped.add(event.name)
            yield event

    def notes(self) -> Iterator[str]:
        """Note each source whose stamps are never within its maximum age of their reception."""
        for name, passed in self._nearest.items():
            source = self._sources[name]
            if name not in self._stamped:
                what = 'its messages have no stamps (header.stamp is empty)'
            elif abs(passed) > source.max_age * 1e9:
                way = 'behind' if passed > 0 else 'ahead of'
                what = (
                    f'its stamps are {abs(passed) * 1e-9:.3f} s {way} their reception, as when '
                    'a simulation stamps and the recorder uses another clock')
            else:
                continue
            yield (
                f'source {name!r}: {what}; with `time: receive` its age is measured from its '
                f'reception ({source.where})')
