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
"""The place beside the loop that runs, where another policy may be that never commands."""

from __future__ import annotations

from dataclasses import replace

from rclpy.node import Node

from dfp_ros.node.loop.control_loop import ControlLoop
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.swap.shadow_publisher import ShadowPublisher


class ShadowSlot(Listener):
    """
    Holds the shadow of what a ticker runs, if there is one; it begins empty.

    :param node: Where the shadow publishes.
    :param ticker: Has the loop that runs, and asks the shadow.
    """

    def __init__(self, node: Node, ticker: Ticker) -> None:
        """Start without a shadow."""
        self._node = node
        self._ticker = ticker
        self._shadow: ShadowPublisher | None = None
        ticker.listeners.append(self)

    @property
    def loop(self) -> ControlLoop | None:
        """Return what the shadow was loaded as."""
        return None if self._shadow is None else self._shadow.loop

    def on_idle(self, tick: Tick) -> None:
        """Ask the shadow about a tick."""
        if self._shadow is not None:
            self._shadow.compare(tick)

    def on_transfer(self, loop: ControlLoop) -> None:
        """Go on beside another policy."""
        if self._shadow is not None:
            self._shadow.follow(loop)

    def take(self, loop: ControlLoop) -> None:
        """
        Have a policy shadow the one that runs.

        :param loop: What it was loaded as.
        :raises ValueError: Where it cannot; then the one that was there goes on.
        """
        made = ShadowPublisher(self._node, loop, self._ticker.loop)
        self.close()
        self._shadow = made
        self._note(loop.settings.policy)

    def drop(self) -> bool:
        """
        Go on without a shadow.

        :return: Whether there was one.
        """
        if self._shadow is None:
            return False
        self.close()
        self._note('')
        return True

    def close(self) -> None:
        """Destroy the shadow, if there is one."""
        if self._shadow is not None:
            self._shadow.close()
            self._shadow = None

    def facts(self) -> dict[str, str]:
        """List what is worth a line in diagnostics."""
        return {} if self._shadow is None else self._shadow.facts()

    def _note(self, name: str) -> None:
        """Write the shadow into the settings of the loop that runs."""
        loop = self._ticker.loop
        self._ticker.transfer_to(replace(loop, settings=replace(loop.settings, shadow=name)))
