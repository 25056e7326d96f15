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
"""Files of a policy node, opened only in loader processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import concurrent.futures
from concurrent.futures import Future
from pathlib import Path
import threading
import time
from typing import Any

from rclpy.node import Node

from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import PolicyFile, require_ending
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.node.files.loader import Loader
from dfp_ros.node.parameters.parameters import read_execution

# Timeout of a read by the thread of the ticks, in s, and its polling period meanwhile.
_LONGEST_NOW, _POLL = 1.0, 0.001


class NodeFiles:
    """
    Reads files and tests policies, in two processes, each step within ``load_timeout``.

    :param node: The node, for its parameters and its log.

    :ivar trials: The process that tests policies.
    """

    def __init__(self, node: Node) -> None:
        """Start without processes."""
        self._node = node
        self._make_loaders()
        # Last results, by parameter value.
        self._known: dict[str, str] = {}

    def start(self) -> None:
        """Start both processes."""
        self.trials.start()
        self._reader.start()

    def close(self) -> None:
        """Kill both processes; they are started again when needed."""
        self.trials.close()
        self._reader.close()
        self._make_loaders()

    def longest(self) -> float:
        """Timeout of reading or loading a file as a whole, in s."""
        return 3 * self._seconds

    @property
    def _seconds(self) -> float:
        """Timeout of a step in s."""
        return float(self._node.get_parameter('load_timeout').value)

    def _make_loaders(self) -> None:
        """Make both loaders, without starting them."""
        self._reader = Loader('the process that reads files', self._is_ending)
        self.trials = Loader('the process that tries policies out', self._is_ending)

    def _is_ending(self) -> bool:
        """Return whether the process was asked to end, which aborts waits for files."""
        ending = getattr(self._node, 'ending', None)
        return ending is not None and ending.is_set()

    def read_policy(self, name: str) -> PolicyFile:
        """
        Read a policy file, its hash and its specification.

        :param name: Its path, or the bare name of one that comes with the package.
        :raises PolicyError: If it is not trusted (``policy_roots``, ``policy_keys``) or cannot be
            used, or after the timeout.
        """
        return self._reader.read_policy(name, self._seconds, *(
            self._node.get_parameter(parameter).value
            for parameter in ('policy_roots', 'policy_keys')))

    def read_policy_while_ticking(self, name: str, keep_up: Callable[[], None]) -> PolicyFile:
        """
        Read a policy file from the thread of the ticks, which continue meanwhile.

        Messages and service calls are delayed meanwhile, so the timeout is a second at most.

        :param name: As for :meth:`read_policy`.
        :param keep_up: Ticks if a tick is due.
        :raises PolicyError: As for :meth:`read_policy`.
        """
        future: Future[PolicyFile] = Future()
        threading.Thread(
            target=self._look_for, args=(name, future), name='look', daemon=True).start()
        seconds = min(self._seconds, _LONGEST_NOW)
        end = time.monotonic() + seconds
        try:
            while True:
                try:
                    return future.result(_POLL)
                except concurrent.futures.TimeoutError:
                    if time.monotonic() > end:
                        raise PolicyError(
                            f'policy file {name}: was not read within {seconds:g} s; does its '
                            'file system answer?') from None
                keep_up()
        finally:
            # The traceback of its error has this frame, and the frame would have the error.
            del future

    def _look_for(self, name: str, future: Future[PolicyFile]) -> None:
        """Read a policy file; the result, or the error, is in the future afterwards."""
        try:
            future.set_result(self.read_policy(name))
        except Exception as error:  # raised by the waiting thread
            future.set_exception(error)

    def try_out(self, file: PolicyFile, execution: ExecutionSettings, candidates: int) -> None:
        """
        Test whether a policy file can be loaded and answers.

        :raises PolicyError: If it cannot, or after the timeout.
        """
        self.trials.try_out(file, execution, candidates, self._seconds)

    def read(self, path: Path) -> bytes:
        """
        Read a short file.

        :raises PolicyError: If it cannot be read, or after the timeout.
        """
        return self._reader.read(str(path), self._seconds)[1]

    def load_robot(self, name: str) -> RobotDescription:
        """
        Load a robot description.

        :param name: Its path, or the bare name of one that comes with the package.
        :raises ValueError: If it cannot be found or used.
        """
        path, content = self._reader.read(name, self._seconds, 'config', '.yaml')
        return load_robot_description(path, content)

    def check(self, changes: Mapping[str, Any]) -> None:
        """
        Read and test the files that new values of parameters name, while there are no ticks.

        :param changes: New values by name.
        :raises ValueError: If a file cannot be used.
        """
        if changes.get('policy'):
            file = self.read_policy(changes['policy'])
            execution = read_execution(self._node, changes)
            require_ending(file, execution)
            self.try_out(file, execution, 0)
            self._known[changes['policy']] = file.sha256
        if changes.get('robot'):
            self.load_robot(changes['robot'])

    def say_what_changed(self, name: str, file: PolicyFile) -> None:
        """
        Log whether a policy file has changed since the parameter was set.

        :param name: Value of the parameter.
        :param file: The file as read now.
        """
        before = self._known.get(name, file.sha256)
        self._known[name] = file.sha256
        if before != file.sha256:
            self._node.get_logger().warning(
                f'policy file {printable(file.path, TEXT)} has changed since it was read '
                f'(sha256 {before[:12]} then, {file.sha256[:12]} now); the new content is '
                'loaded')
