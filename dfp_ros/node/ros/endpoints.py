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
"""Who is at the other end of a topic, and whether anything gets from one to the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile

from dfp_ros.core.text.printable import printable


@dataclass(frozen=True)
class Endpoint:
    """
    Somebody at the other end of a topic.

    :param node: The node's full name.
    :param problem: Why nothing gets from one to the other; empty where it does.
    """

    node: str
    problem: str = ''


# What the middleware says while it does not know.
_UNKNOWN = '_NODE_NAME_UNKNOWN_'
_REMEDY = {
    True: 'change qos of the source in the robot description, or what the publisher offers',
    False: 'have the subscriber ask for less; commands are offered reliable and volatile'}


def publishers_of(
        node: Node, topic: str, type_name: str, requested: QoSProfile) -> tuple[Endpoint, ...]:
    """
    List who publishes on a topic.

    :param node: Looks around.
    :param topic: The topic's full name.
    :param type_name: Message type that is subscribed to.
    :param requested: Quality of service that is asked for.
    """
    return tuple(
        Endpoint(_name(info), _problem(info, type_name, info.qos_profile, requested, True))
        for info in node.get_publishers_info_by_topic(topic))


def subscribers_of(
        node: Node, topic: str, type_name: str, offered: QoSProfile) -> tuple[Endpoint, ...]:
    """
    List who subscribes to a topic.

    :param node: Looks around.
    :param topic: The topic's full name.
    :param type_name: Message type that is published.
    :param offered: Quality of service that is offered.
    """
    return tuple(
        Endpoint(_name(info), _problem(info, type_name, offered, info.qos_profile, False))
        for info in node.get_subscriptions_info_by_topic(topic))


def publisher_names(node: Node, topic: str) -> list[str]:
    """
    List the full names of the nodes that publish on a topic, one for each publisher.

    :param node: Looks around.
    :param topic: The topic's full name.
    """
    return [_name(info) for info in node.get_publishers_info_by_topic(topic)]


def own_name(node: Node) -> str:
    """Write a node's full name as those of the ends of topics are written."""
    return f'{node.get_namespace().rstrip("/")}/{node.get_name()}'


def own_qos(node: Node, ends: Iterable[Any]) -> QoSProfile | None:
    """
    Find a node's own quality of service among the ends of a topic.

    It is what the middleware says of it, as of the others: in our own words, a deadline that
    nobody asked for differs from one that nobody offers.

    :param node: The node.
    :param ends: What the node sees.
    :return: None where the node is not among them, or not yet.
    """
    whose = node.get_name(), node.get_namespace()
    return next(
        (end.qos_profile for end in ends if (end.node_name, end.node_namespace) == whose), None)


def describe_qos(qos: QoSProfile) -> str:
    """Write the part of a quality of service that decides who gets what."""
    return f'{qos.reliability.name.lower()}, {qos.durability.name.lower()}'


def _problem(
        info: Any, type_name: str, offered: QoSProfile, requested: QoSProfile,
        is_source: bool) -> str:
    """Say what is between two ends of a topic; empty where nothing is."""
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
    """Write a node's full name; an end may be seen before the node that it belongs to."""
    if info.node_name == _UNKNOWN:
        return 'somebody'
    return printable(f'{info.node_namespace.rstrip("/")}/{info.node_name}')
