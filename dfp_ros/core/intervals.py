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
"""Confidence interval of a success rate."""

from __future__ import annotations

import math

# Standard deviations that enclose 95 % of a normal distribution.
_NORMAL_95 = 1.959963984540054


def wilson_interval(solved: int, episodes: int) -> tuple[float, float]:
    """
    Wilson 95 % score interval of a proportion (E. B. Wilson, 1927, eq. 4).

    :param solved: Successes.
    :param episodes: Trials; without any, the interval is 0 to 1.
    :return: Its lower and upper end.
    """
    if not episodes:
        return 0.0, 1.0
    square = _NORMAL_95**2
    share = solved / episodes
    middle = (share + square / (2 * episodes)) / (1 + square / episodes)
    half = _NORMAL_95 / (1 + square / episodes) * math.sqrt(
        share * (1 - share) / episodes + square / (4 * episodes**2))
    low = 0.0 if solved == 0 else max(0.0, middle - half)
    high = 1.0 if solved == episodes else min(1.0, middle + half)
    return low, high
