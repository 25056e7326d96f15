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
"""Braking speed: the largest speed from which a stop within a distance is possible."""

from __future__ import annotations

import math


def braking_speed(gap: float, acceleration: float, tick: float) -> float:
    """
    Compute the largest speed for the next tick from which a stop within a distance is possible.

    Speed v is held for one tick and falls by b = acceleration * tick in each of the following, to
    0. If that takes n more ticks, the distance is ``tick * ((n + 1) * v - b * n * (n + 1) / 2)``;
    this is its inverse. In the limit of short ticks it is ``sqrt(2 * acceleration * gap)``.

    :param gap: Distance, 0 or more.
    :param acceleration: Largest deceleration, above 0.
    :param tick: Length of a tick in s.
    """
    step = acceleration * tick
    ticks = (math.sqrt(1 + 8 * gap / (step * tick)) - 1) / 2 // 1
    return (gap / tick + step * ticks * (ticks + 1) / 2) / (ticks + 1)
