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
"""What of a recording was kept, what was dropped, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dfp_ros.core.text.printable import printable, TEXT
from training.data.formats.rosbag.steps import Tick


@dataclass
class Report:
    """
    What was kept, what was dropped, and why.

    :param counts: How many of what.
    :param problems: Steps by what was wrong with them.
    :param details: An example of each problem.
    :param difference: Largest difference between an observation computed here and the one that
        the node logged; None where there was none to compare with.
    :param notes: What else there is to know, a line each.
    :param refused: Recordings that were left out, each with the reason.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    difference: float | None = None
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add what is reported of another recording."""
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

    def lines(self) -> Iterator[str]:
        """Say it all."""
        for name, count in (+self.counts).items():
            yield f'{name:34}{count:8}'
        for name, count in self.problems.most_common():
            detail = printable(self.details[name], TEXT)
            yield f'{"dropped, " + name:34}{count:8}' + (f'  e.g. {detail}' if detail else '')
        if self.difference is not None:
            yield f'{"off the logged observations by":34}{self.difference:8.1g}'
        yield from (f'note: {note}' for note in self.notes)
