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
"""Whether simulated time moves in steps that are small enough for the ticks."""

from __future__ import annotations

from collections import deque
from statistics import median

# So many steps are looked at, and so many have to be known before anything is said.
_STEPS, _ENOUGH = 20, 5
# Steps that are this much longer than a tick are as long as one, as far as can be told.
_TOLERANCE = 1.01


class ClockSteps:
    """
    The steps of simulated time, as ``/clock`` comes.

    A tick on simulated time cannot come before the clock has reached it, so no more ticks come
    than the clock has steps, and those that were due in between are missed.
    """

    def __init__(self) -> None:
        """Start before the first step."""
        self._steps: deque[int] = deque(maxlen=_STEPS)

    def clear(self) -> None:
        """Forget the steps."""
        self._steps.clear()

    def add(self, step: int) -> None:
        """
        Note a step; one that goes back is none.

        :param step: By how much the time went on, in ns.
        """
        if step > 0:
            self._steps.append(step)

    @property
    def step(self) -> float | None:
        """Return the usual step in s, None while too few are known."""
        if len(self._steps) < _ENOUGH:
            return None
        # Not the mean: the first step goes from 0 to the time of the simulation.
        return median(self._steps) * 1e-9


def describe_slow_clock(step: float, tick: float) -> str:
    """
    Say that a clock is too slow for the ticks.

    :param step: By how much simulated time goes on at once, in s; NaN where that is unknown.
    :param tick: Time between two ticks in s.
    :return: For people; empty where it is fast enough.
    """
    if not step > _TOLERANCE * tick:
        return ''
    return (
        f'/clock moves in steps of {step * 1e3:.4g} ms ({1 / step:.3g} Hz), and the ticks are '
        f'{tick * 1e3:.4g} ms apart ({1 / tick:.3g} Hz): {1 - tick / step:.0%} of them are '
        f'missed; have the simulator publish /clock at {1 / tick:.3g} Hz or more, better at ten '
        'times that')
