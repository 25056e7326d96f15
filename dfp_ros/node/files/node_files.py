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
"""The files of a policy node, none of which is opened in its own process."""

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

# How long a thread that ticks may wait for a look, in s, and how often it ticks meanwhile.
_LONGEST_NOW, _POLL = 1.0, 0.001


class NodeFiles:
    """
    Looks at files and tries them out, in two processes, each step within ``load_timeout``.

    :param node: Has the parameters, and logs.

    :ivar trials: The process that tries policies out.
    """

    def __init__(self, node: Node) -> None:
        """Start no process yet."""
        self._node = node
        self._make_loaders()
        # By parameter value, what was read of a file last.
        self._known: dict[str, str] = {}

    def start(self) -> None:
        """Start both processes."""
        self.trials.start()
        self._looks.start()

    def close(self) -> None:
        """End both processes, whatever they do; they start again when they are needed."""
        self.trials.close()
        self._looks.close()
        self._make_loaders()

    def longest(self) -> float:
        """Return how long a look or a load may take altogether, in s."""
        return 3 * self._seconds

    @property
    def _seconds(self) -> float:
        """Return how long a step may take, in s."""
        return float(self._node.get_parameter('load_timeout').value)

    def _make_loaders(self) -> None:
        """Make both, not started."""
        self._looks = Loader('the process that reads files', self._is_ending)
        self.trials = Loader('the process that tries policies out', self._is_ending)

    def _is_ending(self) -> bool:
        """Tell whether the process was asked to end, so that a transition waits for no file."""
        ending = getattr(self._node, 'ending', None)
        return ending is not None and ending.is_set()

    def look(self, name: str) -> PolicyFile:
        """
        Read a policy file, hash it, and see what it says of itself.

        :param name: Its path, or the bare name of one that comes with the package.
        :raises PolicyError: Where it cannot be used, or that takes too long.
        """
        return self._looks.look(name, self._seconds)

    def look_now(self, name: str, keep_up: Callable[[], None]) -> PolicyFile:
        """
        Look at a policy file from the thread that ticks, which ticks on meanwhile.

        Nothing else is done meanwhile: messages and calls wait. So it waits for a second at most.

        :param name: As for :meth:`look`.
        :param keep_up: Ticks if it is time.
        :raises PolicyError: As for :meth:`look`.
        """
        future: Future[PolicyFile] = Future()

        def look() -> None:
            try:
                future.set_result(self.look(name))
            except Exception as error:  # it is raised where the answer is waited for
                future.set_exception(error)

        threading.Thread(target=look, name='look', daemon=True).start()
        seconds = min(self._seconds, _LONGEST_NOW)
        end = time.monotonic() + seconds
        while True:
            try:
                return future.result(_POLL)
            except concurrent.futures.TimeoutError:
                if time.monotonic() > end:
                    raise PolicyError(
                        f'policy file {name}: was not read within {seconds:g} s; does its file '
                        'system answer?') from None
            keep_up()

    def try_out(self, file: PolicyFile, execution: ExecutionSettings, candidates: int) -> None:
        """
        See whether a policy file can be loaded and answers.

        :raises PolicyError: Where it cannot, or that takes too long.
        """
        self.trials.try_out(file, execution, candidates, self._seconds)

    def read(self, path: Path) -> bytes:
        """
        Read a short file.

        :raises PolicyError: Where it cannot be read, or that takes too long.
        """
        return self._looks.read(str(path), self._seconds)[1]

    def load_robot(self, name: str) -> RobotDescription:
        """
        Load a robot description.

        :param name: Its path, or the bare name of one that comes with the package.
        :raises ValueError: Where it cannot be found or used.
        """
        path, content = self._looks.read(name, self._seconds, 'config', '.yaml')
        return load_robot_description(path, content)

    def check(self, changes: Mapping[str, Any]) -> None:
        """
        Look closely at what new values of parameters name, while nothing ticks.

        :param changes: New values by name.
        :raises ValueError: Where something cannot be used.
        """
        if changes.get('policy'):
            file = self.look(changes['policy'])
            execution = read_execution(self._node, changes)
            require_ending(file, execution)
            self.try_out(file, execution, 0)
            self._known[changes['policy']] = file.sha256
        if changes.get('robot'):
            self.load_robot(changes['robot'])

    def say_what_changed(self, name: str, file: PolicyFile) -> None:
        """
        Log where a policy file is another than when it was asked for.

        :param name: As it was asked for.
        :param file: What was read now.
        """
        before = self._known.get(name, file.sha256)
        self._known[name] = file.sha256
        if before != file.sha256:
            self._node.get_logger().warning(
                f'policy file {printable(file.path, TEXT)} has changed since it was looked at '
                f'(sha256 {before[:12]} then, {file.sha256[:12]} now); what is there now is '
                'loaded')
