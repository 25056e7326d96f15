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
"""Commands that could not be sent, and what the robot gets once they can be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.control.input_log import Failed
from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.commanding.command_publishers import NotSentError
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.loop.ticker import Ticker
from testing.processes.joint_arm import HERE
from testing.processes.moving_robot import ACCELERATION, moving, VELOCITY


class Topics:
    """
    Two topics with a number each, of which some fail.

    :ivar failing: Indices of those that fail.
    :ivar sent: The commands that the robot has, tick by tick.
    """

    def __init__(self) -> None:
        """Start without a command."""
        self.failing: tuple[int, ...] = ()
        self.sent: list[np.ndarray] = []
        self._has = np.full(2, np.nan)

    def send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """Send a command."""
        assert decision.sent is not None
        for i in {0, 1}.difference(self.failing):
            self._has[i] = decision.sent[i]
        self.sent.append(self._has.copy())
        if self.failing:
            raise NotSentError(OSError('no network'), self.failing)

    def try_to_send(self, loop: ControlLoop, decision: Decision, stamp: int) -> bool:
        """Send a stop."""
        try:
            self.send(loop, decision, stamp)
        except NotSentError:
            return False
        return True

    def begin_episode(self) -> None:
        """Do nothing."""

    def unasked_stamp(self) -> int:
        """Return no stamp."""
        return 0


class Scene(Listener):
    """A ticker whose robot is moved by a policy."""

    def __init__(self, folder: Path) -> None:
        """Begin an episode."""
        self.loop, _ = moving(folder, 0)
        self.topics = Topics()
        self.ticks: list[Tick] = []
        silent: Any = SimpleNamespace(
            info=lambda text: None, warning=lambda text, **more: None, error=lambda text: None)
        commands, node = self.topics, SimpleNamespace(get_logger=lambda: silent)
        self.ticker = Ticker(node, self.loop, commands, lambda: None)  # type: ignore[arg-type]
        self.ticker.listeners.append(self)
        self.ticker._reset_controller()

    def on_tick(self, tick: Tick) -> None:
        """Take a tick."""
        self.ticks.append(tick)

    def run(self, ticks: int, *failing: int) -> None:
        """Tick, while some topics fail."""
        self.topics.failing = failing
        for _ in range(ticks):
            now = 10**12 + len(self.ticks) * self.loop.tick
            self.ticker.tick(now, {'arm': Sample(
                now, now, {'name': ['a', 'b'], 'position': HERE.tolist()})})


@pytest.mark.parametrize(('failing', 'failed'), [
    ((0, 1), Failed.UNSENT), ((0,), Failed.PARTLY_SENT)])
def test_a_robot_does_not_jump_when_commands_arrive_again(
        failing: tuple[int, ...], failed: Failed, tmp_path: Path) -> None:
    """What it did not get for a second has not moved it: it goes on from what it got last."""
    scene = Scene(tmp_path)
    scene.run(20)
    scene.run(20, *failing)
    assert {tick.entry.failed for tick in scene.ticks[20:]} == {failed}
    assert scene.ticks[-1].decision.text == 'OSError: no network'
    scene.run(20)
    tick = scene.loop.tick * 1e-9
    moved = np.abs(np.diff(np.array(scene.topics.sent), axis=0))
    assert moved[:, 0].max() <= VELOCITY * tick + 1e-9
    # It begins at rest.
    first = moved[moved[:, 0] > 0][19, 0]
    assert first <= ACCELERATION * tick**2 + 1e-9


def test_a_first_command_that_is_not_sent_is_made_again(tmp_path: Path) -> None:
    """From the measured position, near which it stays until then."""
    scene = Scene(tmp_path)
    scene.run(20, 0, 1)
    scene.run(1)
    tick = scene.loop.tick * 1e-9
    assert np.abs(scene.topics.sent[-1] - HERE).max() <= 3 * VELOCITY * tick
