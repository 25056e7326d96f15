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
"""Endpoints of a topic: its publishers and subscribers, and whether they are compatible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile

from dfp_ros.core.text.printable import listed, printable


@dataclass(frozen=True)
class Endpoint:
    """
    A publisher or subscriber of a topic.

    :param node: The node's full name.
    :param problem: Why messages do not arrive; empty if they do.
    """

    node: str
    problem: str = ''


# Name that the middleware gives while it does not know the node.
_UNKNOWN = '_NODE_NAME_UNKNOWN_'
_REMEDY = {
    True: 'change qos of the source in the robot description, or what the publisher offers',
    False: 'have the subscriber ask for less; commands are offered reliable and volatile'}


def publishers_of(
        node: Node, topic: str, type_name: str, requested: QoSProfile) -> tuple[Endpoint, ...]:
    """
    List the publishers of a topic.

    :param node: The node that sees the ROS graph.
    :param topic: The topic's full name.
    :param type_name: Message type of the subscription.
    :param requested: Requested QoS.
    """
    return tuple(
        Endpoint(_name(info), _problem(info, type_name, info.qos_profile, requested, True))
        for info in node.get_publishers_info_by_topic(topic))


def subscribers_of(
        node: Node, topic: str, type_name: str, offered: QoSProfile) -> tuple[Endpoint, ...]:
    """
    List the subscribers of a topic.

    :param node: The node that sees the ROS graph.
    :param topic: The topic's full name.
    :param type_name: Message type of the publisher.
    :param offered: Offered QoS.
    """
    return tuple(
        Endpoint(_name(info), _problem(info, type_name, offered, info.qos_profile, False))
        for info in node.get_subscriptions_info_by_topic(topic))


def publisher_names(node: Node, topic: str) -> list[str]:
    """
    List the full names of the nodes that publish on a topic, one for each publisher.

    :param node: The node that sees the ROS graph.
    :param topic: The topic's full name.
    """
    return [_name(info) for info in node.get_publishers_info_by_topic(topic)]


def similar_topics(
        node: Node, topic: str, type_name: str, is_taken: bool = False) -> tuple[str, ...]:
    """
    List other topics of a type that have a publisher, or a subscriber, beside the node's own.

    :param node: The node that sees the ROS graph.
    :param topic: The topic's full name.
    :param type_name: The message type.
    :param is_taken: Whether a subscriber is wanted.
    """
    # Asked for the ends themselves, a node applies its remappings to the name.
    count = node.count_subscribers if is_taken else node.count_publishers
    own = Counter(end.topic_name for end in (node.subscriptions if is_taken else node.publishers))
    return tuple(
        name for name, types in node.get_topic_names_and_types()
        if type_name in types and name != topic and count(name) > own[name])


def namesakes(node: Node, topic: str, type_name: str) -> str:
    """
    Suggest the topics that differ from one without a publisher in their namespace only.

    :param node: The node that sees the ROS graph.
    :param topic: The topic's full name.
    :param type_name: The message type.
    :return: Text for a log; empty if there are none.
    """
    last = topic.rpartition('/')[2]
    found = sorted(
        name for name in similar_topics(node, topic, type_name) if name.rpartition('/')[2] == last)
    return (
        f'nothing publishes it, but {listed(found)} (same type); change the namespace, or remap '
        'the topic') if found else ''


def own_name(node: Node) -> str:
    """Format a node's full name like those of endpoints."""
    return f'{node.get_namespace().rstrip("/")}/{node.get_name()}'


def own_qos(node: Node, ends: Iterable[Any]) -> QoSProfile | None:
    """
    Find a node's own QoS among the endpoints of a topic.

    It is as reported by the middleware, like that of the others: in rclpy's own values, an unset
    deadline of a subscription differs from that of a publisher.

    :param node: The node.
    :param ends: Endpoints that the node sees.
    :return: None if the node is not among them, or not yet.
    """
    identity = node.get_name(), node.get_namespace()
    return next(
        (end.qos_profile for end in ends if (end.node_name, end.node_namespace) == identity), None)


def describe_qos(qos: QoSProfile) -> str:
    """Format the policies of a QoS that decide compatibility."""
    return f'{qos.reliability.name.lower()}, {qos.durability.name.lower()}'


def _problem(
        info: Any, type_name: str, offered: QoSProfile, requested: QoSProfile,
        is_source: bool) -> str:
    """Describe the incompatibility of two endpoints; empty without one."""
    if info.topic_type != type_name:
        return (
            f'its type is {printable(info.topic_type)}, the robot description says {type_name}; '
            'correct the description, or remap the topic')
    compatibility, reason = qos_check_compatible(offered, requested)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    return (
        f'requested {describe_qos(requested)}, offered {describe_qos(offered)} '
        f'({reason.removeprefix("ERROR: ").rstrip("; ")}); {_REMEDY[is_source]}')


def _name(info: Any) -> str:
    """Format a node's full name; an endpoint may be discovered before its node."""
    if info.node_name == _UNKNOWN:
        return 'an unknown node'
    return printable(f'{info.node_namespace.rstrip("/")}/{info.node_name}')
