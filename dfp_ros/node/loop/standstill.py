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
"""What is sent to a robot while no tick comes, as nothing says that time goes on."""

from __future__ import annotations

import time

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.input_log import InputLog
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.loop.command_publishers import CommandPublishers
from dfp_ros.node.loop.control_loop import ControlLoop
from dfp_ros.node.loop.decision_log import DecisionLog

#: Seconds on the wall without a tick after which a robot is held.
TIMEOUT = 2.0


def hold_at_standstill(
        text: str, loop: ControlLoop, commands: CommandPublishers, log: DecisionLog,
        input_log: InputLog) -> None:
    """
    Hold a robot that may be moving; say what is waited for where it never moved.

    :param text: What is the matter.
    :param loop: Has the stop command.
    :param commands: Send it.
    :param log: Has the last decision, and gets this one.
    :param journal: Is told that the controller was asked for its stop command.
    """
    if log.last is None or log.last.state is State.WAITING:
        decision = Decision(State.WAITING, Reason.WAITING, text)
    else:
        decision = Decision(State.HOLD, Reason.STALE, text, loop.controller.halt())
        input_log.ask_for_stop()
    commands.try_to_send(loop, decision, commands.unasked_stamp())
    log.add(decision)


class StandstillMonitor:
    """Sees whether simulated time goes on; no timer of it would tell."""

    def __init__(self) -> None:
        """Wait to be started."""
        self.start(0)

    def start(self, now: int) -> None:
        """
        Begin to watch.

        :param now: Simulated time in ns.
        """
        self._now = now
        self._since = time.monotonic()

    def find(self, now: int) -> str:
        """
        Say that time stands still, once that is too long.

        :param now: Simulated time in ns.
        :return: For people; empty while it goes on.
        """
        if now != self._now:
            self.start(now)
        still = time.monotonic() - self._since
        return f'simulated time has stood still for {still:.1f} s' if still >= TIMEOUT else ''
