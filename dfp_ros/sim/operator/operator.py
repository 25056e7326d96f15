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
"""Scripted operator: when it takes over, what it does then, and when it lets go."""

from __future__ import annotations

from dataclasses import dataclass
import math
import random

from dfp_ros.core.arrays import Vector
from dfp_ros.sim.operator.script import deflect, remaining, Scene

# Way in m by which the task has to be nearer to its end to count as progress.
_PROGRESS = 0.02


@dataclass(frozen=True)
class Temper:
    """
    How an operator intervenes.

    :param patience: Shortest and longest time without progress in s after which it takes over;
        drawn for each episode.
    :param latest: Time of an episode in s after which it takes over in any case, and keeps the
        robot to the end.
    """

    patience: tuple[float, float] = (1.0, 2.0)
    latest: float = 4.0


class Operator:
    """
    Watches a policy bring a cube to its goal, and takes over if it gets nowhere.

    It lets go once it has grasped and lifted a cube that the policy did not, so that the policy
    does the rest, or when the episode ends.

    :param goal: Where the cube has to be, shape (3,), m.
    :param seed: Seed of its patience.
    :param temper: How it intervenes.

    :ivar is_commanding: Whether it commands the robot.
    :ivar reason: Why it took over, or let go, last.
    :ivar takeovers: Number of takeovers.
    :ivar episodes: Number of episodes.
    :ivar helped: Number of episodes in which it took over.
    """

    def __init__(self, goal: Vector, seed: int = 0, temper: Temper | None = None) -> None:
        """Wait for an episode."""
        self._goal, self._temper = goal, temper or Temper()
        self._random = random.Random(seed)
        self._is_within_episode, self._began = False, math.nan
        self.is_commanding, self.reason = False, ''
        self.takeovers = self.episodes = self.helped = 0

    def begin(self) -> None:
        """Begin an episode; a mark that is sent again before anything was seen begins no other."""
        if self._is_within_episode and math.isnan(self._began):
            return
        self.end('the episode was started again')
        self._is_within_episode, self._has_helped = True, False
        self._began = self._moved = self._seen = math.nan
        self._best = math.inf
        self._lifts = False
        self._patience = self._random.uniform(*self._temper.patience)
        self.episodes += 1

    def end(self, reason: str) -> None:
        """End the episode, if there is one."""
        self._is_within_episode = False
        if self.is_commanding:
            self._let_go(reason)

    def look(self, scene: Scene) -> list[float] | None:
        """
        Look at the scene.

        :return: Deflections, as :func:`dfp_ros.sim.operator.script.deflect`; None for hands off.
        """
        if not self._is_within_episode:
            return None
        left = remaining(scene, self._goal)
        if (back := self._seen - scene.time) > 0:
            # A clock was set back; what was seen is as long ago as before.
            self._began, self._moved = self._began - back, self._moved - back
        self._seen = scene.time
        if math.isnan(self._began):
            self._began = scene.time
        if left < self._best - _PROGRESS:
            self._best, self._moved = left, scene.time
        is_late = scene.time - self._began > self._temper.latest
        idle = scene.time - self._moved
        if self.is_commanding and self._lifts and scene.is_lifted and not is_late:
            self._let_go('the cube is lifted')
            self._best, self._moved = left, scene.time
        elif not self.is_commanding and (is_late or idle > self._patience):
            self._take_over(
                f'not done after {scene.time - self._began:.1f} s' if is_late else
                f'no progress for {idle:.1f} s')
            self._lifts = not scene.is_grasped
        return deflect(scene, self._goal) if self.is_commanding else None

    def _take_over(self, reason: str) -> None:
        self.is_commanding, self.reason = True, reason
        self.takeovers += 1
        self.helped += not self._has_helped
        self._has_helped = True

    def _let_go(self, reason: str) -> None:
        self.is_commanding, self.reason = False, reason
