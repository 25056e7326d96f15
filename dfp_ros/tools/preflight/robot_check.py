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
"""Robot's topics and their endpoints, compared with the robot description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from dfp_ros.core.description.commands import CommandEntry, CommandTopic
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import Source
from dfp_ros.node.commanding.action_sender import status_topic
from dfp_ros.node.loop.picture_receiver import PictureReceiver
from dfp_ros.node.ros.endpoints import (
    own_qos,
    publishers_of,
    similar_topics,
    subscribers_of,
)
from dfp_ros.tools.preflight.arrivals import Arrivals
from dfp_ros.tools.preflight.measurements import CommandFigures, PersonFigures, SourceFigures

_STATUS = 'action_msgs/msg/GoalStatusArray'


def private_topics(robot: RobotDescription) -> RobotDescription:
    """Rename each command topic into the node's namespace, so that no robot subscribes."""
    return replace(robot, commands=tuple(
        replace(topic, topic=f'~/command_{i}', action='')
        for i, topic in enumerate(robot.commands)))


def find_sources(
        node: Node, robot: RobotDescription, subscriptions: Iterable[Subscription],
        arrivals: Mapping[str, Arrivals], end: int,
        cameras: Mapping[str, PictureReceiver] | None = None) -> tuple[SourceFigures, ...]:
    """
    Measure the sources.

    :param node: Node that queries the ROS graph.
    :param robot: The robot description.
    :param subscriptions: Subscriptions to its sources.
    :param arrivals: Arrival statistics of each source.
    :param end: End of the measurement, in ns.
    :param cameras: Receivers of the sources that are cameras.
    """
    found = []
    receivers = cameras or {}
    for source in robot.sources.values():
        figures = arrivals[source.name].figures(end, [
            (joint, reading.names) for reading in robot.readings(source.name)
            for joint in reading.joints])
        # Static transforms are latched too, on a topic of their own.
        is_static = bool(source.child) and figures['has_value']
        topic = node.resolve_topic_name(source.static_topic if is_static else source.topic)
        # Several sources may share a topic, as transforms do.
        publishers = tuple(dict.fromkeys(
            end for made in subscriptions if made.topic_name == topic
            for end in publishers_of(node, topic, source.type, made.qos_profile)))
        found.append(SourceFigures(
            source.name, topic, source.type, source.max_age, publishers=publishers,
            similar=similar_topics(node, topic, source.type),
            is_latched=source.is_latched or is_static, **figures,
            **_camera_figures(source, receivers.get(source.name))))
    return tuple(found)


def _camera_figures(source: Source, receiver: PictureReceiver | None) -> dict[str, Any]:
    """Measure a camera; nothing for any other source."""
    if receiver is None or source.picture is None:
        return {}
    form = source.picture
    return {
        'picture': f'{form.width} x {form.height} {form.encoding}', 'messages': receiver.arrived,
        'decoded': receiver.decoded, 'decoding': receiver.longest}


def find_people(
        node: Node, robot: RobotDescription, subscriptions: Iterable[Subscription],
) -> tuple[PersonFigures, ...]:
    """
    Find the publishers of the topics of a person, who need not be there.

    :param node: Node that queries the ROS graph.
    :param robot: The robot description.
    :param subscriptions: Subscriptions to all sources.
    """
    found = []
    for source in () if robot.takeover is None else robot.takeover.sources.values():
        topic = node.resolve_topic_name(source.topic)
        found.append(PersonFigures(source.name, topic, source.type, tuple(dict.fromkeys(
            end for made in subscriptions if made.topic_name == topic
            for end in publishers_of(node, topic, source.type, made.qos_profile)))))
    return tuple(found)


def find_commands(node: Node, robot: RobotDescription) -> tuple[CommandFigures, ...]:
    """
    Measure the command topics, on which this node does not publish.

    :param node: Node that queries the ROS graph, and publishes on :func:`private_topics`.
    :param robot: The robot description.
    """
    found = []
    own = {
        node.resolve_topic_name(private.topic) for private in private_topics(robot).commands}
    for command, private in zip(
            robot.commands, private_topics(robot).commands, strict=True):
        topic = node.resolve_topic_name(command.topic)
        offered = own_qos(node, node.get_publishers_info_by_topic(
            node.resolve_topic_name(private.topic)))
        assert offered is not None
        if command.action:
            # Its server publishes the status.
            servers = publishers_of(node, status_topic(topic), _STATUS, offered)
            others: tuple[str, ...] = ()
        else:
            servers = subscribers_of(node, topic, command.type, offered)
            others = tuple(
                end.node for end in publishers_of(node, topic, command.type, offered))
        found.append(CommandFigures(
            command.name, topic, command.action or command.type, servers, others,
            tuple(text for entry in command.entries for text in unlimited(command, entry)),
            tuple(name for name in similar_topics(
                node, topic, command.type, is_taken=True) if name not in own)))
    return tuple(found)


def unlimited(command: CommandTopic, entry: CommandEntry) -> Iterable[str]:
    """List the limits that a field could have but the description lacks."""
    kind, limits = command.stop_of(entry).kind, entry.limits
    if kind == 'position' and limits.velocity is None:
        yield f'the velocity of {entry.action}'
    if kind in ('position', 'velocity') and limits.acceleration is None:
        yield f'the acceleration of {entry.action}'
