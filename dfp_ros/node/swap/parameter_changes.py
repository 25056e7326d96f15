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
"""Parameter changes: checked when they are requested, applied between two ticks."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.core.settings.node import require_possible
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain
from dfp_ros.node.files.node_files import NodeFiles
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.parameters.parameters import call_after_set
from dfp_ros.node.ros.background_worker import BackgroundWorker
from dfp_ros.node.ros.guarded_node import guarded
from dfp_ros.node.swap.parameter_requests import ParameterRequests
from dfp_ros.node.swap.policy_swapper import PolicySwapper


class ParameterChanges:
    """
    Checks and applies new parameter values of a policy node, configured or not.

    :param node: The node, whose parameters have been declared.
    :param files: Reads and tests policy files.

    :ivar transition: Name of the current lifecycle transition, empty between transitions.
    """

    def __init__(self, node: Node, files: NodeFiles) -> None:
        """Check and apply changes from now on."""
        self.transition = ''
        self._node = node
        self._files = files
        self._requests = ParameterRequests(node, files.read_policy)
        self._running: tuple[Ticker, PolicySwapper] | None = None
        call_after_set(node, guarded(node, self._apply))
        node.add_on_set_parameters_callback(self._check)

    @contextlib.contextmanager
    def during(self, transition: str) -> Iterator[None]:
        """Mark a transition, to refuse changes of a configured node meanwhile."""
        self.transition = transition
        try:
            yield
        finally:
            self.transition = ''

    def start_reading(self, worker: BackgroundWorker) -> None:
        """
        Read policy files in the background from now on.

        :param worker: The background worker, closed by the caller after :meth:`stop_reading`.
        """
        self._requests.work_with(worker)

    def stop_reading(self) -> None:
        """Refuse pending requests; later ones are served at once."""
        self._requests.stop_working()

    def apply_to(self, ticker: Ticker, swapper: PolicySwapper) -> None:
        """
        Apply changes to a running control loop from now on.

        :param ticker: Runs it.
        :param swapper: Changes it.
        """
        self._running = ticker, swapper

    def apply_to_nothing(self) -> None:
        """Only check changes from now on; the node is not configured."""
        self._running = None

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Accept or refuse new values, and prepare their consequences."""
        changes = {parameter.name: parameter.value for parameter in parameters}
        if self._running is not None:
            ticker, swapper = self._running
            # Parameters may be set back within a tick, which must not start another.
            if not swapper.is_restoring:
                ticker.keep_up()
        try:
            if self._running is not None:
                if self.transition and not swapper.is_restoring:
                    raise SettingsError(
                        f'the node is {self.transition}, and takes no new values meanwhile; set '
                        'them again afterwards')
                self._require_same_clock(ticker, changes)
                swapper.check(changes, lambda name: self._find_file(ticker, name))
            else:
                require_possible(changes)
                # Without ticks, there is time for a full test.
                self._files.check(changes)
        except Exception as error:  # a wrong value must not end the running loop
            reason = explain(error)
            self._node.get_logger().warning(f'refused {", ".join(changes)}: {reason}')
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _require_same_clock(self, ticker: Ticker, changes: dict[str, Any]) -> None:
        """
        Require that the clock stays the same while the node is active.

        Ticks would go on by the old clock, and the age of samples by the new one, which may stand
        still: a source that is silent would never be stale.

        :raises SettingsError: If ``use_sim_time`` is about to change.
        """
        name = 'use_sim_time'
        if ticker.is_active and name in changes and (
                changes[name] != self._node.get_parameter(name).value):
            raise SettingsError(
                f'parameter {name}: the node is active, and decides by the clock that it was '
                'activated with; deactivate it, set it then, and activate again')

    def _find_file(self, ticker: Ticker, name: str) -> PolicyFile:
        """Return the content of a policy file that was read for the request."""
        found = self._requests.results.get(name)
        if isinstance(found, Exception):
            try:
                raise found
            finally:
                # Its traceback has this frame, and the frame would have it.
                del found
        return found or self._files.read_policy_while_ticking(name, ticker.keep_up)

    def _apply(self, parameters: list[Parameter]) -> None:
        """Apply the prepared change between two ticks, which run on this thread, too."""
        if self._running is not None:
            _, swapper = self._running
            swapper.apply()
