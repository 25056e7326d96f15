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
"""Confidence intervals over seeds and episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfp_ros.core.intervals import wilson_interval


def interval(success: Sequence[float], episodes: int) -> tuple[float, float]:
    """
    95 % interval of the mean success over seeds.

    The union of Student's interval over the seeds and Wilson's interval over all episodes, so that
    a single seed, or seeds that agree by chance, do not give a spuriously narrow interval.

    :param success: Success rate of each seed, over equally many episodes.
    :param episodes: Total number of episodes over all seeds.
    """
    solved = round(float(np.mean(success)) * episodes)
    low, high = wilson_interval(solved, episodes)
    if len(success) > 1:
        # Here, as it takes most of a second to import.
        from scipy import stats
        half = stats.t.ppf(0.975, len(success) - 1) * stats.sem(success)
        low = min(low, float(np.mean(success) - half))
        high = max(high, float(np.mean(success) + half))
    return max(0.0, low), min(1.0, high)
