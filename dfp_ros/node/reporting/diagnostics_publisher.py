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
"""Topic ``/diagnostics``: state and timing of the control loop, once a second, or more often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dfp_ros.core.description.sources import Source
from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.reporting.diagnostics import diagnose, Situation
from dfp_ros.node.reporting.subscriber_monitor import SubscriberMonitor
from dfp_ros.node.ros.qos_monitor import QosMonitor

# Shortest time in s between two looks for command topics without a subscriber.
_LOOK = 0.9


class DiagnosticsPublisher:
    """
    Publishes diagnostics while a node is configured.

    :param node: The node.
    :param ticker: Its ticker.
    :param facts: Returns further values.
    :param watch: Monitor of incompatible endpoints.
    """

    def __init__(
            self, node: Node, ticker: Ticker, facts: Callable[[], Mapping[str, str]],
            watch: QosMonitor) -> None:
        """Create publisher and timer."""
        self._node = node
        self._ticker = ticker
        self._facts = facts
        self._watch = watch
        self._subscribers = SubscriberMonitor(node)
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Wall time, as simulated time may stand still, which has to be reported.
        self._timer = node.create_timer(
            self._half_interval, self.advance, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._statistics: Mapping[str, float] | None = None
        self._looked = time.monotonic()

    @property
    def _half_interval(self) -> float:
        """
        Half the time between two reports in s.

        Statistics first, the message half an interval later: a tick that becomes due waits for
        one of them.
        """
        return self._ticker.loop.settings.diagnostics.interval / 2

    def advance(self) -> None:
        """Collect statistics, or publish a report with those collected before."""
        if (wanted := round(self._half_interval * 1e9)) != self._timer.timer_period_ns:
            self._timer.timer_period_ns = wanted
        if self._statistics is None:
            self._statistics = self._ticker.statistics.report()
            return
        statistics, self._statistics = self._statistics, None
        ticker, name = self._ticker, self._node.get_fully_qualified_name()
        facts = self._facts()
        now = self._node.get_clock().now().nanoseconds
        report = diagnose(name, Situation(
            ticker.loop, {
                **ticker.store.samples, **(ticker.people.samples if ticker.people else {})},
            ticker.log.last, statistics, facts, now))
        silent = self._find_silent(now) if ticker.is_active else []
        unheard = facts.get('unheard', '').split()
        if (steady := time.monotonic()) - self._looked > _LOOK:
            self._looked = steady
            self._subscribers.advance(unheard if ticker.is_active else ())
        report.status.append(self._watch.status(name, [*silent, *unheard]))
        self._publisher.publish(report)

    def _find_silent(self, now: int) -> list[str]:
        """
        Find the topics from which nothing comes, or nothing any more.

        Those of a person may have no publisher, as nobody has to take over.

        :param now: Time in ns.
        """
        robot, samples = self._ticker.loop.robot, self._ticker.store.samples
        found = [
            source.topic for name, source in robot.sources.items()
            if _is_silent(source, samples.get(name), now)]
        if self._ticker.people is not None and robot.takeover is not None:
            samples = self._ticker.people.samples
            found += [
                source.topic for name, source in robot.takeover.sources.items()
                if _is_silent(source, samples.get(name), now)
                and self._node.count_publishers(self._node.resolve_topic_name(source.topic))]
        return found

    def close(self) -> None:
        """Destroy publisher and timer."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


def _is_silent(source: Source, sample: Sample | None, now: int) -> bool:
    """Tell whether a source was never heard whole, or not within its maximum age."""
    return sample is None or bool(sample.missing) or (
        now - sample.received) * 1e-9 > source.max_age
