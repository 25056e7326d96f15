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
"""Clients of actions, which a node keeps until it ends."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.node import Node

from dfp_ros.node.ros.qos import CALL_QOS

_kept: WeakKeyDictionary[Node, dict[tuple[Any, str], tuple[ActionClient, Any]]] = (
    WeakKeyDictionary())


def action_clients(node: Node, kind: Any, name: str) -> tuple[ActionClient, Any]:
    """
    Return a node's client of an action, and that of the service that cancels its goals.

    They are made once. While a node spins they are not destroyed: with the events executor, the
    process ends with a segmentation fault if an answer of the server comes meanwhile
    (https://github.com/ros2/rclpy/issues/1644 has the same with other events).

    :param node: The node.
    :param kind: Type of the action.
    :param name: Its full name.
    """
    kept = _kept.setdefault(node, {})
    if (kind, name) not in kept:
        kept[kind, name] = (
            ActionClient(
                node, kind, name, goal_service_qos_profile=CALL_QOS,
                result_service_qos_profile=CALL_QOS, cancel_service_qos_profile=CALL_QOS),
            node.create_client(
                CancelGoal, f'{name}/_action/cancel_goal', qos_profile=CALL_QOS))
    return kept[kind, name]


def destroy_action_clients(node: Node) -> None:
    """Destroy all that a node has; no executor may spin it any more."""
    for client, canceller in _kept.pop(node, {}).values():
        client.destroy()
        node.destroy_client(canceller)
