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
"""Client that resets a policy node before an episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from dfp_ros.node.ros.qos import CALL_QOS

ANSWER_TIMEOUT = 2.0
RETRY_AFTER = 0.2
COMPLAIN_EVERY = 5.0


class PolicyReset:
    """
    Reset of a policy node: its noise seed is that of the episode, its chunk is discarded.

    The node may not exist or be active yet. So this retries until it succeeds, never blocks, and
    logs every five seconds the topic or service that it waits for.

    :param node: Node for the service clients.
    :param name: Relative or absolute name of the policy node.
    :param wake: Called from the executor's thread when :meth:`poll` has work to do.
    """

    def __init__(self, node: Node, name: str, wake: Callable[[], None]) -> None:
        """Create the clients."""
        self._node = node
        self._name = name
        self._wake = wake
        self._seeding: Client = node.create_client(
            SetParameters, f'{name}/set_parameters', qos_profile=CALL_QOS)
        self._reset: Client = node.create_client(
            Trigger, f'{name}/reset', qos_profile=CALL_QOS)
        self._future: Future | None = None
        self._client = self._seeding

    def start(self, seed: int, now: float) -> None:
        """
        Start the reset.

        :param seed: Seed of the episode, which becomes the policy's ``noise_seed``.
        :param now: Monotonic time, s.
        """
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
        self._seed = SetParameters.Request(parameters=[Parameter(name='noise_seed', value=value)])
        self._next_try = now
        self._next_complaint = now + COMPLAIN_EVERY
        self._drop()
        self._client = self._seeding

    def poll(self, now: float) -> bool:
        """
        Continue the reset.

        :param now: Monotonic time, s.
        :return: True once the policy node is ready for the episode.
        """
        if self._future is not None and self._future.done():
            reason = self._failure(self._future.result())
            self._future = None
            if reason is None and self._client is self._reset:
                return True
            if reason is None:
                self._client = self._reset
            else:
                self._retry(now, reason)
        elif self._future is not None and now > self._deadline:
            self._drop()
            self._retry(now, f'no answer within {ANSWER_TIMEOUT:g} s')
        if self._future is None and now >= self._next_try:
            self._ask(now)
        return False

    def _ask(self, now: float) -> None:
        """Send the pending request, if its service exists."""
        if not self._client.service_is_ready():
            self._retry(now, f'the service {self._client.srv_name} does not exist')
            return
        seeding = self._client is self._seeding
        self._deadline = now + ANSWER_TIMEOUT
        self._future = self._client.call_async(self._seed if seeding else Trigger.Request())
        self._future.add_done_callback(lambda _: self._wake())

    def _failure(self, response: Any) -> str | None:
        """Return the reason of a refusal; None if the request succeeded."""
        if response is None:
            return 'the request failed'
        if self._client is self._reset:
            return None if response.success else f'reset refused: {response.message}'
        result = response.results[0]
        return None if result.successful else f'noise_seed refused: {result.reason}'

    def _retry(self, now: float, reason: str) -> None:
        """Retry a little later, and log a warning after a while."""
        self._client = self._seeding
        self._next_try = now + RETRY_AFTER
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAIN_EVERY
            self._node.get_logger().warning(
                f'waiting for the policy node {self._name!r} before the episode starts: {reason}')

    def _drop(self) -> None:
        """Cancel the pending request."""
        if self._future is not None:
            self._client.remove_pending_request(self._future)
            self._future = None
