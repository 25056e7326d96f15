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
"""Slot for an optional shadow policy, which never commands the robot."""

from __future__ import annotations

from dataclasses import replace

from rclpy.node import Node

from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.swap.shadow_publisher import ShadowPublisher


class ShadowSlot(Listener):
    """
    Slot for the shadow of a ticker's policy, empty at first.

    :param node: The node.
    :param ticker: Its ticker.
    """

    def __init__(self, node: Node, ticker: Ticker) -> None:
        """Start without a shadow."""
        self._node = node
        self._ticker = ticker
        self._shadow: ShadowPublisher | None = None
        # Whether the newest decision is of a policy that has been replaced since.
        self._is_past = False
        ticker.listeners.append(self)

    @property
    def loop(self) -> ControlLoop | None:
        """Return the control loop of the shadow, or None."""
        return None if self._shadow is None else self._shadow.loop

    def on_tick(self, tick: Tick) -> None:
        """Note that the decision is of the running policy."""
        self._is_past = False

    def on_idle(self, tick: Tick) -> None:
        """Compare the shadow with the decision of a tick, unless a swap was in between."""
        if self._shadow is not None and not self._is_past:
            self._shadow.compare(tick)

    def on_transfer(self, loop: ControlLoop) -> None:
        """Compare with another running policy."""
        self._is_past = True
        if self._shadow is not None:
            self._shadow.follow(loop)

    def take(self, loop: ControlLoop) -> None:
        """
        Use a policy as the shadow.

        :param loop: Its control loop.
        :raises ValueError: If it does not fit; the shadow before is kept then.
        """
        made = ShadowPublisher(self._node, loop, self._ticker.loop)
        self.close()
        self._shadow = made
        self._note(loop.settings.policy)

    def drop(self) -> bool:
        """
        Remove the shadow.

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
        """Facts for diagnostics."""
        return {} if self._shadow is None else self._shadow.facts()

    def _note(self, name: str) -> None:
        """Update the settings of the running loop with the shadow."""
        loop = self._ticker.loop
        self._ticker.transfer_to(replace(loop, settings=replace(loop.settings, shadow=name)))
