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
"""Report of the demo, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
import json
import math
from pathlib import Path
from typing import Any

from dfp_ros.core.files.atomic import atomic_path

SOLVED_SHARE = 0.8


@dataclass(frozen=True)
class Episode:
    """Result of one episode, from the robot's ``episode`` message."""

    number: int
    seed: int
    success: bool
    steps: int
    duration: float
    real_time_factor: float
    overruns: int

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> Episode:
        """Parse the key-value pairs of the robot's ``episode`` message."""
        return cls(
            number=int(values['episode']), seed=int(values['seed']),
            success=values['success'] == 'true', steps=int(values['steps']),
            duration=float(values['duration']),
            real_time_factor=float(values['real_time_factor']), overruns=int(values['overruns']))

    def line(self, total: int) -> str:
        """
        Format the result in one line.

        :param total: Number of episodes.
        """
        verdict = 'solved' if self.success else 'NOT solved'
        return (f'episode {self.number + 1:2d}/{total}  seed {self.seed}  {verdict:10}  '
                f'{self.duration:5.2f} s  {self.steps:3d} steps')


@dataclass
class Report:
    """
    Results of a demo.

    :param asked: Number of episodes requested.
    :param episodes: Completed episodes.
    :param policy: Last diagnostics of the policy node, by key; non-numeric values are None.
    :param exits: Exit statuses of the processes, in order of their end.
    :param problems: Faults other than unsolved episodes.
    :param notes: Output of the view, which changes no verdict.
    """

    asked: int
    episodes: list[Episode] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)
    exits: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def solved(self) -> int:
        """Return the number of episodes solved."""
        return sum(episode.success for episode in self.episodes)

    @property
    def passed(self) -> bool:
        """Whether there was no fault and at least 8 of 10 episodes were solved."""
        return not self.problems and self.solved >= SOLVED_SHARE * self.asked

    def take_diagnostics(self, values: Mapping[str, str]) -> None:
        """Store the latest diagnostics of the policy node."""
        self.policy = {key: _number(value) for key, value in values.items()}

    def table(self) -> str:
        """Format the results as a table."""
        episodes = self.episodes
        lengths = [episode.duration for episode in episodes] or [math.nan]
        steps = [float(episode.steps) for episode in episodes] or [math.nan]
        paces = [episode.real_time_factor for episode in episodes] or [math.nan]
        late = sum(episode.overruns for episode in episodes)
        show = self._show
        rows = [
            ('episodes solved', f'{self.solved} of {self.asked}'),
            ('episode length', f'{_mean(lengths):.2f} s mean, {max(lengths):.2f} s longest '
                               f'({_mean(steps):.1f} steps mean)'),
            ('control period', f'{show("period_mean")} mean, {show("period_p99")} p99, '
                               f'{show("period_max")} max'),
            ('inference', f'{show("inference_p50")} p50, {show("inference_p99")} p99'),
            ('observation age', f'{show("observation_age_p50")} p50, '
                                f'{show("observation_age_max")} max'),
            ('missed ticks', f'{self.policy.get("run_missed_ticks", "?")} of '
                             f'{self.policy.get("run_ticks", "?")}'),
            ('real-time factor', f'{_mean(paces):.3f} mean, {late} physics slices late'),
        ]
        width = max(len(name) for name, _ in rows)
        return '\n'.join(f'  {name:{width}}   {value}' for name, value in rows)

    def write(self, path: Path) -> None:
        """Write the results as JSON, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            'passed': self.passed, 'solved': self.solved,
            'success': self.solved / self.asked, **asdict(self)}
        del content['notes']
        with atomic_path(path) as partial:
            partial.write_text(
                json.dumps(content, indent=1, allow_nan=False) + '\n', encoding='utf-8')

    def _show(self, key: str) -> str:
        """Format a time of the policy node over the whole run."""
        value = self.policy.get(f'run_{key}_ms')
        return f'{value:.2f} ms' if isinstance(value, float) else '? ms'


def _mean(values: list[Any]) -> float:
    """Average."""
    return float(sum(values) / len(values))


def _number(text: str) -> Any:
    """Parse a value; NaN and infinity become None, because JSON lacks them."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else None
    return text
