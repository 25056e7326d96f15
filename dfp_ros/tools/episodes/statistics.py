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
"""Statistics of a robot's episodes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
import math

from dfp_ros.core.intervals import wilson_interval
from dfp_ros.tools.episodes.machine import Ended, Phase


@dataclass(frozen=True)
class EpisodeRecord:
    """
    An episode that counts.

    :param ended: The episode.
    :param steps: Number of its control steps, to a tenth of a second; NaN if unknown.
    :param held: Seconds for which the policy node held the robot.
    """

    ended: Ended
    steps: float = math.nan
    held: float = 0.0


class EpisodeStatistics:
    """
    Counts of all episodes, and figures of the last ones.

    :param window: Number of the last episodes that the success rate is computed from.
    """

    def __init__(self, window: int) -> None:
        """Start without an episode."""
        self._counts: Counter[Phase] = Counter()
        self._last: deque[EpisodeRecord] = deque(maxlen=window)

    def add(self, record: EpisodeRecord) -> None:
        """Add an episode; an abandoned one is counted, but is not one of the last."""
        self._counts[record.ended.outcome] += 1
        if record.ended.outcome is not Phase.ABANDONED:
            self._last.append(record)

    @property
    def episodes(self) -> int:
        """Return the number of episodes that count."""
        return self._counts.total() - self._counts[Phase.ABANDONED]

    @property
    def solved(self) -> int:
        """Return the number of successes among the last episodes."""
        return sum(record.ended.outcome is Phase.SUCCESS for record in self._last)

    def sentence(self) -> str:
        """Format the success rate."""
        count = len(self._last)
        if not count:
            return 'no episode yet'
        low, high = wilson_interval(self.solved, count)
        return f'{self.solved} of the last {count} succeeded ({low:.0%} to {high:.0%})'

    def values(self) -> dict[str, str]:
        """Format the statistics as keys and values."""
        count = len(self._last)
        low, high = wilson_interval(self.solved, count)
        steps = [record.steps for record in self._last if not math.isnan(record.steps)]

        def mean(numbers: list[float]) -> str:
            return f'{sum(numbers) / len(numbers):.3f}' if numbers else 'nan'

        return {
            'episodes': str(self.episodes),
            'successes': str(self._counts[Phase.SUCCESS]),
            'failures': str(self._counts[Phase.FAILURE]),
            'timeouts': str(self._counts[Phase.TIMEOUT]),
            'abandoned': str(self._counts[Phase.ABANDONED]),
            'last_episodes': str(count), 'last_successes': str(self.solved),
            'success_rate': f'{self.solved / count:.4f}' if count else 'nan',
            'success_rate_low': f'{low:.4f}', 'success_rate_high': f'{high:.4f}',
            'mean_seconds': mean([record.ended.seconds for record in self._last]),
            'mean_steps': mean(steps),
            'mean_seconds_held': mean([record.held for record in self._last])}
