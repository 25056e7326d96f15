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
"""Conversion report: steps kept and dropped, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dfp_ros.core.text.printable import printable, TEXT
from training.data.formats.rosbag.steps import Tick

#: Count of the steps whose observation is another than the one that the node logged.
OTHER_OBSERVATION = 'steps with another observation than logged'
# Relative and absolute difference of observations that are the same.
_SAME = 1e-3


@dataclass
class Report:
    """
    Counts of kept and dropped steps, with the reasons.

    :param counts: Counts by name.
    :param problems: Counts of dropped steps, by reason.
    :param details: An example of each reason.
    :param difference: Largest difference between a computed observation and the one that the node
        logged; None if none was logged.
    :param notes: Further notes, one line each.
    :param refused: Recordings that were left out, each with the reason.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    difference: float | None = None
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add the report of another recording."""
        self.counts += other.counts
        self.problems += other.problems
        self.details = {**other.details, **self.details}
        self.notes += [note for note in other.notes if note not in self.notes]
        self.refused += other.refused
        if other.difference is not None:
            self.difference = max(self.difference or 0.0, other.difference)

    def tick(self, tick: Tick) -> None:
        """Count a step of an episode."""
        self.counts['steps of episodes'] += 1
        if tick.problem:
            self.problems[tick.problem] += 1
            self.details.setdefault(tick.problem, tick.detail)
        elif tick.logged is not None and tick.observation is not None:
            difference = float(np.abs(tick.observation - tick.logged).max())
            self.difference = max(self.difference or 0.0, difference)
            if not np.allclose(tick.observation, tick.logged, _SAME, _SAME):
                self.counts[OTHER_OBSERVATION] += 1

    def lines(self) -> Iterator[str]:
        """Lines of the printed report."""
        for name, count in (+self.counts).items():
            yield f'{name:44}{count:8}'
        for name, count in self.problems.most_common():
            detail = printable(self.details[name], TEXT)
            yield f'{"dropped, " + name:44}{count:8}' + (f'  e.g. {detail}' if detail else '')
        if self.difference is not None:
            yield f'{"largest difference from logged observations":44}{self.difference:8.1g}'
        yield from (f'note: {note}' for note in self.notes)
