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
Base class of simulations whose physics advance in slices, without ROS or a clock.

``env.step`` computes a whole control period at once. A real robot does not wait for its
controller: its state is read more often than it is commanded, at arbitrary times. So a
:class:`SlicedSimulation` divides the control period into slices and accepts a command between any
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
    Environment advanced in slices.

    :param environment: Its name.
    :param period: Control period, s.
    :param physics_step: Duration of a physics step, s.
    :param state_rate: Slices per second of simulated time, Hz.
    :param action_scale: Shape (act_dim,): action per SI unit of its command.
    :param arm: Command interface of the arm; the gripper's number follows.
    :param limit: Largest number of control periods of an episode; None for no limit.
    :param bounds: Lowest and highest action, each a number or of shape (act_dim,).
    :raises ValueError: If the slices do not divide the control period into whole physics
        steps.
    """

    def __init__(
            self, environment: str, period: float, physics_step: float, state_rate: float,
            action_scale: FloatArray, arm: TwistInput | JointTargetInput, limit: int | None,
            bounds: tuple[Any, Any] = (-1, 1)) -> None:
        """Divide the control period."""
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
        """Return the number of slices in a control period."""
        return self._period_substeps // self._slice_substeps

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Start an episode; equal seeds start equal episodes."""

    @abstractmethod
    def advance(self) -> EpisodeResult | None:
        """
        Advance one slice.

        :return: The result if this slice ended the episode, else None.
        """

    @abstractmethod
    def state(self) -> Any:
        """Return the current state, of a class in :mod:`dfp_ros.sim.simulation.cell_state`."""

    @abstractmethod
    def picture(self) -> FloatArray:
        """Return the renderer's state."""

    @abstractmethod
    def observation(self) -> FloatArray:
        """Return the environment's observation vector."""

    def command(self, action: FloatArray | NDArray[np.float32]) -> None:
        """
        Set the command; it takes effect at the next slice and holds until the next one.

        The action is rounded to float32, the precision of policies: after conversion to SI units
        and back, it is exactly the number that the policy chose.

        :param action: Shape (act_dim,); values outside the bounds are clipped.
        :raises ValueError: If the action has another shape or a number that is not finite.
        """
        values = np.asarray(action, np.float64)
        size = len(self.action_scale)
        if values.shape != (size,) or not np.all(np.isfinite(values)):
            raise ValueError(f'action: found {all_shown(values)}, expected {size} finite numbers')
        self._pending = np.clip(values, *self._bounds).astype(np.float32)

    def step(self, action: FloatArray | NDArray[np.float32]) -> EpisodeResult | None:
        """Command and advance one whole control period, as ``env.step`` does."""
        self.command(action)
        for _ in range(self.slices - 1):
            self.advance()
        return self.advance()

    def _start(self, seed: int) -> None:
        """Reset an episode's counts."""
        self._seed = seed
        self._action: NDArray[np.float32] = np.zeros(len(self.action_scale), np.float32)
        self._pending = None
        self._held = 0
        self._phase = 0
        self._steps = 0
        self._total_reward = 0.0

    def _take_command(self) -> None:
        """Apply a pending command."""
        if self._pending is not None:
            self._action, self._pending, self._held = self._pending, None, 0

    def _count(self, success: bool, ended: bool, reward: float) -> EpisodeResult | None:
        """Count a finished control period, and check whether it was the last."""
        self._steps += 1
        self._total_reward += reward
        if not ended and (self._limit is None or self._steps < self._limit):
            return None
        return EpisodeResult(
            self._seed, success, self._steps, self._total_reward, self._steps * self.period)

    def _cut(self, state_rate: float, physics_step: float) -> int:
        """Convert a rate to physics steps per slice."""
        substeps = self._period_substeps
        rates = {1 / (n * physics_step): n
                 for n in range(1, substeps + 1) if substeps % n == 0}
        for rate, count in rates.items():
            if abs(rate - state_rate) < 1e-6 * rate:
                return count
        choices = ', '.join(f'{rate:g}' for rate in sorted(rates))
        raise ValueError(
            f'state_rate: found {state_rate:g} Hz, expected one of {choices} Hz, which divide the '
            f'control period of {self.period:g} s into whole physics steps')
