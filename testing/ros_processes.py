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
"""Real nodes in real processes, and someone on the same ROS domain to talk to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from dfp_ros.node.ros.dds_transport import choose_transport
from testing import ROOT


def in_domain(domain: int) -> dict[str, str]:
    """List the environment variables of a process that talks to this machine alone."""
    variables = {
        **os.environ, 'ROS_DOMAIN_ID': str(domain), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': os.pathsep.join(
            part for part in (str(ROOT), os.environ.get('PYTHONPATH')) if part)}
    choose_transport(variables)
    return variables


class NodeProcess:
    """
    A Python module run as a process in a ROS domain of its own.

    :param module: For ``python -m``.
    :param domain: ROS domain.
    :param arguments: Its arguments.
    :param prefix: A command that runs it, with its own arguments.
    :param environment: Environment variables to add; None removes one.
    """

    def __init__(
            self, module: str, domain: int, *arguments: str, prefix: Sequence[str] = (),
            **environment: str | None) -> None:
        """Start it."""
        variables: dict[str, str | None] = {**in_domain(domain), **environment}
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, '-m', module, *arguments], stdin=subprocess.DEVNULL,
            stdout=self._output, stderr=subprocess.STDOUT,
            env={name: value for name, value in variables.items() if value is not None})

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._output.close()

    def leave(self, timeout: float = 10.0) -> None:
        """
        Have it leave its domain; kill it where it does not.

        A process that is killed leaves its locks and ports in the shared memory of Fast DDS to
        those that it talked to, whose own end must not meet them.
        """
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(timeout=timeout)
        self.__exit__()

    @property
    def output(self) -> str:
        """Return what it has written so far."""
        self._output.flush()
        return os.pread(self._output.fileno(), 1 << 20, 0).decode(errors='replace')

    def wait(self, timeout: float = 60.0) -> int:
        """
        Wait for it to end by itself.

        :raises TimeoutError: Where it does not, with what it said.
        """
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f'{error}; it said:\n{self.output}') from None

    def stop(self, number: int = signal.SIGINT, timeout: float = 30.0) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


class Peer:
    """
    A node of the test's own, which collects messages.

    :param domain: ROS domain.
    """

    def __init__(self, domain: int) -> None:
        """Join the domain."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node('peer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.clients: dict[str, Any] = {}

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def collect(self, kind: Any, topic: str, qos: Any = 50) -> list[Any]:
        """Subscribe; the list that is returned grows."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def wait_for(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        """
        Let messages in until a condition holds.

        :raises TimeoutError: Where it does not come to hold.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f'did not happen within {timeout:g} s')
            self._executor.spin_once(0.1)

    def call(self, kind: Any, name: str, request: Any = None, timeout: float = 60.0) -> Any:
        """Call a service, and wait for the answer."""
        future = self.ask(kind, name, request, timeout)
        self.wait_for(future.done, timeout)
        return future.result()

    def ask(self, kind: Any, name: str, request: Any = None, timeout: float = 60.0) -> Any:
        """Call a service, and return what will be the answer."""
        # Each client is known to the whole domain, so there is one a service.
        is_new = name not in self.clients
        if is_new:
            self.clients[name] = self.node.create_client(kind, name)
        client = self.clients[name]
        self.wait_for(client.service_is_ready, timeout)
        if is_new:
            wait_until_known(self.node, name, self.wait_for, timeout)
        return client.call_async(kind.Request() if request is None else request)


def wait_until_known(
        node: Node, service: str, wait: Callable[[Callable[[], object], float], object],
        timeout: float = 60.0) -> None:
    """
    Wait until the node of a service knows the client that was made for it last.

    A client knows its service before the service knows it, and an answer that comes between the
    two is lost. What a participant makes is announced in order, so whoever answers a younger
    client, asked for nothing until it is answered, knows the older one too.

    :param node: Made the client.
    :param service: Name of the service, that of its node included.
    :param wait: Waits until a condition holds, for so many seconds at most.
    :raises TimeoutError: Where it does not come to know it.
    """
    probe = node.create_client(GetParameters, f'{service.rpartition("/")[0]}/get_parameters')
    deadline = time.monotonic() + timeout
    wait(probe.service_is_ready, timeout)
    while True:
        future = probe.call_async(GetParameters.Request())
        try:
            wait(future.done, 2.0)
            break
        except TimeoutError:
            if time.monotonic() > deadline:
                raise
    node.destroy_client(probe)
