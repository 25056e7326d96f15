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
"""Monitor of the actions that commands go to: refused and aborted goals, and absent servers."""

from __future__ import annotations

from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker


class ActionMonitor(Listener):
    """
    Tells the controller of failures, after each tick.

    :param commands: Send the commands.
    :param ticker: Has the controller.
    """

    def __init__(self, commands: CommandPublishers, ticker: Ticker) -> None:
        """Start without a failure."""
        self._commands = commands
        self._ticker = ticker
        self._told = ''

    def on_tick(self, tick: Tick) -> None:
        """Tell what has changed."""
        text = self._commands.action_faults
        if text != self._told:
            self._told = text
            self._ticker.loop.controller.note(Reason.GOAL_FAILED, text)
