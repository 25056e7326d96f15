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
"""Preflight gate: what may command the robot, if a passed preflight is required."""

from __future__ import annotations

from collections.abc import Callable

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.node.loading.control_loop import ControlLoop

# SHA-256 of the policy file, time between two ticks in ns, and candidates of a chunk.
_Identity = tuple[str, int, int]


class PreflightGate:
    """
    Admits control loops that have passed a preflight, if ``require_preflight`` is set.

    What was admitted once may take over again at once; reading a report takes longer than a tick.

    :param require: Reads the report, and raises a ValueError if it does not permit a loop.
    """

    def __init__(self, require: Callable[[ControlLoop], None]) -> None:
        """Admit nothing yet."""
        self._require = require
        self._admitted: set[_Identity] = set()

    def admit(self, loop: ControlLoop) -> None:
        """
        Read the report, before an activation.

        :param loop: The control loop that it has to permit.
        :raises ValueError: If it does not.
        """
        if loop.settings.require_preflight:
            self._require(loop)
            self._admitted.add(_identity(loop))

    def find_fault(self, loop: ControlLoop) -> str:
        """
        Admit a loop that has been loaded for a swap, unless it was admitted before.

        :return: Why it is not admitted; empty if it is.
        """
        try:
            if _identity(loop) not in self._admitted:
                self.admit(loop)
        except ValueError as error:
            return str(error)
        return ''

    def require_admitted(self, loop: ControlLoop, running: ControlLoop) -> None:
        """
        Require that a loop was admitted before, without reading a file.

        :param loop: The loop that is about to take over.
        :param running: The active loop, which may always go on.
        :raises PolicyError: If it was not.
        """
        found = _identity(loop)
        if loop.settings.require_preflight and found != _identity(running) and (
                found not in self._admitted):
            sha256, tick, candidates = found
            raise PolicyError(
                f'parameter require_preflight: policy {loop.policy.spec.name!r} '
                f'({printable(loop.policy.path, TEXT)}, sha256 {sha256[:12]}) at {1e9 / tick:g} '
                f'Hz with {candidates} candidate(s) was not admitted by a report since the node '
                'was configured; deactivate the node, make the change, run the preflight, and '
                'activate again, or set the parameter policy once there is a report')


def _identity(loop: ControlLoop) -> _Identity:
    """Return what a report is about, of what can change while the node is active."""
    return (
        loop.policy.sha256, loop.tick, loop.settings.candidates or loop.policy.spec.candidates)
