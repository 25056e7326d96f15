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
"""The robot's topics: where commands go, and where samples come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import inspect
import time
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

from dfp_ros.control_loop import ControlLoop
from dfp_ros.decision import Decision, State
from dfp_ros.endpoints import publisher_names
from dfp_ros.explain import explain
from dfp_ros.interleaving import Interleaving
from dfp_ros.node_time import NodeTime
from dfp_ros.qos import COMMAND_QOS, source_qos
from dfp_ros.qos_watch import QosWatch
from dfp_ros.robot_description import RobotDescription
from dfp_ros.safety import Reason
from dfp_ros.sample import Sample
from dfp_ros.source_description import STATIC_RECEPTION
from dfp_ros.source_reader import SourceReader
from dfp_ros.yaml_section import DescriptionError

_WITH_INFORMATION = inspect.signature(lambda message, information: None)

# Seconds after which it is looked again who publishes joints in several messages.
_LOOK_AGAIN = 1.0


class CommandPublishers:
    """
    The publishers of a robot's command topics.

    :param node: Where they are created.
    :param loop: Has the robot's description; loops that follow it have the same.
    :param watch: Hears of subscribers that get nothing.

    :ivar has_stopped: Whether the last stop was a command that was sent: positions have none
        before there was another.
    """

    def __init__(self, node: Node, loop: ControlLoop, watch: QosWatch | None = None) -> None:
        """Create them."""
        self._node = node
        self.has_stopped = False
        watch = watch or QosWatch(node)
        self._publishers: list[Publisher] = [
            node.create_publisher(
                writer.message_type, topic.topic, COMMAND_QOS,
                event_callbacks=watch.of_command(topic.topic, topic.type))
            for topic, writer in zip(loop.robot.commands, loop.writers, strict=True)]

    def send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """
        Publish a decision's command, if it has one; a topic that fails costs no other its own.

        :param loop: Its writers put the command into messages.
        :param decision: The decision.
        :param stamp: Stamp of the messages in ns.
        :raises Exception: What the last topic that failed raised.
        """
        if decision.sent is None:
            return
        failed: Exception | None = None
        for publisher, writer in zip(self._publishers, loop.writers, strict=True):
            try:
                publisher.publish(writer.serialize(decision.sent, stamp, decision.ahead))
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed

    def try_to_send(self, loop: ControlLoop, decision: Decision, stamp: int) -> bool:
        """
        Publish a decision's command where there is nothing to fall back on.

        :return: Whether it had one, and that was sent.
        """
        try:
            self.send(loop, decision, stamp)
            return decision.sent is not None
        except Exception as error:
            self._node.get_logger().error(
                f'a command could not be sent: {explain(error)}', throttle_duration_sec=1.0)
            return False

    def send_stop(self, loop: ControlLoop) -> None:
        """Send a stop to every command topic, if anything was commanded that it could end."""
        stop = Decision(State.HOLD, Reason.NONE, '', loop.controller.halt())
        self.has_stopped = self.try_to_send(loop, stop, self.unasked_stamp())

    def unasked_stamp(self) -> int:
        """
        Make the stamp of a command that answers no observation.

        It is not quite now: where time is simulated, an observation may be stamped with this very
        instant, and a robot that waits for its answer would take the command for it.
        """
        return max(0, self._node.get_clock().now().nanoseconds - 1)

    def facts(self) -> dict[str, str]:
        """List what is worth a line in diagnostics: the topics that nobody listens to."""
        return {'unheard': ' '.join(
            publisher.topic_name for publisher in self._publishers
            if not publisher.get_subscription_count())}

    def wait_until_arrived(self) -> None:
        """Wait a moment for the last commands to arrive."""
        for publisher in self._publishers:
            publisher.wait_for_all_acked(Duration(seconds=0.5))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)


class SourceSubscriptions:
    """
    The subscriptions to a robot's sources.

    :param node: Where they are created.
    :param loop: Has the robot's description.
    :param receive: Gets each sample with its source's name.
    :param watch: Hears of publishers from which nothing comes.
    """

    def __init__(
            self, node: Node, loop: ControlLoop, receive: Callable[[str, Sample], None],
            watch: QosWatch | None = None) -> None:
        """Create them."""
        _require_other_topics(node, loop.robot)
        self._node = node
        self._time = NodeTime(node)
        #: Each source that one publisher is to send, with what notices several of them.
        self.interleavings = [
            (source, Interleaving()) for source in loop.robot.sources.values() if not source.child]
        turns = {source.name: interleaving for source, interleaving in self.interleavings}

        def counted(name: str, sample: Sample) -> None:
            if name in turns:
                # What has other joints may be another publisher's; what has none does not count.
                joints = sample.joints
                if joints is None or max(joints.slots) >= 0:
                    turns[name].add(joints and joints.slots)
            receive(name, sample)

        self._receive = counted
        watch = watch or QosWatch(node)
        lockstep = loop.settings.trigger == 'samples'
        self._subscriptions: list[Subscription] = []
        for source in loop.robot.sources.values():
            reader = SourceReader(source, loop.robot)
            is_kept = lockstep or source.qos.durability != 'volatile'
            self._subscriptions.append(node.create_subscription(
                reader.message_type, source.topic,
                _numbered(
                    self._receiver(source.name, source.topic, reader.read, is_kept),
                    turns.get(source.name)),
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

        :param is_kept: Whether messages count that come before simulated time begins. Their age
            would be the time of the simulation, and so would be what their stamps are ahead of
            their arrival.
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
                # Where a message has a part of the joints, whose it may be is worth knowing.
                if time.monotonic() - looked >= _LOOK_AGAIN:
                    publishers = tuple(publisher_names(self._node, full_name))
                    looked = time.monotonic()
                sample = replace(sample, joints=replace(sample.joints, publishers=publishers))
            self._receive(name, sample)
        return receive

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


def _require_other_topics(node: Node, robot: RobotDescription) -> None:
    """
    See that no command is heard as if a sensor had sent it, after remapping.

    :raises DescriptionError: Where a source's topic is a command topic.
    """
    commands = {node.resolve_topic_name(topic.topic): topic for topic in robot.commands}
    for source in robot.sources.values():
        command = commands.get(node.resolve_topic_name(source.topic))
        if command is not None:
            raise DescriptionError(
                f'{source.where}: its topic {source.topic} is, as remapped, '
                f'{node.resolve_topic_name(source.topic)}, which the command {command.name!r} '
                'goes to; a source has to be what the robot measures')


def _numbered(
        receive: Callable[[object], None],
        interleaving: Interleaving | None) -> Callable[..., None]:
    """Have a callback note the number that the publisher gave a message."""
    if interleaving is None:
        return receive

    def receive_numbered(*arguments: Any) -> None:
        # The executor of events gives message and information as one argument, the others as two.
        found = arguments[0] if len(arguments) == 1 else arguments
        message, info = found if isinstance(found, tuple) else (found, {})
        interleaving.number = info.get('publication_sequence_number')
        receive(message)

    # From which rclpy tells that the information is wanted.
    receive_numbered.__signature__ = _WITH_INFORMATION  # type: ignore[attr-defined]
    return receive_numbered
