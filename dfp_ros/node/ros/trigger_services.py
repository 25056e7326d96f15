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
"""Trigger services: a function as a service of type std_srvs/Trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain


class TriggerServices:
    """
    Services of type std_srvs/Trigger of a node.

    :param node: The node.
    :param actions: Their functions by name; each returns a message about its result, or raises an
        error.
    :raises SettingsError: If two services of the node have one name, as remapped: whoever calls
        ~/stop must not reach ~/resume.
    """

    def __init__(self, node: Node, actions: Mapping[str, Callable[[], str]]) -> None:
        """Create the services."""
        self._node = node
        taken = {
            node.resolve_service_name(service.srv_name): 'another of its services'
            for service in node.services}
        for name in actions:
            full = node.resolve_service_name(name)
            if full in taken:
                raise SettingsError(
                    f'service {name}: found the name {full}, as remapped, which is that of '
                    f'{taken[full]}, too: a call would reach one of the two; remap only one')
            taken[full] = name
        self._created = [
            node.create_service(Trigger, name, self._server(name, action))
            for name, action in actions.items()]

    def _server(self, name: str, action: Callable[[], str]) -> Callable[[Any, Any], Any]:
        """Make the callback of one service."""
        def serve(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.message, response.success = action(), True
            except Exception as error:  # reported to the caller; the node continues
                response.message, response.success = explain(error), False
            self._node.get_logger().info(f'{name}: {response.message}')
            return response
        return serve

    def close(self) -> None:
        """Destroy the services."""
        for service in self._created:
            self._node.destroy_service(service)
