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
"""Subscriptions to the sources of a robot description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import inspect
import time
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import Source, STATIC_RECEPTION
from dfp_ros.core.description.takeover import require_a_person
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.interleaving import Interleaving
from dfp_ros.core.observation.publication_order import PublicationOrder
from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.node.ros.endpoints import publisher_names
from dfp_ros.node.ros.node_clock import NodeClock
from dfp_ros.node.ros.qos import source_qos
from dfp_ros.node.ros.qos_monitor import QosMonitor

_WITH_INFORMATION = inspect.signature(lambda message, information: None)
# Seconds between two checks for publishers of joints in several messages.
_LOOK_AGAIN = 1.0


class SourceSubscriptions:
    """
    Subscriptions to a robot's sources.

    :param node: The node.
    :param loop: Has the robot's description.
    :param receive: Gets each sample with its source's name.
    :param watch: Hears of publishers from which nothing comes.
    """

    def __init__(
            self, node: Node, loop: ControlLoop, receive: Callable[[str, Sample], None],
            watch: QosMonitor | None = None) -> None:
        """Create them."""
        _require_other_topics(node, loop.robot)
        self._node = node
        self._time = NodeClock(node)
        #: Sources that have a single publisher, and the detection of several.
        self.interleavings = [
            (source, Interleaving()) for source in loop.robot.every_source.values()
            if not source.child]
        turns = {source.name: interleaving for source, interleaving in self.interleavings}
        orders = {
            source.name: PublicationOrder() for source in loop.robot.sources.values()
            if source.is_latched}

        def counted(name: str, sample: Sample) -> None:
            # Messages with other joints may have another publisher; those without are ignored.
            joints = sample.joints
            kind = joints and joints.slots
            if name in turns and (joints is None or max(joints.slots) >= 0):
                turns[name].add(kind)
            if name in orders and (earlier := orders[name].find_earlier(kind)):
                self._say_replaced(name, earlier)
                return
            receive(name, sample)

        self._receive = counted
        watch = watch or QosMonitor(node)
        self._subscriptions: list[Subscription] = []
        for source in loop.robot.every_source.values():
            # A robot waits for its own samples only.
            lockstep = loop.is_lockstep and source.name in loop.robot.sources
            reader = SourceReader(source, loop.robot)
            is_kept = lockstep or source.qos.durability != 'volatile'
            self._subscriptions.append(node.create_subscription(
                reader.message_type, source.topic,
                _numbered(
                    self._receiver(source.name, source.topic, reader.read, is_kept),
                    turns.get(source.name), orders.get(source.name)),
                source_qos(source.qos, lockstep),
                event_callbacks=watch.of_source(source.topic, source.type)))
            if source.static_topic:
                self._subscriptions.append(node.create_subscription(
                    reader.message_type, source.static_topic,
                    self._receiver(source.name, source.static_topic, reader.read_static, True),
                    source_qos(STATIC_RECEPTION),
                    event_callbacks=watch.of_source(source.static_topic, source.type)))

    def _receiver(
            self, name: str, topic: str, read: Callable[[object, int], Sample | None],
            is_kept: bool) -> Callable[[object], None]:
        """
        Make the callback of one topic of a source.

        :param is_kept: Whether messages from before the start of simulated time are used. Their
            age, and the lead of their stamps, would be the time of the simulation.
        """
        full_name = self._node.resolve_topic_name(topic)
        publishers: tuple[str, ...] = ()
        looked = -_LOOK_AGAIN

        def receive(message: object) -> None:
            nonlocal publishers, looked
            now = self._time.now()
            sample = read(message, now)
            if sample is None or not (now or is_kept):
                return
            if sample.joints is not None:
                # If a message has only some of the joints, its publishers are reported.
                if time.monotonic() - looked >= _LOOK_AGAIN:
                    publishers = tuple(publisher_names(self._node, full_name))
                    looked = time.monotonic()
                sample = replace(sample, joints=replace(sample.joints, publishers=publishers))
            self._receive(name, sample)
        return receive

    def _say_replaced(self, name: str, earlier: float) -> None:
        """Log that a latched message was ignored, as it was replaced before it arrived."""
        self._node.get_logger().warning(
            f'source {name!r}: a message was ignored that was published {earlier:.3f} s before '
            'the one in use, by another publisher of its latched topic; end the publishers whose '
            'value is outdated (if this message is the newer one, the clocks of the two machines '
            'differ)', throttle_duration_sec=5.0)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


def _require_other_topics(node: Node, robot: RobotDescription) -> None:
    """
    Require that, after remapping, no source has the topic of something else.

    :raises DescriptionError: If a source's topic is a command topic or has messages of another
        type, or if a person's is the robot's own.
    """
    def full_name(source: Source) -> str:
        return node.resolve_topic_name(source.topic)

    commands = {node.resolve_topic_name(topic.topic): topic for topic in robot.commands}
    found: dict[str, Source] = {}
    for source in robot.every_source.values():
        name = full_name(source)
        if name in commands:
            raise DescriptionError(
                f'{source.where}: its topic {source.topic} is, as remapped, {name}, which the '
                f'command {commands[name].name!r} goes to; a source has to be measured by the '
                'robot')
        other = found.setdefault(name, source)
        if other.type != source.type:
            raise DescriptionError(
                f'{source.where}: its topic {source.topic} is, as remapped, {name}, with '
                f'messages of {source.type}, but the source {other.name!r} expects {other.type} '
                'there; a topic has one type')
    takeover = robot.takeover
    if takeover is not None:
        require_a_person(
            takeover.dead_man, takeover.entries, takeover.sources, robot.sources, robot.commands,
            full_name)


def _numbered(
        receive: Callable[[object], None], interleaving: Interleaving | None,
        order: PublicationOrder | None) -> Callable[..., None]:
    """Have a callback note the number and the time that the publisher gave a message."""
    if interleaving is None:
        return receive

    def receive_numbered(*arguments: Any) -> None:
        # The executor of events gives message and information as one argument, the others as two.
        found = arguments[0] if len(arguments) == 1 else arguments
        message, info = found if isinstance(found, tuple) else (found, {})
        interleaving.number = info.get('publication_sequence_number')
        if order is not None:
            # A clock that is ahead must not outdate all that is published after it.
            order.published = min(info.get('source_timestamp') or 0, time.time_ns())
        receive(message)

    # From which rclpy tells that the information is wanted.
    receive_numbered.__signature__ = _WITH_INFORMATION  # type: ignore[attr-defined]
    return receive_numbered
