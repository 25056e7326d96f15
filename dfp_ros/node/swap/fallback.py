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
"""Fallback: a policy that takes over once a reason of the running one has lasted too long."""

from __future__ import annotations

from typing import Any

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.swap.policy_swapper import PolicySwapper
from dfp_ros.spec import require_same_fields, SpecMismatch


class Fallback(Listener):
    """
    Has a policy that is loaded already take over by a swap, right after a tick.

    It waits while the operator has stopped the robot, or a person commands it. The policy that
    it replaces is the previous one, for ``~/rollback``; it may take over again after that.

    :param loop: Control loop of the fallback.
    :param ticker: Runs the policy.
    :param swapper: Swaps it.
    :param logger: Hears of it.
    :raises SpecMismatch: If the layouts of the policies differ.
    """

    def __init__(
            self, loop: ControlLoop, ticker: Ticker, swapper: PolicySwapper, logger: Any) -> None:
        """Wait for a reason."""
        try:
            require_same_fields(loop.policy.spec, ticker.loop.policy.spec)
        except SpecMismatch as error:
            raise SpecMismatch(f'parameter fallback.policy: {error}') from error
        self._loop = loop
        self._ticker = ticker
        self._swapper = swapper
        self._logger = logger
        # How long there has been a reason, in ns; None while there is none. Time in which faults
        # of sources or clocks leave the policy unasked says nothing, and does not count.
        self._lasted: int | None = None
        # Time of the last tick, and whether the time since then counts.
        self._newest, self._counts = 0, False
        self._why = ''
        # Words and text of the last tick with a reason.
        self._last = '', ''
        self._is_refused = False
        self._judged = ticker.loop.policy.sha256
        if self._runs:
            logger.warning(
                f'parameter fallback.policy: {printable(loop.policy.path, TEXT)} is the policy '
                'itself, so nothing takes over if it fails; set another one')

    def on_tick(self, tick: Tick) -> None:
        """Note for how long there has been a reason."""
        decision = tick.decision
        if tick.entry.step == 1:
            # An activation or a reset, after a time in which the policy was not asked.
            self._lasted = None
        found = decision.reason and decision.reason & _reasons(
            self._ticker.loop.settings.fallback.names)
        # With inference beside the loop, a hold is followed by a wait for the next answer.
        is_awaited = decision.state is State.HOLD and Reason.PLANNING in decision.reason
        if self._is_refused or self._runs or decision.state is State.STOPPED or (
                decision.commander is Commanding.PERSON):
            self._lasted = None
        elif found or is_awaited:
            if found:
                self._last = decision.reason.words, decision.text
            if found and (self._lasted is None or tick.now < self._newest):
                self._lasted = 0
            elif self._lasted is not None and self._counts:
                self._lasted += max(tick.now - self._newest, 0)
            self._counts = True
        elif decision.state is State.RUNNING or decision.action is not None:
            self._lasted = None
        else:
            self._counts = False
        self._newest = tick.now

    def on_idle(self, tick: Tick) -> None:
        """Take over, if it is time."""
        if self._lasted is None:
            return
        lasted = self._lasted * 1e-9
        if lasted < self._ticker.loop.settings.fallback.after:
            return
        self._lasted = None
        words, why = self._last
        text = f'{words} for {lasted:.2f} s: {why}'
        try:
            self._swapper.fall_back(self._loop)
        except Exception as error:  # the running policy continues, and is held as before
            self._is_refused = True
            self._logger.error(f'the fallback cannot take over: {explain(error)}')
            return
        self._why = text
        self._logger.warning(f'the fallback has taken over: {printable(text, TEXT)}')

    def on_transfer(self, loop: ControlLoop) -> None:
        """Judge another policy; with other parameters, the same one is judged on."""
        judged, self._judged = self._judged, loop.policy.sha256
        if judged != self._judged:
            self._lasted = None
        self._is_refused = False

    @property
    def _runs(self) -> bool:
        """Whether the fallback is the running policy."""
        return self._ticker.loop.policy.sha256 == self._loop.policy.sha256

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics."""
        return {
            'fallback': self._loop.policy.spec.name,
            'fallback_sha256': self._loop.policy.sha256,
            'fallback_because': self._why if self._runs else ''}


def _reasons(names: tuple[str, ...]) -> Reason:
    """Combine reasons."""
    found = Reason.NONE
    for name in names:
        found |= Reason[name.upper()]
    return found
