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
"""Swapping policies as a transaction: looked at, loaded, tried out, switched between two ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.node import LOADED
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.node.files.node_files import NodeFiles
from dfp_ros.node.loop.control_loop import ControlLoop, remake_control_loop
from dfp_ros.node.loop.pending_policy import load_control_loop, PendingPolicy, require_latency
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.loop.watchdog import overdue_limit
from dfp_ros.node.parameters.parameters import read_settings, read_values, require_changeable
from dfp_ros.node.reporting.policy_status import PolicyStatus, Refusal, Standing, time_now
from dfp_ros.node.ros.background_worker import BackgroundWorker, Job
from dfp_ros.node.swap.change_plan import ChangePlan, plan_change
from dfp_ros.node.swap.shadow_slot import ShadowSlot

# The parameters that a failure gives their old values back, by what failed.
_RESTORED = {'policy': LOADED, 'shadow': ('shadow',)}


class SwapError(ValueError):
    """There is nothing to swap."""


class PolicySwapper:
    """
    Changes what a node runs, one change after the other.

    Everything but loading happens on the thread that spins the node, so between two ticks. Where
    two swaps are asked for at once, the later one counts.

    :param node: Has the parameters.
    :param ticker: Has the loop that runs.
    :param status: Says what runs.
    :param worker: Loads; it ends with the swapper.
    :param files: Reads files and tries them out, where that can be killed.

    :ivar is_restoring: Whether parameters are just being set to what runs.
    """

    def __init__(
            self, node: Node, ticker: Ticker, status: PolicyStatus, worker: BackgroundWorker,
            files: NodeFiles) -> None:
        """Start with what the ticker runs."""
        self.is_restoring = False
        self._node = node
        self._ticker = ticker
        self._status = status
        self._worker = worker
        self._files = files
        # What is known of the file of the policy that runs, if it has changed since.
        self._on_disk = ''
        self._jobs: dict[str, tuple[Job, PendingPolicy]] = {}
        self._prepared = ChangePlan()
        self._previous: ControlLoop | None = None
        self._since = time_now()
        self._refusal: Refusal | None = None
        self._shadow = ShadowSlot(node, ticker)
        self._publish()

    # Parameters

    def check(
            self, changes: Mapping[str, Any], find: Callable[[str], PolicyFile]) -> None:
        """
        Accept new values of parameters; what follows from them is prepared, but not used yet.

        :param changes: New values by name.
        :param find: Gives what was read of the policy file of a name.
        :raises ValueError: If they are refused.
        """
        if self.is_restoring:
            return
        self.apply()
        loop = self._ticker.loop
        last = self._jobs['policy'][1] if 'policy' in self._jobs else PendingPolicy(
            loop.settings, loop.policy)
        try:
            wanted = read_settings(self._node, changes)
            require_changeable(loop.settings, changes)
            files = {kind: find(changes[kind]) for kind in _RESTORED if changes.get(kind)}
            self._prepared = plan_change(wanted, changes, loop, last, files)
        except Exception as error:
            for kind in _RESTORED:
                if kind in changes:
                    self._refuse(str(changes[kind]), error)
            raise

    def apply(self) -> None:
        """
        Use what was prepared, or have it loaded.

        Where that comes some time after parameters were set (Humble), it is called before anything
        else changes too: what was prepared is for what runs now.
        """
        prepared, self._prepared = self._prepared, ChangePlan()
        if prepared.gives_up:
            self._cancel('policy')
        if prepared.loop is not None:
            self._switch(prepared.loop)
        if prepared.policy is not None:
            self._load('policy', prepared.policy, self._take_over)
            self.compare_with_disk()
        if prepared.shadow is not None:
            self._load('shadow', prepared.shadow, self.take_shadow)
        elif not self._node.get_parameter('shadow').value:
            self._drop_shadow()

    # Swaps

    def _load(
            self, kind: str, candidate: PendingPolicy, use: Callable[[ControlLoop], None]) -> None:
        """Have a candidate loaded, in place of one that is not loaded yet."""
        self._cancel(kind)
        robot = self._ticker.loop.robot

        def done(loop: ControlLoop) -> None:
            del self._jobs[kind]
            try:
                use(loop)
            except Exception as error:
                fail(error)

        def fail(error: Exception) -> None:
            self._jobs.pop(kind, None)
            self._refuse(candidate.settings.policy, error)
            self._restore(kind)
            self._node.get_logger().error(
                f'{kind} {printable(candidate.settings.policy, TEXT)} was not taken, and the '
                f'parameter has its old value again: {explain(error)}')

        def try_out(file: PolicyFile, execution: ExecutionSettings, candidates: int) -> None:
            keeps = self._files.trials.try_out(
                file, execution, candidates, candidate.settings.load_timeout,
                lambda: job.is_cancelled)
            limit = overdue_limit(self._ticker.loop, self._ticker.is_timed)
            if self._ticker.is_active and keeps > limit:
                raise PolicyError(
                    f'policy file {file.path}: while ONNX Runtime loads it, the node could decide '
                    f'nothing for {keeps:.2f} s, expected at most {limit:.2f} s; deactivate the '
                    'node, set it then, and activate again')

        job = self._worker.submit(
            functools.partial(
                load_control_loop, candidate, robot, self._worker.wait_for_tick, try_out),
            done, fail)
        self._jobs[kind] = job, candidate
        self._publish()

    def compare_with_disk(self) -> None:
        """
        See, beside the loop, whether the file of the policy that runs has changed, and say so.

        What runs stays what was read when it was asked for, until it is asked for again.
        """
        policy = self._ticker.loop.policy

        def note(text: str) -> None:
            text = printable(text, TEXT)
            if self._ticker.loop.policy.sha256 != policy.sha256:
                return
            if text and text != self._on_disk:
                self._node.get_logger().warning(
                    f'{text}; what was read before runs on: set the parameter policy again for '
                    'what is there now')
            self._on_disk = text

        def compare(found: PolicyFile) -> None:
            note('' if found.sha256 == policy.sha256 else (
                f'policy file {policy.path} has changed since it was asked for (sha256 '
                f'{policy.sha256[:12]} then, {found.sha256[:12]} now)'))

        self._worker.submit(
            functools.partial(self._files.read_policy, str(policy.path)), compare,
            lambda error: note(
                f'policy file {policy.path} cannot be read any more: {explain(error)}'))

    def _take_over(self, loaded: ControlLoop) -> None:
        """Switch to what was loaded, with the parameters of now."""
        self.apply()
        settings = self._ticker.loop.settings.with_loaded(loaded.settings)
        loop = loaded if loaded.settings == settings else remake_control_loop(loaded, settings)
        require_latency(loop)
        self._switch(loop)

    def _switch(self, loop: ControlLoop) -> None:
        """Go on with another loop from the next tick on."""
        old = self._ticker.loop
        self._ticker.transfer_to(loop)
        dropped: list[ControlLoop | None] = [old]
        # Prepared for another number of candidates, or read once more, it is the same policy.
        if loop.policy.sha256 != old.policy.sha256:
            dropped = [self._previous]
            self._previous, self._since = old, time_now()
            self._on_disk = ''
            self._node.get_logger().info(
                f'policy {loop.policy.spec.name!r} ({printable(loop.policy.path, TEXT)}, sha256 '
                f'{loop.policy.sha256[:12]}) takes over')
        del old
        self._worker.release(dropped)
        self._publish()

    def rollback(self) -> str:
        """
        Go back to the previous policy, which is still loaded.

        :return: What was done, for people.
        :raises ValueError: If there is none, or it does not fit the parameters of now.
        """
        if self._previous is None:
            raise SwapError('there is no previous policy: none was swapped since the node was '
                            'configured')
        return self._revive(self._previous)

    def promote(self) -> str:
        """
        Make the shadow the policy.

        :return: What was done, for people.
        :raises ValueError: If there is none, or it does not fit the parameters of now.
        """
        if self._shadow.loop is None:
            raise SwapError('there is no shadow, or it is not loaded yet; set the parameter '
                            'shadow first')
        running, shadow = self._ticker.loop.policy, self._shadow.loop.policy
        if shadow.sha256 == running.sha256:
            raise SwapError(
                f'the shadow is the policy that runs already, {running.spec.name!r} '
                f'(sha256 {running.sha256[:12]})')
        text = self._revive(self._shadow.loop)
        self._drop_shadow()
        self._restore('shadow')
        return text

    def _revive(self, loop: ControlLoop) -> str:
        """Switch to a policy that is loaded; one that is being loaded is given up."""
        self.apply()
        # Its plan and its settings are those of then.
        settings = self._ticker.loop.settings.with_loaded(loop.settings)
        loop = remake_control_loop(loop, settings)
        require_latency(loop)
        self._switch(loop)
        self._cancel('policy')
        self._restore('policy')
        return (
            f'policy {loop.policy.spec.name!r} ({printable(loop.policy.path, TEXT)}) takes over')

    def take_shadow(self, loop: ControlLoop) -> None:
        """
        Have a policy shadow the one that runs.

        :param loop: What it was loaded as.
        """
        self._shadow.take(loop)
        self._publish()

    def _drop_shadow(self) -> None:
        """Go on without a shadow."""
        self._cancel('shadow')
        if self._shadow.drop():
            self._publish()

    def _cancel(self, kind: str) -> None:
        """Give up what is being loaded."""
        if kind in self._jobs:
            self._worker.cancel(self._jobs.pop(kind)[0])

    def _restore(self, kind: str) -> None:
        """Set the parameters to what runs."""
        values = read_values(self._ticker.loop.settings, _RESTORED[kind])
        self.is_restoring = True
        try:
            self._node.set_parameters([
                Parameter(name, value=value) for name, value in values.items()
                if self._node.get_parameter(name).value != value])
        finally:
            self.is_restoring = False

    # Reports

    @property
    def standing(self) -> Standing:
        """Return which policies there are."""
        return Standing(
            self._ticker.loop, self._ticker.input_log.loop, self._since,
            tuple(candidate.settings.policy for _, candidate in self._jobs.values()),
            self._previous, self._shadow.loop, self._refusal)

    def _publish(self) -> None:
        """Say which policies there are."""
        self._status.publish(self.standing)

    def facts(self) -> dict[str, str]:
        """List what is worth a line in diagnostics."""
        return self.standing.facts() | self._shadow.facts() | {'policy_on_disk': self._on_disk}

    def _refuse(self, policy: str, error: Exception) -> None:
        """Keep in mind what was not taken, and publish it."""
        self._refusal = Refusal(policy, explain(error), time_now())
        self._publish()

    def close(self) -> None:
        """Give up what is being loaded, and say so; the shadow ends too."""
        for kind, (_, candidate) in list(self._jobs.items()):
            self._cancel(kind)
            self._restore(kind)
            self._node.get_logger().warning(
                f'{kind} {printable(candidate.settings.policy, TEXT)} was not taken: the node is '
                'cleaned up')
        self._files.trials.kill()
        self._worker.close()
        self._shadow.close()
