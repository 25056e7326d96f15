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
"""Step size of simulated time, compared with the control period."""

from __future__ import annotations

from collections import deque
from statistics import median

# Steps that are kept, and steps that are needed for an estimate.
_STEPS, _ENOUGH = 20, 5
# Tolerance: steps longer than a tick by less than this factor count as one tick.
_TOLERANCE = 1.01


class ClockSteps:
    """
    Estimate of the step size of ``/clock``.

    A tick in simulated time is due once the clock has reached it, so at most one tick follows each
    step of the clock, and further ticks due within that step are missed.
    """

    def __init__(self) -> None:
        """Start before the first step."""
        self._steps: deque[int] = deque(maxlen=_STEPS)

    def clear(self) -> None:
        """Forget the steps."""
        self._steps.clear()

    def add(self, step: int) -> None:
        """
        Add a step; steps backwards are ignored.

        :param step: Increase of the time in ns.
        """
        if step > 0:
            self._steps.append(step)

    @property
    def step(self) -> float | None:
        """Return the median step in s, None while too few are known."""
        if len(self._steps) < _ENOUGH:
            return None
        # Not the mean: the first step is from 0 to the time of the simulation.
        return median(self._steps) * 1e-9


def describe_slow_clock(step: float, tick: float) -> str:
    """
    Describe a clock whose steps are too long for the control period.

    :param step: Step of simulated time in s; NaN if unknown.
    :param tick: Time between two ticks in s.
    :return: Description for the log; empty if the clock is fast enough.
    """
    if not step > _TOLERANCE * tick:
        return ''
    return (
        f'/clock moves in steps of {step * 1e3:.4g} ms ({1 / step:.3g} Hz), and the ticks are '
        f'{tick * 1e3:.4g} ms apart ({1 / tick:.3g} Hz): {1 - tick / step:.0%} of them are '
        f'missed; have the simulator publish /clock at {1 / tick:.3g} Hz or more, better at ten '
        'times that')
