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
"""Calls of services, with a timeout, without blocking; clients of a policy node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
import time
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from std_srvs.srv import Trigger

from dfp_ros.core.text.printable import listed, printable
from dfp_ros.node.ros.qos import CALL_QOS

#: Services of a policy node that stop, reset and release its robot.
WORDS = ('stop', 'reset', 'resume')
# Time after which a service that is no longer offered does not answer, s.
_GONE = 3.0


@dataclass(frozen=True)
class Answer:
    """
    Result of a call.

    :param success: Whether it succeeded.
    :param message: Message of the service; if it failed, an explanation with the service's name.
    :param has_answered: Whether there was an answer at all.
    """

    success: bool
    message: str
    has_answered: bool = True


class ServiceCall:
    """
    A call that was begun; it waits for the service, and for the answer.

    :param node: Node of the client.
    :param client: The client.
    :param name: Name of the service, for messages.
    :param timeout: Longest time to the answer in s.
    :param request: The request; None for an empty one.
    :param wake: Called when the answer is there; :meth:`poll` returns it.
    :param found_within: Longest time until the service is there in s; ``timeout`` if None.
    """

    def __init__(
            self, node: Node, client: Any, name: str, timeout: float, request: Any = None,
            wake: Callable[[], object] | None = None, found_within: float | None = None) -> None:
        """Call, if the service is there already."""
        self._node, self._client, self._name, self._timeout = node, client, name, timeout
        self._request = client.srv_type.Request() if request is None else request
        self._wake = wake
        self._deadline = time.monotonic() + (timeout if found_within is None else found_within)
        self._gone = math.inf
        self._future: Any = None
        #: Whether it was withdrawn before it was sent.
        self.is_withdrawn = False
        self._call()

    def poll(self) -> Answer | None:
        """Return the answer, or why there is none; None while it may come."""
        if self.is_withdrawn:
            return Answer(
                False, f'service {self._name}: withdrawn before it was called', has_answered=False)
        self._call()
        if self._future is not None and self._future.done():
            return self._read()
        now = time.monotonic()
        if self._future is not None and self._client.service_is_ready():
            self._gone = now + _GONE
        if now < min(self._deadline, self._gone):
            return None
        self.drop()
        reason = f'no answer within {self._timeout:g} s'
        if self._future is None:
            reason = self._why_not()
        elif now < self._deadline:
            reason = 'its node ended before it answered'
        return Answer(False, f'service {self._name}: {reason}', has_answered=False)

    def withdraw(self) -> None:
        """Do not send it any more; what was sent is executed."""
        self.is_withdrawn = self._future is None

    def drop(self) -> None:
        """Forget the call; it may be executed nevertheless."""
        if self._future is not None:
            self._client.remove_pending_request(self._future)

    def _call(self) -> None:
        """Send the request once the service is there."""
        if self._future is None and self._client.service_is_ready():
            self._future = self._client.call_async(self._request)
            self._deadline = time.monotonic() + self._timeout
            if (wake := self._wake) is not None:
                self._future.add_done_callback(lambda _: wake())

    def _read(self) -> Answer:
        """Read the answer."""
        response = self._future.result()
        if response is None:
            return Answer(False, f'service {self._name}: the call failed')
        message = printable(getattr(response, 'message', ''), 500)
        if not response.success:
            message = f'service {self._name}: refused' + (
                f': {message}' if message else '; the log of its node says why')
        return Answer(bool(response.success), message)

    def _why_not(self) -> str:
        """Explain why a service cannot be called."""
        full = self._node.resolve_service_name(self._name)
        kind = self._client.srv_type
        wanted = f'{kind.__module__.split(".")[0]}/srv/{kind.__name__}'
        for other, kinds in self._node.get_service_names_and_types():
            if other == full and (others := [each for each in kinds if each != wanted]):
                return f'found the type {listed(others)}, expected {wanted}'
        return f'not found as {full}; start the node that offers it'


def how_to_resume(node: Node, name: str) -> str:
    """
    Return the command line that releases the robot, from a terminal in any namespace.

    :param node: A node, which resolves the name.
    :param name: The policy node's name.
    """
    return (
        f'`ros2 service call {node.resolve_service_name(f"{name}/resume")} std_srvs/srv/Trigger`')


class PolicyServices:
    """
    Clients of a policy node's ``~/stop``, ``~/reset`` and ``~/resume``, and of its transitions.

    :param node: Node of the clients.
    :param name: The policy node's name.
    """

    def __init__(self, node: Node, name: str) -> None:
        """Create the clients."""
        self._node, self._name = node, name
        self._clients = {
            word: node.create_client(Trigger, f'{name}/{word}', qos_profile=CALL_QOS)
            for word in WORDS}
        self._change = node.create_client(
            ChangeState, f'{name}/change_state', qos_profile=CALL_QOS)

    @property
    def full_name(self) -> str:
        """Return the policy node's full name."""
        return self._node.resolve_service_name(f'{self._name}/stop').rpartition('/')[0]

    def explain_missing(self) -> str:
        """Explain that there is no such node, with the policy nodes that there are."""
        offered = {name for name, _ in self._node.get_service_names_and_types()}
        others = sorted(
            name for name in {each.rpartition('/')[0] for each in offered}
            if all(f'{name}/{word}' in offered for word in ('promote', 'rollback', *WORDS)))
        return f'not found as {self.full_name}' + (
            f'; there is {listed(others)}' if others else '')

    @property
    def is_offered(self) -> bool:
        """Return whether the policy node offers its services."""
        return self._clients['stop'].service_is_ready()

    def call(
            self, word: str, timeout: float,
            wake: Callable[[], object] | None = None) -> ServiceCall:
        """
        Begin to call a service.

        :param word: One of :data:`WORDS`.
        :param timeout: Longest time to the answer in s.
        :param wake: Called when the answer is there.
        """
        return ServiceCall(
            self._node, self._clients[word], f'{self._name}/{word}', timeout, wake=wake)

    def set_active(
            self, is_active: bool, timeout: float,
            wake: Callable[[], object] | None = None) -> ServiceCall:
        """
        Begin to activate or deactivate the policy node.

        :param is_active: Whether it is to be active.
        :param timeout: Longest time to the answer in s.
        :param wake: Called when the answer is there.
        """
        number = (
            Transition.TRANSITION_ACTIVATE if is_active else Transition.TRANSITION_DEACTIVATE)
        return ServiceCall(
            self._node, self._change, f'{self._name}/change_state', timeout,
            ChangeState.Request(transition=Transition(id=number)), wake)


