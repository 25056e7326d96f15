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
"""Node processes, and a peer node on the same ROS domain to communicate with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any
from unittest.mock import patch

from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from dfp_ros.node.ros.dds_transport import choose_transport
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import CALL_QOS
from testing import ROOT

# Bytes of an endless input that are some.
_READ = 50_000


def in_domain(domain: int) -> dict[str, str]:
    """Return the environment variables of a process that communicates on this machine only."""
    variables = {
        **os.environ, 'ROS_DOMAIN_ID': str(domain), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': os.pathsep.join(
            part for part in (str(ROOT), os.environ.get('PYTHONPATH')) if part)}
    choose_transport(variables)
    return variables


def status_of(main: Callable[[list[str]], int], *words: str, longest: float = 60.0) -> int:
    """
    Call the main function of a node that ends by itself, in a domain of its own.

    That takes less time than another process.

    :param main: The function.
    :param words: Its command line.
    :param longest: Time in s after which it is interrupted.
    :return: Its exit status.
    """
    timer = threading.Timer(longest, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with patch.dict(os.environ, in_domain(free_domain())):
            return main([*words])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    finally:
        timer.cancel()
        timer.join()


class NodeProcess:
    """
    Python module run as a process in a separate ROS domain.

    :param module: Argument of ``python -m``.
    :param domain: ROS domain.
    :param arguments: Its arguments.
    :param prefix: Command that runs it, with its arguments.
    :param stdin: Its standard input, a file or one of those of :mod:`subprocess`.
    :param environment: Environment variables to add; None removes one.
    """

    def __init__(
            self, module: str, domain: int, *arguments: str, prefix: Sequence[str] = (),
            stdin: Any = subprocess.DEVNULL, **environment: str | None) -> None:
        """Start the process."""
        variables: dict[str, str | None] = {**in_domain(domain), **environment}
        self._output = tempfile.TemporaryFile()
        self._said = 0
        self.process = subprocess.Popen(
            [*prefix, sys.executable, '-m', module, *arguments], stdin=stdin,
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
        Let it leave its domain; kill it if it does not.

        A killed process leaves its locks and ports in the shared memory of Fast DDS to its peers,
        whose own shutdown could block on them.
        """
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(timeout=timeout)
        self.__exit__()

    @property
    def output(self) -> str:
        """Return its output so far, without what was forgotten."""
        self._output.flush()
        return os.pread(self._output.fileno(), 1 << 20, self._said).decode(errors='replace')

    def forget(self) -> None:
        """Leave what it has said so far out of :attr:`output`."""
        self._said = os.fstat(self._output.fileno()).st_size

    def recall(self) -> None:
        """Have all that it has said in :attr:`output`."""
        self._said = 0

    def wait(self, timeout: float = 240.0) -> int:
        """
        Wait for it to end by itself.

        :raises TimeoutError: If it does not, with its output.
        """
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f'{error}; its output:\n{self.output}') from None

    def wait_until_it_reads(self, said: str, timeout: float = 120.0) -> None:
        """
        Wait until it has read some of an endless input.

        :param said: What it prints before.
        :raises TimeoutError: If it does not, with its output.
        """
        deadline = time.monotonic() + timeout

        def wait_for(condition: Callable[[], object]) -> None:
            while not condition():
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise TimeoutError(f'it does not read; its output:\n{self.output}')
                time.sleep(0.02)

        def count() -> int:
            text = Path(f'/proc/{self.process.pid}/io').read_text()
            return int(text.split('rchar: ')[1].split()[0])

        wait_for(lambda: said in self.output)
        begun = count()
        wait_for(lambda: count() > begun + _READ)

    def stop(self, number: int = signal.SIGINT, timeout: float = 120.0) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


class Peer:
    """
    Test node that collects messages.

    :param domain: ROS domain.
    """

    def __init__(self, domain: int) -> None:
        """Create the participant."""
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

    def collect(self, kind: Any, topic: str, qos: Any = 1000) -> list[Any]:
        """
        Subscribe to a topic; the returned list grows.

        :param qos: By default so deep that a test that is slower than the node loses nothing.
        """
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def wait_for(self, condition: Callable[[], object], timeout: float = 120.0) -> None:
        """
        Process messages until a condition holds.

        :raises TimeoutError: If it does not hold in time.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f'did not happen within {timeout:g} s')
            self._executor.spin_once(0.1)

    def call(self, kind: Any, name: str, request: Any = None, timeout: float = 120.0) -> Any:
        """Call a service, and wait for the answer."""
        future = self.ask(kind, name, request, timeout)
        self.wait_for(future.done, timeout)
        return future.result()

    def ask(self, kind: Any, name: str, request: Any = None, timeout: float = 120.0) -> Any:
        """Call a service, and return the future answer."""
        # The whole domain knows each client, so there is one per service.
        is_new = name not in self.clients
        if is_new:
            self.clients[name] = self.node.create_client(kind, name, qos_profile=CALL_QOS)
        client = self.clients[name]
        self.wait_for(client.service_is_ready, timeout)
        if is_new:
            wait_until_known(self.node, name, self.wait_for, timeout)
        return client.call_async(kind.Request() if request is None else request)


def wait_until_known(
        node: Node, service: str, wait: Callable[[Callable[[], object], float], object],
        timeout: float = 60.0) -> None:
    """
    Wait until the node of a service has discovered its newest client.

    A client discovers its service before the service discovers it, and an answer between the two
    is lost. A participant announces its endpoints in order, so once the service answers a younger
    client, it knows the older one too.

    :param node: Node of the client.
    :param service: Full name of the service.
    :param wait: Waits until a condition holds, up to a number of seconds.
    :raises TimeoutError: If it is not discovered in time.
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
