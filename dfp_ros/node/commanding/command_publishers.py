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
"""Publishers of the robot's command topics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.description.commands import CommandTopic
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.text.errors import explain
from dfp_ros.node.commanding.action_sender import ActionSender
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.ros.qos import COMMAND_QOS
from dfp_ros.node.ros.qos_events import NO_PUBLISHER_EVENTS
from dfp_ros.node.ros.qos_monitor import QosMonitor


class NotSentError(Exception):
    """
    Topics did not get their command.

    :param error: Error of the last of them.
    :param places: Indices of their numbers in the command.

    :ivar error: As given.
    :ivar places: As given.
    """

    def __init__(self, error: Exception, places: Sequence[int]) -> None:
        """Say what the error does."""
        super().__init__(explain(error))
        self.error = error
        self.places = places


class CommandPublishers:
    """
    The publishers of a robot's command topics; see :mod:`dfp_ros.node.commanding.commander`.

    :param node: The node.
    :param loop: Has the robot's description; loops that follow it have the same.
    :param watch: Hears of subscribers that get nothing.
    :raises DescriptionError: If two commands go to one topic.
    """

    def __init__(self, node: Node, loop: ControlLoop, watch: QosMonitor | None = None) -> None:
        """Create them."""
        require_own_topics(node, loop.robot)
        self._node = node
        watch = watch or QosMonitor(node)
        self._publishers: list[Publisher | ActionSender] = []
        slices = loop.policy.spec.action_slices
        # Indices of the numbers of a command that go to each topic.
        self._parts = [
            np.concatenate([
                np.arange(slices[entry.action].start, slices[entry.action].stop)
                for entry in topic.entries]) for topic in loop.robot.commands]
        for topic, writer in zip(loop.robot.commands, loop.writers, strict=True):
            if not topic.action:
                watch.watch_command(topic.topic, topic.type)
            self._publishers.append(
                ActionSender(node, topic) if topic.action else node.create_publisher(
                    writer.message_type, topic.topic, COMMAND_QOS,
                    event_callbacks=NO_PUBLISHER_EVENTS))

    def send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """
        Publish a decision's command, if it has one; a topic that fails costs no other its own.

        :param loop: Its writers put the command into messages.
        :param decision: The decision.
        :param stamp: Stamp of the messages in ns.
        :raises NotSentError: If a topic failed.
        """
        if decision.sent is None:
            for publisher in self._publishers:
                if isinstance(publisher, ActionSender):
                    publisher.forget_failure()
            return
        failed: Exception | None = None
        places: list[int] = []
        for publisher, writer, part in zip(
                self._publishers, loop.writers, self._parts, strict=True):
            try:
                if isinstance(publisher, ActionSender):
                    publisher.send(writer, decision, stamp, part)
                else:
                    publisher.publish(writer.serialize(decision.sent, stamp, decision.ahead))
            except Exception as error:
                failed = error
                places += part.tolist()
        if failed is not None:
            raise NotSentError(failed, places) from failed

    def try_to_send(self, loop: ControlLoop, decision: Decision, stamp: int) -> bool:
        """
        Publish a decision's command, and log an error instead of raising it.

        :return: Whether it had one, and that was sent.
        """
        try:
            self.send(loop, decision, stamp)
            return decision.sent is not None
        except Exception as error:
            self._node.get_logger().error(
                f'a command could not be sent: {explain(error)}', throttle_duration_sec=1.0)
            return False

    def end_velocities(self, loop: ControlLoop, stamp: int) -> None:
        """
        Publish zeros to each topic whose outputs are all velocities.

        :param loop: Its writers put them into messages.
        :param stamp: Stamp of the messages in ns.
        """
        zeros = np.zeros(loop.policy.spec.action_size)
        for topic, publisher, writer in zip(
                loop.robot.commands, self._publishers, loop.writers, strict=True):
            if not isinstance(publisher, ActionSender) and all(
                    topic.stop_of(entry).kind == 'velocity' for entry in topic.entries):
                publisher.publish(writer.serialize(zeros, stamp))

    def begin_episode(self) -> None:
        """Take the robot to be anywhere, as after an activation or a reset."""
        for publisher in self._publishers:
            if isinstance(publisher, ActionSender):
                publisher.begin_episode()

    def unasked_stamp(self) -> int:
        """
        Make the stamp of a command that is not the answer to an observation.

        It is slightly earlier than now: in simulated time, an observation may have exactly the
        current stamp, and a robot that waits for its answer would take the command for it.
        """
        return max(0, self._node.get_clock().now().nanoseconds - 1)

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics: the topics without a subscriber."""
        return {'unheard': ' '.join(
            publisher.topic_name for publisher in self._publishers
            if not publisher.get_subscription_count())}

    @property
    def action_faults(self) -> str:
        """Why actions do not follow the commands; empty if they do."""
        return '; '.join(
            publisher.fault for publisher in self._publishers
            if isinstance(publisher, ActionSender) and publisher.fault)

    @property
    def unreached(self) -> str:
        """Names of the actions that had no server for the last command; empty if all had."""
        return ', '.join(
            publisher.topic_name for publisher in self._publishers
            if isinstance(publisher, ActionSender) and publisher.is_unreached)

    def wait_until_arrived(self) -> None:
        """Wait a moment, so that the last commands can arrive."""
        for publisher in self._publishers:
            if not isinstance(publisher, ActionSender):
                publisher.wait_for_all_acked(Duration(seconds=0.5))

    def close(self) -> None:
        """Destroy the publishers; clients of actions are kept until the node ends."""
        for publisher in self._publishers:
            if isinstance(publisher, ActionSender):
                publisher.close()
            else:
                self._node.destroy_publisher(publisher)


# Topics that the node, or every node, publishes or subscribes to itself.
_TAKEN = (
    '~/decision', '~/policy', '~/shadow', '~/statistics', '~/transition_event', '/diagnostics',
    '/rosout', '/parameter_events', '/clock')


def require_own_topics(node: Node, robot: RobotDescription) -> None:
    """
    Require that each command has a topic of its own, after namespaces and remapping.

    :raises DescriptionError: If two have one, or it is one of the node's own topics.
    """
    own = {node.resolve_topic_name(name) for name in _TAKEN}
    taken: dict[str, CommandTopic] = {}
    for command in robot.commands:
        name = node.resolve_topic_name(command.topic)
        if name in own:
            raise DescriptionError(
                f'{command.where}: its topic {command.topic} is {name}, which this node uses '
                'itself; expected the topic of a controller')
        other = taken.setdefault(name, command)
        if other is not command:
            raise DescriptionError(
                f'{command.where}: its topic {command.topic} is, as remapped, {name}, which the '
                f'command {other.name!r} goes to as {other.topic}; put all fields of a topic '
                'under one entry, or remap only one of the two')
