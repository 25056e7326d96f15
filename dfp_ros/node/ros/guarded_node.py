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
"""Guarded node: errors of callbacks are logged instead of ending the executor's spin."""

from __future__ import annotations

from collections.abc import Callable
import functools
import math
import time
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.printable import listed, quoted
from dfp_ros.node.parameters.requested import fit_requested
from dfp_ros.node.ros.qos_events import NO_PUBLISHER_EVENTS, NO_SUBSCRIPTION_EVENTS

# Period of log lines of a callback that fails repeatedly, in s.
_SILENCE = 1.0


def guarded(node: Node, callback: Callable[..., Any]) -> Callable[..., Any]:
    """
    Wrap a callback so that it logs its errors instead of raising them.

    rclpy raises errors of callbacks from the executor's spin. One bad message must not leave a
    robot without control, nor end a program with other nodes.

    :param node: Logs.
    :param callback: The callback.
    :return: The wrapper; after an error it returns the last argument, the response of a service.
    """
    said = -math.inf

    @functools.wraps(callback)
    def call(*arguments: Any) -> Any:
        nonlocal said
        try:
            return callback(*arguments)
        except Exception as error:
            if (now := time.monotonic()) - said >= _SILENCE:
                said = now
                name = getattr(callback, '__qualname__', repr(callback))
                node.get_logger().error(
                    f'a callback failed, the node continues: {type(error).__name__}: {error} '
                    f'(in {name})')
            return arguments[-1] if arguments else None

    return call


class GuardedNode(LifecycleNode):
    """
    A lifecycle node whose callbacks never raise; see :func:`guarded`.

    An impossible transition is refused with a warning, and an error in a possible one is logged:
    rclpy does neither.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Guard the callbacks that rclpy creates by itself, too."""
        super().__init__(name, **kwargs)
        for number, transition in self._callbacks.items():
            self._callbacks[number] = self._logging(transition)
        for service in self.services:
            if service.srv_name.endswith('/change_state'):
                service.callback = self._refusing(service.callback)
            if not hasattr(service.callback, '__wrapped__'):
                service.callback = guarded(self, service.callback)

    def _logging(self, transition: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a transition so that it logs its error, which rclpy would drop."""
        @functools.wraps(transition)
        def call(state: Any) -> Any:
            try:
                return transition(state)
            except Exception as error:
                self.get_logger().error(f'{transition.__name__} failed: {explain(error)}')
                raise
        return call

    def _refusing(self, change_state: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the service so that it refuses an impossible transition, for which rclpy raises."""
        @functools.wraps(change_state)
        def answer(request: Any, response: Any) -> Any:
            possible = {each[0]: each[1] for each in self._state_machine.available_transitions}
            asked = request.transition
            if asked.label in possible.values() if asked.label else asked.id in possible:
                return change_state(request, response)
            _, state = self._state_machine.current_state
            self.get_logger().warning(
                f'refused the transition {quoted(asked.label) if asked.label else asked.id}: the '
                f'node is {state}; possible are {listed(possible.values()) or "none"}')
            response.success = False
            return response
        return answer

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """
        Set parameters as requested, also by the services; an integer is taken for a float.

        :raises ParameterNotDeclaredException: If the node has none of that name.
        """
        try:
            fitted = fit_requested(self, parameter_list)
        except ParameterNotDeclaredException as error:
            self.get_logger().warning(f'refused a request: {error}')
            raise
        if isinstance(fitted, SetParametersResult):
            self.get_logger().warning(f'refused a request: {fitted.reason}')
            return fitted
        return super().set_parameters_atomically(fitted)

    def create_timer(
            self, timer_period_sec: float, callback: Callable[..., Any], *args: Any,
            **kwargs: Any) -> Timer:
        """Create a timer, guarded."""
        return super().create_timer(timer_period_sec, guarded(self, callback), *args, **kwargs)

    def create_subscription(
            self, msg_type: Any, topic: str, callback: Callable[..., Any], *args: Any,
            **kwargs: Any) -> Subscription:
        """Create a subscription, guarded, and without events."""
        kwargs.setdefault('event_callbacks', NO_SUBSCRIPTION_EVENTS)
        return super().create_subscription(
            msg_type, topic, guarded(self, callback), *args, **kwargs)

    def create_publisher(self, msg_type: Any, topic: str, *args: Any, **kwargs: Any) -> Publisher:
        """Create a publisher, without events."""
        kwargs.setdefault('event_callbacks', NO_PUBLISHER_EVENTS)
        return super().create_publisher(msg_type, topic, *args, **kwargs)

    def create_service(
            self, srv_type: Any, srv_name: str, callback: Callable[..., Any], *args: Any,
            **kwargs: Any) -> Service:
        """Create a service, guarded; after an error it answers with the response as it is."""
        return super().create_service(
            srv_type, srv_name, guarded(self, callback), *args, **kwargs)