class ReleasedReset:
    """
    Reset of the scene while the policy node is inactive, so that others command the robot.

    The node is activated again, also if the reset fails or is withdrawn; the stop of its operator
    stays in force.

    :param begin: Begins each step, in order: deactivation, reset, activation.
    """

    def __init__(self, begin: Sequence[Callable[[], ServiceCall]]) -> None:
        """Begin the first step."""
        self._begin = list(begin)
        self._call = self._begin.pop(0)()
        self._reset: Answer | None = None
        self._is_withdrawn = False

    def poll(self) -> Answer | None:
        """Return the answer of the reset, or of a transition that failed; None if too early."""
        while (answer := self._call.poll()) is not None:
            if len(self._begin) == 1:
                self._reset = answer
            elif not answer.success or not self._begin:
                return self._reset if answer.success else answer
            elif self._is_withdrawn:
                self._begin.pop(0)
                self._reset = Answer(False, 'the reset was withdrawn before it began', False)
            self._call = self._begin.pop(0)()
        return None

    def drop(self) -> None:
        """Forget it, at whichever step it is."""
        self._call.drop()

    def withdraw(self) -> None:
        """Leave the reset out; what was sent of it is executed."""
        self._is_withdrawn = True
        if len(self._begin) == 1:
            self._call.withdraw()
