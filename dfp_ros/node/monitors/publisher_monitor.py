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
"""Publisher monitor: sources with several publishers that send the same values in turn."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.text.printable import listed
from dfp_ros.node.loop.source_subscriptions import SourceSubscriptions
from dfp_ros.node.ros.endpoints import publisher_names

_PERIOD = 0.2  # s


class PublisherMonitor:
    """
    Polls the sources several times a second.

    :param node: The node.
    :param sources: The subscriptions.
    :param note: Receives the description of the finding, empty for none.
    """

    def __init__(
            self, node: Node, sources: SourceSubscriptions,
            note: Callable[[str], None]) -> None:
        """Create the timer."""
        self._node = node
        self._sources = sources
        self._note = note
        self._timer = node.create_timer(
            _PERIOD, self._advance, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Destroy the timer."""
        self._node.destroy_timer(self._timer)

    def _advance(self) -> None:
        """Check which sources come from several publishers in turn."""
        found = []
        for source, interleaving in self._sources.interleavings:
            if not interleaving.poll():
                continue
            names = publisher_names(self._node, self._node.resolve_topic_name(source.topic))
            if len(names) > 1:
                found.append(
                    f'source {source.name!r} (topic {source.topic}): {len(names)} publishers send '
                    f'the same values in turn: {listed(sorted(names))}; stop all but one, or '
                    'remap them')
        self._note('; '.join(found))
