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
"""QoS monitor: publishers and subscribers of a topic that are incompatible."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node

from dfp_ros.node.ros.endpoints import namesakes, own_qos, publishers_of, subscribers_of


class QosMonitor:
    """
    Logs each incompatibility once for a topic, and reports it to diagnostics until it is resolved.

    It looks at the ROS graph, at one topic in each report and at those without messages. Events of
    the middleware would tell it at once, and can end the process
    (:mod:`dfp_ros.node.ros.qos_events`).

    :param node: The node with the topics.
    """

    def __init__(self, node: Node) -> None:
        """Start without an incompatibility."""
        self._node = node
        # Finds the problems of a topic; those without an endpoint if messages should come.
        self._find_problems: dict[str, Callable[[bool], Iterable[str]]] = {}
        self._problems: dict[str, str] = {}
        self._turn = 0

    def watch_source(self, topic: str, type_name: str) -> None:
        """
        Watch the publishers of a topic.

        :param topic: Its topic, as given to the subscription.
        :param type_name: Its message type.
        """
        name = self._node.resolve_topic_name(topic)

        def find_problems(is_silent: bool) -> Iterable[str]:
            own = own_qos(self._node, self._node.get_subscriptions_info_by_topic(name))
            ends = publishers_of(self._node, name, type_name, own) if own else ()
            for end in ends:
                if end.problem:
                    yield f'nothing comes from {end.node}: {end.problem}'
            if is_silent and own and not ends and (
                    found := namesakes(self._node, name, type_name)):
                yield found
        self._find_problems[name] = find_problems

    def watch_command(self, topic: str, type_name: str) -> None:
        """
        Watch the subscribers of a topic.

        :param topic: Its topic, as given to the publisher.
        :param type_name: Its message type.
        """
        name = self._node.resolve_topic_name(topic)

        def find_problems(_: bool) -> Iterable[str]:
            own = own_qos(self._node, self._node.get_publishers_info_by_topic(name))
            for end in subscribers_of(self._node, name, type_name, own) if own else ():
                if end.problem:
                    yield f'nothing gets to {end.node}: {end.problem}'
        self._find_problems[name] = find_problems

    def status(self, name: str, silent: Iterable[str] = ()) -> DiagnosticStatus:
        """
        Make the status for diagnostics.

        :param name: The node's name.
        :param silent: Topics that should have messages but have none, as given to subscription or
            publisher.
        """
        names = list(self._find_problems)
        in_turn = names[self._turn % len(names):][:1] if names else []
        self._turn += 1
        found = {*map(self._node.resolve_topic_name, silent)}
        for topic in {*found, *in_turn}:
            if topic in self._find_problems and topic not in self._problems and (
                    problem := '; '.join(self._find_problems[topic](topic in found))):
                self._add(topic, problem)
        for topic in list(self._problems):
            problem = '; '.join(self._find_problems[topic](True))
            if problem:
                self._problems[topic] = problem
            else:
                del self._problems[topic]
        topics = ', '.join(self._problems)
        return DiagnosticStatus(
            level=DiagnosticStatus.ERROR if topics else DiagnosticStatus.OK,
            name=f'{name}: topics', message=f'do not match: {topics}' if topics else 'match',
            values=[KeyValue(key=key, value=value) for key, value in self._problems.items()])

    def _add(self, topic: str, problem: str) -> None:
        """Record a problem, and log it once."""
        self._problems[topic] = problem
        self._node.get_logger().warning(f'topic {topic}: {problem}')
