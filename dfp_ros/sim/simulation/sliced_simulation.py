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
"""
What simulated robots have in common whose physics advance in slices, with no ROS and no clock.

``env.step`` computes one whole control period at once. A robot does not wait for its controller:
its state is read more often than it is commanded, and commands arrive when they arrive. So a
:class:`SlicedSimulation` cuts the control period into slices and takes a command between any two
of them. Commands given exactly at the period's start reproduce ``env.step`` bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.text.numbers import all_shown
from dfp_ros.sim.simulation.cell_state import EpisodeResult, JointTargetInput, TwistInput

FloatArray = NDArray[np.float64]


class SlicedSimulation(ABC):
    """
    One environment, advanced a slice at a time.

    :param environment: Its name.
    :param period: Control period, s.
    :param physics_step: Time that one step of the physics computes, s.
    :param state_rate: Slices in a second of simulated time, Hz.
    :param action_scale: Shape (act_dim,): what of an action one SI unit of its command is.
    :param arm: What the arm takes; the gripper's number follows.
    :param limit: Most control periods of an episode; None for no limit.
    :param bounds: Lowest and highest action, each a number or of shape (act_dim,).
    :raises ValueError: Where the slices do not divide the control period into whole physics
        steps.
    """

    def __init__(
            self, environment: str, period: float, physics_step: float, state_rate: float,
            action_scale: FloatArray, arm: TwistInput | JointTargetInput, limit: int | None,
            bounds: tuple[Any, Any] = (-1, 1)) -> None:
        """Cut the control period."""
        self.environment = environment
        self.period = period
        self.action_scale = action_scale
        self.arm = arm
        self._limit = limit
        self._bounds = bounds
        self._pending: NDArray[np.float32] | None = None
        self._period_substeps = round(period / physics_step)
        self._slice_substeps = self._cut(state_rate, physics_step)
        self.slice_duration = self._slice_substeps * physics_step

    @property
    def slices(self) -> int:
        """Slices in a control period."""
        return self._period_substeps // self._slice_substeps

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Start an episode; equal seeds start equal episodes."""

    @abstractmethod
    def advance(self) -> EpisodeResult | None:
        """
        Compute one slice.

        :return: The result where this slice ended the episode, else None.
        """

    @abstractmethod
    def state(self) -> Any:
        """Read the state as it is now, a dataclass of :mod:`dfp_ros.sim.simulation.cell_state`."""

    @abstractmethod
    def picture(self) -> FloatArray:
        """Give all that a renderer needs."""

    @abstractmethod
    def observation(self) -> FloatArray:
        """Give the environment's own observation vector, which state() takes apart."""

    def command(self, action: FloatArray | NDArray[np.float32]) -> None:
        """
        Give a command; it takes effect at the next slice and holds until another comes.

        The action is cut to float32, the precision that policies answer in: what went out as SI
        units and came back is then the very number that the policy chose.

        :param action: Shape (act_dim,); what lies outside the bounds is clipped.
        :raises ValueError: Where the action has another shape or a number that is not finite.
        """
        values = np.asarray(action, np.float64)
        size = len(self.action_scale)
        if values.shape != (size,) or not np.all(np.isfinite(values)):
            raise ValueError(f'action: found {all_shown(values)}, expected {size} finite numbers')
        self._pending = np.clip(values, *self._bounds).astype(np.float32)

    def step(self, action: FloatArray | NDArray[np.float32]) -> EpisodeResult | None:
        """Command and compute one whole control period, as ``env.step`` does."""
        self.command(action)
        for _ in range(self.slices - 1):
            self.advance()
        return self.advance()

    def _start(self, seed: int) -> None:
        """Begin an episode's counts."""
        self._seed = seed
        self._action: NDArray[np.float32] = np.zeros(len(self.action_scale), np.float32)
        self._pending = None
        self._held = 0
        self._phase = 0
        self._steps = 0
        self._total_reward = 0.0

    def _take_command(self) -> None:
        """Let a command that has come take effect."""
        if self._pending is not None:
            self._action, self._pending, self._held = self._pending, None, 0

    def _count(self, success: bool, ended: bool, reward: float) -> EpisodeResult | None:
        """Count a finished control period, and see whether it was the last."""
        self._steps += 1
        self._total_reward += reward
        if not ended and (self._limit is None or self._steps < self._limit):
            return None
        return EpisodeResult(
            self._seed, success, self._steps, self._total_reward, self._steps * self.period)

    def _cut(self, state_rate: float, physics_step: float) -> int:
        """Turn a rate into physics steps a slice."""
        substeps = self._period_substeps
        rates = {1 / (n * physics_step): n
                 for n in range(1, substeps + 1) if substeps % n == 0}
        for rate, count in rates.items():
            if abs(rate - state_rate) < 1e-6 * rate:
                return count
        choices = ', '.join(f'{rate:g}' for rate in sorted(rates))
        raise ValueError(
            f'state_rate: found {state_rate:g} Hz, expected one of {choices} Hz, which cut the '
            f'control period of {self.period:g} s into whole physics steps')
