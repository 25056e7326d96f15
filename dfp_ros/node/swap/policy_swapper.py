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
"""Policy swap as a transaction: validate, load, test, and switch between two ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
from dfp_ros.node.commanding.watchdog import overdue_limit
from dfp_ros.node.files.node_files import NodeFiles
from dfp_ros.node.loading.control_loop import ControlLoop, remake_control_loop
from dfp_ros.node.loading.pending_policy import (
    doubtful_settings,
    load_control_loop,
    PendingPolicy,
    require_latency,
    signed,
)
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.parameters.parameters import read_settings, read_values, require_changeable
from dfp_ros.node.reporting.policy_status import PolicyStatus, Refusal, Standing, time_now
from dfp_ros.node.ros.background_worker import BackgroundWorker, Job
from dfp_ros.node.swap.change_plan import ChangePlan, plan_change
from dfp_ros.node.swap.preflight_gate import PreflightGate
from dfp_ros.node.swap.shadow_slot import ShadowSlot

# Parameters that are set back after a failure, by kind of policy.
_RESTORED = {'policy': LOADED, 'shadow': ('shadow',)}


class SwapError(ValueError):
    """There is no policy to swap to."""


class PolicySwapper:
    """
    Changes the policy of a node, one change after the other.

    Everything but loading runs on the thread that spins the node, and thus between two ticks. Of
    two swaps at once, the later one applies.

    :param node: The node, for its parameters and its log.
    :param ticker: Its ticker.
    :param status: Publisher of the status.
    :param worker: Background worker that loads; it is closed with the swapper.
    :param files: Reads and tests files in processes that can be killed.
    :param gate: Admits what may command the robot while the node is active.

    :ivar is_restoring: Whether parameters are being set back to the running policy.
    """

    def __init__(
            self, node: Node, ticker: Ticker, status: PolicyStatus, worker: BackgroundWorker,
            files: NodeFiles, gate: PreflightGate) -> None:
        """Start with the ticker's control loop."""
        self.is_restoring = False
        self._node = node
        self._ticker = ticker
        self._status = status
        self._worker = worker
        self._files = files
        self._gate = gate
        # Description of a change of the running policy's file since it was read.
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
        Accept new values of parameters, and prepare their consequences.

        :param changes: New values by name.
        :param find: Returns the content of the policy file of a name.
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
            prepared = plan_change(wanted, changes, loop, last, files)
            if prepared.loop is not None:
                self._require_admitted(prepared.loop)
            self._prepared = prepared
        except Exception as error:
            for kind in _RESTORED:
                if kind in changes:
                    self._refuse(str(changes[kind]), error)
            raise

    def apply(self) -> None:
        """
        Apply the prepared change, or start loading it.

        If that is delayed after parameters were set (Humble), it is also called before any other
        change: the prepared change is for the current control loop.
        """
        prepared, self._prepared = self._prepared, ChangePlan()
        if prepared.gives_up:
            self._drop('policy', 'the parameter was set to the policy that runs')
        if prepared.loop is not None:
            self._switch(prepared.loop)
        if prepared.policy is not None:
            self._load('policy', prepared.policy, self._take_over)
            self.compare_with_disk()
        if prepared.shadow is not None:
            self._load('shadow', prepared.shadow, self.take_shadow)
        elif not self._node.get_parameter('shadow').value:
            self._drop_shadow('the parameter was emptied')

    # Swaps

    def _load(
            self, kind: str, candidate: PendingPolicy, use: Callable[[ControlLoop], None]) -> None:
        """Load a pending policy, in place of one that is not loaded yet."""
        policy = candidate.settings.policy
        if kind in self._jobs and self._jobs[kind][1].settings.policy == policy:
            self._cancel(kind)  # the same policy, with other settings
        self._drop(kind, f'{printable(policy, TEXT)} was set')
        robot = self._ticker.loop.robot

        def done(loaded: tuple[ControlLoop, str]) -> None:
            del self._jobs[kind]
            loop, fault = loaded
            try:
                # An inactive node reads the report when it is activated.
                if fault and self._ticker.is_active:
                    raise PolicyError(fault)
                use(loop)
            except Exception as error:
                fail(error)

        def fail(error: Exception) -> None:
            self._jobs.pop(kind, None)
            self._refuse(candidate.settings.policy, error)
            self._restore(kind)
            self._node.get_logger().error(
                f'{kind} {printable(candidate.settings.policy, TEXT)} was refused, and the '
                f'parameter was set back: {explain(error)}')

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

        def load() -> tuple[ControlLoop, str]:
            loop = load_control_loop(candidate, robot, self._worker.wait_for_tick, try_out)
            return loop, self._gate.find_fault(loop) if kind == 'policy' else ''

        job = self._worker.submit(load, done, fail)
        self._jobs[kind] = job, candidate
        self._publish()

    def compare_with_disk(self) -> None:
        """
        Check in the background whether the running policy's file has changed, and log it.

        The running policy is not changed until its parameter is set again.
        """
        policy = self._ticker.loop.policy
        if not policy.file.is_on_disk:
            return

        def note(text: str) -> None:
            text = printable(text, TEXT)
            if self._ticker.loop.policy.sha256 != policy.sha256:
                return
            if text and text != self._on_disk:
                self._node.get_logger().warning(
                    f'{text}; the node runs the old content: set the parameter policy again for '
                    'the new one')
            self._on_disk = text

        def compare(found: PolicyFile) -> None:
            note('' if found.sha256 == policy.sha256 else (
                f'policy file {policy.path} has changed since it was read (sha256 '
                f'{policy.sha256[:12]} then, {found.sha256[:12]} now)'))

        self._worker.submit(
            functools.partial(self._files.read_policy, str(policy.path)), compare,
            lambda error: note(
                f'policy file {policy.path} cannot be read any more: {explain(error)}'))

    def _take_over(self, loaded: ControlLoop) -> None:
        """Switch to the loaded policy, with the current parameters."""
        self.apply()
        settings = self._ticker.loop.settings.with_loaded(loaded.settings)
        loop = loaded if loaded.settings == settings else remake_control_loop(loaded, settings)
        require_latency(loop)
        # Rate and report may have been set since it was asked for.
        self._require_admitted(loop)
        self._switch(loop)

    def _switch(self, loop: ControlLoop) -> None:
        """Continue with another loop from the next tick on."""
        old = self._ticker.loop
        self._ticker.transfer_to(loop)
        dropped: list[ControlLoop | None] = [old]
        # Prepared for another number of candidates, or read again, it is the same policy.
        if loop.policy.sha256 != old.policy.sha256:
            dropped = [self._previous]
            self._previous, self._since = old, time_now()
            self._on_disk = ''
            self._node.get_logger().info(
                f'policy {loop.policy.spec.name!r} ({printable(loop.policy.path, TEXT)}, sha256 '
                f'{loop.policy.sha256[:12]}{signed(loop)}) takes over')
        if loop.settings != old.settings:
            known = doubtful_settings(old)
            for text in doubtful_settings(loop):
                if text not in known:
                    self._node.get_logger().warning(text)
        del old
        self._worker.release(dropped)
        self._publish()

    def rollback(self) -> str:
        """
        Return to the previous policy, which is still loaded.

        :return: Message about the result.
        :raises ValueError: If there is none, or it does not fit the current parameters.
        """
        if self._previous is None:
            raise SwapError('there is no previous policy: none was swapped since the node was '
                            'configured')
        return self._revive(self._previous)

    def promote(self) -> str:
        """
        Make the shadow the policy.

        :return: Message about the result.
        :raises ValueError: If there is none, or it does not fit the current parameters.
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
        self._drop_shadow('the shadow before was promoted')
        self._restore('shadow')
        return text

    def fall_back(self, loop: ControlLoop) -> str:
        """
        Switch to the fallback, which is loaded.

        A posture has no file: the parameter policy keeps the name of the policy before. The number
        of candidates is the one that it was loaded for.

        :param loop: Its control loop.
        :return: Message about the result.
        :raises ValueError: If it does not fit the current parameters.
        """
        if not loop.policy.file.is_on_disk:
            loop = replace(loop, settings=replace(
                loop.settings, policy=self._ticker.loop.settings.policy))
        return self._revive(loop, is_fallback=True)

    def _require_admitted(self, loop: ControlLoop) -> None:
        """Require a preflight, if the node is active, of what is about to take over."""
        if self._ticker.is_active:
            self._gate.require_admitted(loop, self._ticker.loop)

    def _revive(self, loop: ControlLoop, is_fallback: bool = False) -> str:
        """Switch to a loaded policy; a pending one is dropped."""
        self.apply()
        # Its plan and its settings are outdated.
        settings = self._ticker.loop.settings.with_loaded(loop.settings)
        loop = remake_control_loop(loop, settings)
        require_latency(loop)
        if not is_fallback:
            self._require_admitted(loop)
        self._switch(loop)
        text = f'policy {loop.policy.spec.name!r} ({printable(loop.policy.path, TEXT)}) takes over'
        self._drop('policy', text)
        self._restore('policy')
        return text

    def take_shadow(self, loop: ControlLoop) -> None:
        """
        Use a policy as the shadow of the running one.

        :param loop: Its control loop.
        """
        self._shadow.take(loop)
        self._publish()

    def _drop_shadow(self, why: str) -> None:
        """Remove the shadow."""
        self._drop('shadow', why)
        if self._shadow.drop():
            self._publish()

    def _cancel(self, kind: str) -> None:
        """Drop the policy that is being loaded."""
        if kind in self._jobs:
            self._worker.cancel(self._jobs.pop(kind)[0])

    def _drop(self, kind: str, why: str) -> None:
        """Drop the policy that is being loaded for something newer; whoever set it hears of it."""
        if kind not in self._jobs:
            return
        policy = self._jobs[kind][1].settings.policy
        self._cancel(kind)
        error = SwapError(f'it was dropped before it was loaded: {why}')
        self._refuse(policy, error)
        self._node.get_logger().warning(f'{kind} {printable(policy, TEXT)}: {explain(error)}')

    def _restore(self, kind: str) -> None:
        """Set the parameters back to the running policy."""
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
        """Return the status of the policies."""
        return Standing(
            self._ticker.loop, self._ticker.input_log.loop, self._since,
            tuple(candidate.settings.policy for _, candidate in self._jobs.values()),
            self._previous, self._shadow.loop, self._refusal)

    def _publish(self) -> None:
        """Publish the status of the policies."""
        self._status.publish(self.standing)

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics."""
        return self.standing.facts() | self._shadow.facts() | {'policy_on_disk': self._on_disk}

    def _refuse(self, policy: str, error: Exception) -> None:
        """Store and publish a refusal."""
        self._refusal = Refusal(policy, explain(error), time_now())
        self._publish()

    def close(self) -> None:
        """Drop pending policies, with a log line, and the shadow."""
        for kind, (_, candidate) in list(self._jobs.items()):
            self._cancel(kind)
            self._restore(kind)
            self._node.get_logger().warning(
                f'{kind} {printable(candidate.settings.policy, TEXT)} was dropped: the node is '
                'cleaned up')
        self._files.trials.kill()
        self._worker.close()
        self._shadow.close()
