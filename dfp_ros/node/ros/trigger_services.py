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
"""Services that do one thing each and say how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from dfp_ros.core.text.errors import explain


class TriggerServices:
    """
    Services of type std_srvs/Trigger.

    :param node: Where they are created.
    :param actions: What they do, by name; an action returns what was done, for people, or raises
        why it was not.
    """

    def __init__(self, node: Node, actions: Mapping[str, Callable[[], str]]) -> None:
        """Create them."""
        self._node = node
        self._created = [
            node.create_service(Trigger, name, self._server(name, action))
            for name, action in actions.items()]

    def _server(self, name: str, action: Callable[[], str]) -> Callable[[Any, Any], Any]:
        """Make the callback of one service."""
        def serve(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.message, response.success = action(), True
            except Exception as error:  # whoever called is told, and the node lives on
                response.message, response.success = explain(error), False
            self._node.get_logger().info(f'{name}: {response.message}')
            return response
        return serve

    def close(self) -> None:
        """Destroy them."""
        for service in self._created:
            self._node.destroy_service(service)
